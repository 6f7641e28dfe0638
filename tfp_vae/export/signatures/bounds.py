"""What elbo and log_evidence have in common: how probable an example is, from below."""

import functools
import itertools

from tfp_vae import objectives
from tfp_vae.export.signatures.base import Signature, Value
from tfp_vae.export.signatures.latents import LatentAnswer


class BoundAnswer(LatentAnswer):
    """A bound from S draws of q(z|x)."""

    meaning = ""

    def applies(self):
        """Returns why the model has no bound."""
        model = self.subject.model
        return None if model.on_bound else f"it is {model.off_bound}"

    def signature(self):
        """Returns the signature."""
        subject = self.subject
        reason = subject.check_portable(subject.posteriors, "q(z|x)")
        return Signature(
            self.name,
            self.meaning,
            (subject.x, *subject.given, *itertools.chain(*self.noise)),
            (Value(self.name, ("B",), "nats per example"),),
            None if reason else self.bound,
            self.draw,
            subject.num_samples,
            reason,
        )

    @functools.cached_property
    def noise(self) -> "tuple[tuple[Value, ...], ...]":
        """The inputs that draws of each latent need."""
        return self.subject.noise(self.subject.posteriors, "S", "B")

    def bound(self, x, **inputs):
        """Returns the bound at S draws, [B]."""
        given, noise = self.subject.split_inputs(inputs, self.noise)
        return {self.name: self.of_terms(self.subject.terms(x, noise, given))}

    def draw(self, key, x, **given):
        """Returns the bound of draws from a key."""
        bounds = self.subject.draw_bounds(key, x, *given.values())
        return {self.name: getattr(bounds, self.name)}

    def of_terms(self, terms: objectives.Terms):
        """Returns the bound, [B]."""
        raise NotImplementedError
