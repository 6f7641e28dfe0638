"""reconstruct: what the model makes of an example."""

from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.base import Signature
from tfp_vae.export.signatures.latents import LatentAnswer


@SIGNATURES.register("reconstruct", "the mean of p(x|z) at the centre of q(z|x)")
class Reconstruct(LatentAnswer):
    """`mean`, E[x'|z] at the centre z of q(z|x)."""

    name = "reconstruct"

    def applies(self):
        """Returns why q(z|x) has no centre or p(x|z) no mean."""
        return self.subject.check_centre() or self.subject.check_mean()

    def signature(self):
        """Returns the signature."""
        subject = self.subject

        def reconstruct(x, **given):
            z = subject.model.code(subject.centres(x, *given.values())[1])
            return {"mean": subject.decoded(z, *given.values())}

        meaning = "the mean of p(x|z) at the centre of q(z|x)"
        inputs = (subject.x, *subject.given)
        return Signature(self.name, meaning, inputs, (subject.mean,), reconstruct)
