"""log_evidence: log p(x) by importance sampling."""

from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.base import log_mean_exp
from tfp_vae.export.signatures.bounds import BoundAnswer


@SIGNATURES.register("log_evidence", "importance-sampled log p(x), at most log p(x)")
class LogEvidence(BoundAnswer):
    """`log_evidence`, nats per example."""

    name = "log_evidence"
    meaning = "importance-sampled log p(x), at most log p(x)"

    def of_terms(self, terms):
        """Returns log 1/S sum_s p(x, z_s) / q(z_s|x), [B] (Burda et al., 2016, eq. 8)."""
        return log_mean_exp(terms.log_weights())
