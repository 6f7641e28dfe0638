"""sample: new latents and what they look like."""

import itertools

import tensorflow as tf

from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.base import Signature
from tfp_vae.export.signatures.latents import LatentAnswer
from tfp_vae.layers.noise import MEAN, SHARED
from tfp_vae.randomness import fold_in


@SIGNATURES.register("sample", "new latents from the prior, and the mean of p(x|z)")
class Sample(LatentAnswer):
    """`z`, from the prior, and `mean`, E[x|z]; weights are drawn as well if they can be."""

    name = "sample"

    def applies(self):
        """Returns why there is nothing to draw from, or p(x|z) has no mean."""
        if not self.subject.model.generates:
            return "an autoencoder has no p(z), unless one is fitted to codes (--fit_prior)"
        return self.subject.check_mean()

    def signature(self):
        """Returns the signature."""
        subject = self.subject
        reason = subject.check_portable(subject.priors, "p(z)")
        noise = subject.noise(subject.priors, "B")

        def sample(**inputs):
            given, numbers = subject.split_inputs(inputs, noise)
            latents = subject.sampled(numbers, given)
            return self._found(latents, subject.decoded(subject.model.code(latents), given))

        return Signature(
            self.name,
            "new latents from the prior, and the mean of p(x|z)",
            (*subject.given, *itertools.chain(*noise)),
            (*subject.zs, subject.mean),
            None if reason else sample,
            self._draw,
            reason=reason,
        )

    def _found(self, latents, mean):
        names = (value.name for value in self.subject.zs)
        return {**dict(zip(names, latents, strict=True)), "mean": mean}

    def _draw(self, key, count=None, **given):
        subject = self.subject
        given = next(iter(given.values()), None)
        count = count if given is None else tf.shape(given)[0]
        weights = fold_in(key, 1)
        latents = subject.model.at(fold_in(key, 0), MEAN).sample(count, given)
        draw = subject.model.at(weights, SHARED if subject.random_weights else MEAN)
        return self._found(latents, subject.mean_of(draw, subject.model.code(latents), given))
