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
        subject, outputs, scales = self.subject, [], {}
        for latent, z, posterior in zip(
            subject.model.latents, subject.zs, subject.posteriors, strict=True
        ):
            entry = draws.normal_of(posterior)
            what = "mean" if entry else "centre"
            loc = subject.named("loc", latent)
            outputs.append(Value(loc, z.shape, f"{what} of q({z.name}|x)"))
            if entry is None:
                continue
            if entry.scale(posterior).shape.rank == 2:
                name = subject.named("scale", latent)
                meaning = f"standard deviations of q({z.name}|x)"
                outputs.append(Value(name, z.shape, meaning))
            else:
                name = subject.named("scale_tril", latent)
                meaning = f"lower triangular factor L of the covariance L L' of q({z.name}|x)"
                outputs.append(Value(name, (*z.shape, z.shape[-1]), meaning))
            scales[latent.name] = name

        def encode(x, **given):
            found = {}
            posteriors, centres = subject.centres(x, *given.values())
            for latent, posterior, centre in zip(
                subject.model.latents, posteriors, centres, strict=True
            ):
                found[subject.named("loc", latent)] = centre
                if latent.name in scales:
                    found[scales[latent.name]] = draws.normal_of(posterior).scale(posterior)
            return found

        return Signature(self.name, "q(z|x)", (subject.x, *subject.given), tuple(outputs), encode)
