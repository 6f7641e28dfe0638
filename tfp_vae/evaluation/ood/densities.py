"""The scores of models of p(x)."""

from tfp_vae.evaluation.ood import scores
from tfp_vae.evaluation.ood.base import SCORES, DensityScore
from tfp_vae.evaluation.ood.regret import likelihood_regret


@SCORES.register("negative_log_evidence", "-log p(x), nats")
class NegativeLogEvidence(DensityScore):
    """-log p(x), nats."""

    reported_as = "log_px"
    is_log_density = portable = True

    def __call__(self, seen):
        """Returns -log p(x)."""
        return -seen.log_evidence


@SCORES.register("negative_elbo", "-ELBO, nats")
class NegativeELBO(DensityScore):
    """The bound in the place of log p(x), nats."""

    reported_as = "elbo"
    is_log_density = portable = True
    compared = False

    def __call__(self, seen):
        """Returns -ELBO."""
        return -seen.elbo


@SCORES.register("typicality", "distance of log p(x) from that of validation data, nats")
class Typicality(DensityScore):
    """See `scores.typicality`."""

    reported_as = "typicality"
    portable = True

    def check(self, seen):
        """Raises `ValueError` without a reference."""
        if seen.reference is None:
            raise ValueError(
                "Typicality has nothing to compare with. Expected reference, the mean log p(x) of "
                "validation data. Received None."
            )

    def __call__(self, seen):
        """Returns |log p(x) - reference|."""
        return abs(seen.log_evidence - seen.reference)


@SCORES.register("likelihood_regret", "what a posterior of its own would gain, nats")
class LikelihoodRegret(DensityScore):
    """See `likelihood_regret`."""

    reported_as = "likelihood_regret"
    one_vae = True

    def __call__(self, seen):
        """Returns the regret."""
        return likelihood_regret(seen.vae, seen.split, **seen.regret)


@SCORES.register("input_complexity", "how much worse than a compressor, bits")
class InputComplexity(DensityScore):
    """See `scores.input_complexity`."""

    reported_as = "input_complexity"

    def check(self, seen):
        """Raises `ValueError` for what is not an image."""
        scores.check_images(seen.split)

    def __call__(self, seen):
        """Returns -log2 p(x) - L(x)."""
        bits = scores.complexity_bits(seen.split)
        return scores.input_complexity(seen.log_evidence, bits, seen.split)
