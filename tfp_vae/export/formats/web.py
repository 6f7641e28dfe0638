"""A page for a browser: the decoder without Keras, its weights and its script in one file."""

import numpy as np

from tfp_vae.export.formats.base import FORMATS, Format, Written, reason_of
from tfp_vae.export.package import PORTABLE, Artefact


@FORMATS.register("web", "a page for a browser")
class Web(Format):
    """`web/index.html`, which answers `decode`."""

    name = "web"
    extra = "report"
    form = PORTABLE
    made_for = ("decode",)

    def write(self, package, folder):
        """Writes `web/index.html`."""
        from tfp_vae.export.page import web  # with its templates, which no other format needs

        try:
            path = web.write(
                package.model, folder / "web", examples=package.split, language=package.language
            )
        except ValueError as error:
            return Written([], {"decode": reason_of(error)})
        artefact = Artefact("web", path.relative_to(folder).as_posix(), ("decode",))
        return Written([artefact], {})

    def run(self, folder, names, check="answers", effort=None):
        """Returns the cell of the page, whose decoder is asked in Chromium for known latents."""
        from tfp_vae.export.page import web
        from tfp_vae.export.proof import runtimes  # which is built on the formats

        cell = {"format": "web", "path": "web/index.html", "signature": "decode"}
        examples = runtimes.Examples(folder)
        given = examples.inputs(PORTABLE, "decode", runtimes.LARGE)
        expected = examples.outputs(PORTABLE, "decode", runtimes.LARGE)["mean"]
        label = given.pop("label", None)
        z = np.concatenate(list(given.values()), axis=-1)  # of one latent, or of all levels
        try:
            worst = web.check(folder / cell["path"], z, expected, label)
        except (ValueError, OSError) as error:
            return [{**cell, "reason": reason_of(error)}]
        share = worst / runtimes.TOLERANCE
        return [{**cell, "max_abs_difference": worst, "tolerance_share": share}]
