"""decode: what a latent looks like."""

from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.base import Signature
from tfp_vae.export.signatures.latents import LatentAnswer


@SIGNATURES.register("decode", "the mean of p(x|z)")
class Decode(LatentAnswer):
    """`mean`, E[x|z]."""

    name = "decode"

    def applies(self):
        """Returns why p(x|z) has no mean."""
        return self.subject.check_mean()

    def signature(self):
        """Returns the signature."""
        subject = self.subject

        def decode(**inputs):
            z = subject.model.code([inputs.pop(z.name) for z in subject.seen])
            return {"mean": subject.decoded(z, *inputs.values())}

        inputs = (*subject.seen, *subject.given)
        return Signature(self.name, "the mean of p(x|z)", inputs, (subject.mean,), decode)
