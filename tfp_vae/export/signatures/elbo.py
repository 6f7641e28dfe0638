"""elbo: the evidence lower bound."""

from tfp_vae import objectives
from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.bounds import BoundAnswer


@SIGNATURES.register("elbo", "evidence lower bound of log p(x)")
class Elbo(BoundAnswer):
    """`elbo`, nats per example."""

    name = "elbo"

    @property
    def meaning(self):
        """What it is, with the KL of the weights where there are some."""
        weights = ", the KL of the weights / N included" * self.subject.random_weights
        return f"evidence lower bound of log p(x){weights}"

    def of_terms(self, terms):
        """Returns the evidence lower bound, [B]."""
        return objectives.elbo(terms)
