"""How much of log p(x) inference loses, and by what (Cremer, Li & Duvenaud, ICML 2018).

log p(x) - elbo = (log p(x) - elbo of the best q of the family) + (that - elbo of the encoder)
approximation gap                                amortisation gap
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfp_vae.arguments import check_choice, check_count
from tfp_vae.data import Split
from tfp_vae.evaluation.annealing import ais, temperatures
from tfp_vae.evaluation.bounds import standard_error
from tfp_vae.models import VAE, local

EVIDENCE = ("importance", "ais")


class InferenceGap(NamedTuple):
    """What inference loses of each example, float64 [N], nats.

    Attributes:
        log_evidence: log p(x), as near as it was estimated, from below.
        best_elbo: of the best q of the family that was found.
        elbo: of the encoder, with the same noise.
    """

    log_evidence: np.ndarray
    best_elbo: np.ndarray
    elbo: np.ndarray

    @property
    def approximation(self) -> np.ndarray:
        """What no q of the family reaches, [N]: at least 0 but for noise."""
        return self.log_evidence - self.best_elbo

    @property
    def amortisation(self) -> np.ndarray:
        """What the encoder leaves of the family, [N]: never below 0 where its q is of it."""
        return self.best_elbo - self.elbo

    def summary(self) -> dict:
        """Returns all means and their standard errors over examples, JSON-ready."""
        columns = {
            "log_evidence": self.log_evidence,
            "best_elbo": self.best_elbo,
            "elbo": self.elbo,
            "approximation_gap": self.approximation,
            "amortisation_gap": self.amortisation,
        }
        means = {name: float(values.mean()) for name, values in columns.items()}
        errors = {f"{name}_se": standard_error(values) for name, values in columns.items()}
        return means | errors


def inference_gap(
    vae: VAE,
    x: "Split | np.ndarray",
    *,
    family: "str | None" = None,
    evidence: str = "importance",
    num_steps: int = 300,
    num_samples: int = 16,
    num_elbo_samples: int = 1000,
    num_importance_samples: int = 5000,
    num_annealing_steps: int = 1000,
    num_chains: int = 16,
    seed: "int | None" = None,
    progress: "Callable[[int, int], None] | None" = None,
) -> InferenceGap:
    """Returns the approximation gap and the amortisation gap of each example, nats.

    log p(x) is a bound from below: what it misses of the approximation gap is as much as it is too
    low. Encoder and best q are measured with the same draws; what is taken as the best is decided
    by these draws too, which is worth a few thousandths of a nat at most with the default numbers.

    Args:
        vae: a VAE with one latent, conditional or not.
        x: a `Split` or an array [N, ...].
        family: of q, "diagonal" or "full"; that of the encoder by default.
        evidence: how log p(x) is estimated: "importance", `VAE.bounds` with the proposal that
            finds more, or "ais" from q(z|x).
        num_steps: of the fit of each example, see `VAE.fit_posterior`.
        num_samples: of its gradient.
        num_elbo_samples: draws that the bounds are measured by.
        num_importance_samples: S of log p(x).
        num_annealing_steps: see `ais`.
        num_chains: see `ais`.
        seed: fixes the draws; the model's seed by default.
        progress: called with (examples done, examples in all) as q is fitted, which is most of it.

    Raises:
        ValueError: see `VAE.fit_posterior`.
    """
    check_choice("evidence", evidence, EVIDENCE)
    check_count("num_importance_samples", num_importance_samples)
    temperatures(num_annealing_steps)
    if family is not None:
        check_choice("family", family, local.FAMILIES)
    options = local.Options(family, num_steps, num_samples, num_elbo_samples)
    split = vae.as_split(x).frozen()
    found = local.fit(vae, split, options, seed, progress)
    if evidence == "ais":
        total = ais(
            vae,
            split,
            num_steps=num_annealing_steps,
            num_chains=num_chains,
            start="posterior",
            seed=seed,
        ).log_evidence
    else:
        bounds = vae.bounds(split, num_importance_samples, proposal="auto", seed=seed)
        total = bounds.log_evidence
    elbo = found.start_elbo if found.of_encoder else vae.elbo(split, num_elbo_samples, seed=seed)
    return InferenceGap(*(np.asarray(each, np.float64) for each in (total, found.elbo, elbo)))
