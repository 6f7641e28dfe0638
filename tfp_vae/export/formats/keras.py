"""Keras 3: model, optimizer and seed in one file, which this package loads again."""

import keras

from tfp_vae.export.formats.base import FORMATS, Format, Written
from tfp_vae.export.package import Artefact


@FORMATS.register("keras", "Keras 3, with this package")
class Keras(Format):
    """`keras/model.keras`. Its layers are ours, so it is checked by a process that knows them."""

    name = "keras"

    def check(self, predictor, answers):
        """Raises `ValueError` for a posterior over the weights of a network, or a detector."""
        del answers
        if not isinstance(predictor, keras.Model):
            raise ValueError(
                f"A {type(predictor).__name__} is not a Keras model. Expected formats without "
                "keras for it. Received keras."
            )

    def write(self, package, folder):
        """Saves model, optimizer and seed as `keras/model.keras`."""
        (folder / "keras").mkdir()
        package.model.save(folder / "keras/model.keras")
        names = tuple(signature.name for signature in package.signatures)
        return Written([Artefact("keras", "keras/model.keras", names)], {})

    def run(self, folder, names, check="answers", effort=None):
        """Returns the cells of a new process that loads the file."""
        from tfp_vae.export.proof import processes  # which is built on the formats

        return processes.run_module("tfp_vae.export.proof.reload", folder, effort)
