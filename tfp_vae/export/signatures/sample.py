"""sample: new latents and what they look like."""

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.base import Signature
from tfp_vae.export.signatures.latents import LatentAnswer
from tfp_vae.layers.noise import SHARED
from tfp_vae.randomness import fold_in


@SIGNATURES.register("sample", "new latents from the prior, and the mean of p(x|z)")
class Sample(LatentAnswer):
    """`z`, from the prior, and `mean`, E[x|z]; weights are drawn as well if they can be."""

    name = "sample"

    def applies(self):
        """Returns why p(x|z) has no mean."""
        return self.subject.check_mean()

    def signature(self):
        """Returns the signature."""
        subject = self.subject
        reason = subject.check_portable(subject.prior, "p(z)")
        return Signature(
            self.name,
            "new latents from the prior, and the mean of p(x|z)",
            (*subject.given, *subject.noise(subject.prior, "B")),
            (subject.z, subject.mean),
            None if reason else self._sample,
            self._draw,
            reason=reason,
        )

    def _sample(self, **inputs):
        given, noise = self.subject.split_inputs(inputs)
        prior = self.subject.model.at_mean().prior(given)
        z = draws.from_noise(prior, *noise)[0]
        return {"z": z, "mean": self.subject.decoded(z, given)}

    def _draw(self, key, count=None, **given):
        subject = self.subject
        given = next(iter(given.values()), None)
        draw = subject.model.at_mean()
        prior = draw.prior(given)
        shape = []
        if not prior.batch_shape.rank:
            shape = [count if given is None else tf.shape(given)[0]]
        z = draws.sample(prior, shape, fold_in(key, 0))
        if subject.random_weights:
            draw = subject.model.at(fold_in(key, 1), SHARED)
        return {"z": z, "mean": subject.mean_of(draw, z, given)}
