"""Whether a bound was optimised: what a result of variational inference has to say of itself."""

from collections.abc import Mapping, Sequence
from typing import Any

CONVERGED = 0.01  # nats per example, that a tenth of the epochs may still add
COLLAPSED = 1.0  # nats, below which a posterior of weights is its prior


def convergence(
    history: "Mapping[str, Sequence[float]]",
    weight_kl: "float | None" = None,
    kl_weight: float = 1.0,
    is_bound: bool = True,
) -> dict:
    """Returns what is known of the end of a training, JSON-ready.

    Args:
        history: of Keras, with "elbo": the bound with KL weight 1, per epoch, in nats per example.
        weight_kl: KL(q(w) || p(w)) in nats at the end; None where no weights have a posterior.
        kl_weight: that the last step was trained with.
        is_bound: whether "elbo" is one: not of a network whose weights are points and which has no
            latents, where it is log p(y|x, w), with the prior of the weights if there is one.

    Returns:
        "is_bound";
        "elbo_at_end": mean of the last tenth of the epochs; "elbo_gain": that minus the mean of the
        tenth before, None with fewer than two epochs; "converged": whether the gain is at most
        `CONVERGED`, None where it is not known; "kl_weight_at_end"; and, with `weight_kl`,
        "weight_kl" and "collapsed".
    """
    elbo = [float(value) for value in history["elbo"]]
    size = max(1, len(elbo) // 10)
    last = sum(elbo[-size:]) / size
    gain = last - sum(elbo[-2 * size : -size]) / size if len(elbo) > 1 else None
    found = {
        "elbo_at_end": last,
        "elbo_gain": gain,
        "converged": None if gain is None else gain <= CONVERGED,
        "kl_weight_at_end": float(kl_weight),
        "is_bound": is_bound,
    }
    if weight_kl is not None:
        found |= {"weight_kl": float(weight_kl), "collapsed": weight_kl < COLLAPSED}
    return found


def convergence_of(model: Any, history: "Mapping[str, Sequence[float]]") -> dict:
    """Returns `convergence` of a model of this package that was trained, and its history."""
    layers, step = model.bayesian_layers(), int(model.optimizer.iterations)
    return convergence(
        history,
        float(model.kl_divergence(num_samples=30)) if layers else None,
        float(model.objective.kl_weight(step)),
        bool(layers or getattr(model, "latents", ())),
    )


def conclusion(found: Mapping) -> str:
    """Returns what `convergence` found, in words."""
    name = "ELBO at KL weight 1" if found["is_bound"] else "training objective"
    words = [f"{name}: {found['elbo_at_end']:.3f} nats per example"]
    if "weight_kl" in found:
        words.append(f"KL of the weights: {found['weight_kl']:,.1f} nats")
    if found["kl_weight_at_end"] != 1:
        words.append(
            f"trained with KL weight {found['kl_weight_at_end']:g} at the end: a posterior at "
            "another temperature, and not the optimum of this bound"
        )
    if found["elbo_gain"] is not None:
        verb = "converged" if found["converged"] else "not converged"
        words.append(
            f"{verb}: the last tenth of the epochs changed it by {found['elbo_gain']:+.4f}"
        )
    if found.get("collapsed"):
        words.append("collapsed: the posterior is the prior, the weights have learned nothing")
    return "; ".join(words)
