"""encode: where an example lies in the latent space, and how sure that is."""

from tfp_vae.distributions import draws
from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.base import Signature, Value
from tfp_vae.export.signatures.latents import LatentAnswer


@SIGNATURES.register("encode", "q(z|x)")
class Encode(LatentAnswer):
    """`loc`, the centre of q(z|x), and of a normal `scale` or `scale_tril`."""

    name = "encode"

    def applies(self):
        """Returns why q(z|x) has no centre."""
        return self.subject.check_centre()

    def signature(self):
        """Returns the signature."""
        subject, latent = self.subject, self.subject.z.shape
        entry = draws.normal_of(subject.posterior)
        meaning = "mean of q(z|x)" if entry else "centre of q(z|x)"
        outputs = [Value("loc", latent, meaning)]
        if entry and entry.scale(subject.posterior).shape.rank == 2:
            outputs.append(Value("scale", latent, "standard deviations of q(z|x)"))
        elif entry:
            meaning = "lower triangular factor L of the covariance L L' of q(z|x)"
            outputs.append(Value("scale_tril", (*latent, latent[-1]), meaning))

        def encode(x, **given):
            posterior = subject.model.at_mean().posterior(x, *given.values())
            found = {"loc": subject.model.encoder.centre(posterior)}
            found |= {value.name: entry.scale(posterior) for value in outputs[1:]}
            return found

        return Signature(self.name, "q(z|x)", (subject.x, *subject.given), tuple(outputs), encode)
