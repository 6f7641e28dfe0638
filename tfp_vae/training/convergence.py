"""Whether a bound was optimised: what a result of variational inference has to say of itself."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

CONVERGED = 0.01  # nats per example, that a tenth of the epochs may still add
COLLAPSED = 1.0  # nats, below which a posterior of weights is its prior
AGREE = 1.1  # R-hat of predictions, above which chains have not found one distribution


def convergence(
    history: "Mapping[str, Sequence[float]]",
    weight_kl: "float | None" = None,
    kl_weight: float = 1.0,
    is_bound: bool = True,
    point_log_prior: "float | None" = None,
    num_classes: "int | None" = None,
) -> dict:
    """Returns what is known of the end of a training, JSON-ready.

    Args:
        history: of Keras, with "elbo": the bound with KL weight 1, per epoch, in nats per example.
        weight_kl: KL(q(w) || p(w)) in nats at the end; None where no weights have a posterior.
        kl_weight: that the last step was trained with.
        is_bound: whether "elbo" is one: not of a network whose weights are points and which has no
            latents, where it is log p(y|x, w), with the prior of the weights if there is one.
        point_log_prior: log p(v) in nats of weights that are points beside those with a posterior;
            None where there are none or they have no prior.
        num_classes: K of a classifier, whose guess has log 1/K; None where there are no classes.

    Returns:
        "is_bound";
        "elbo_at_end": mean of the last tenth of the epochs; "elbo_gain": that minus the mean of the
        tenth before, None with fewer than two epochs; "converged": whether the gain is at most
        `CONVERGED`, None where it is not known; "kl_weight_at_end"; with `weight_kl`, "weight_kl"
        and "collapsed"; with `point_log_prior` that; of classes without it "guess" too, and
        "below_guess", whether the bound is below it.
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
        # log p(v) in the bound is a density, which no guess has.
        classes = num_classes if point_log_prior is None else None
        found |= {"weight_kl": float(weight_kl), **_worth(last, weight_kl, classes)}
    if point_log_prior is not None:
        found["point_log_prior"] = float(point_log_prior)
    return found


def slope_at_end(values: "Sequence[float]") -> "float | None":
    """Returns what a bound gains per epoch in the last tenth of its epochs, by least squares.

    Args:
        values: of the epochs. The last ten, or all, where a tenth is less.

    Returns:
        Nats per epoch; None of fewer than two epochs.
    """
    last = np.asarray(values, np.float64)[-max(10, len(values) // 10) :]
    return float(np.polyfit(np.arange(len(last)), last, 1)[0]) if len(last) > 1 else None


def _worth(elbo: float, kl: float, num_classes: "int | None") -> dict:
    """Returns whether a posterior is its prior, and of classes whether its bound is below a guess.

    To guess is what a prior of scale 0 does, so that a bound below it says that what was learned
    is not worth its KL.
    """
    found: dict = {"collapsed": kl < COLLAPSED}
    if num_classes:
        guess = -math.log(num_classes)
        found |= {"guess": guess, "below_guess": elbo < guess}
    return found


def convergence_of(model: Any, history: "Mapping[str, Sequence[float]]") -> dict:
    """Returns `convergence` of a model of this package that was trained, and its history."""
    one = getattr(model, "pattern", model)  # an ensemble has one network for all of its members
    layers, step = one.bayesian_layers(), int(model.optimizer.iterations)
    classes = getattr(getattr(one, "likelihood", None), "num_classes", None)
    has_points = bool(layers) and getattr(one, "weight_prior", None) is not None
    return convergence(
        history,
        float(model.posterior_kl(num_samples=30)) if layers else None,
        float(model.objective.kl_weight(step)),
        bool(layers or getattr(model, "latents", ())),
        float(model.point_log_prior()) if has_points else None,
        classes,
    )


def of_posterior(summary: Mapping, num_classes: "int | None" = None) -> dict:
    """Returns what a posterior that starts from a training says of its own end, JSON-ready.

    Args:
        summary: of its method, `methods.Method.summary`.
        num_classes: see `convergence`.

    Returns:
        Of chains "rhat_max" and "chains_agree" (`agreement`), "effective_sample_size_min",
        "energy_error" or "divergences" where they have one, the share of steps whose energy left
        the numbers, and "chains_diverged", how many were left out; of a
        posterior with a bound "posterior_elbo", at temperature 1, "posterior_kl",
        "posterior_temperature", "collapsed", and of classes "guess" and "below_guess". Nothing of
        others.
    """
    found = {}
    if "rhat_max" in summary:
        found = agreement(summary["rhat_max"])
        found["chains_diverged"] = len(summary.get("diverged_chains", ()))
        kept = ("effective_sample_size_min", "energy_error", "divergences")
        found |= {name: summary[name] for name in kept if name in summary}
    if "posterior_elbo" in summary:
        kept = ("posterior_elbo", "posterior_kl", "posterior_temperature")
        found |= {name: summary[name] for name in kept}
        found |= _worth(summary["posterior_elbo"], summary["posterior_kl"], num_classes)
    return found


def agreement(rhat: "float | None") -> dict:
    """Returns whether chains found one distribution, JSON-ready.

    Args:
        rhat: the largest R-hat of predictions; None where a chain stands still.

    Returns:
        "rhat_max", and "chains_agree": whether it is at most `AGREE`.
    """
    return {"rhat_max": rhat, "chains_agree": rhat is not None and rhat <= AGREE}


def conclusion(found: Mapping) -> str:
    """Returns what `convergence` found, in words, and what the posterior behind it says of itself.

    Args:
        found: of `convergence`, with the summary of the method or what `of_posterior` took of it.
    """
    name = "ELBO at KL weight 1" if found["is_bound"] else "training objective"
    words = [f"{name}: {found['elbo_at_end']:.3f} nats per example"]
    if "weight_kl" in found:
        words.append(f"KL of the weights: {found['weight_kl']:,.1f} nats")
    if "point_log_prior" in found:
        words.append(
            f"log p of the weights that are points: {found['point_log_prior']:,.1f} nats, in the "
            "bound, which is one of log p(y, v|x) with these weights v"
        )
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
    if "posterior_elbo" in found:
        words.append(
            f"ELBO of the posterior at temperature 1: {found['posterior_elbo']:.3f} nats per "
            f"example; KL of the weights: {found['posterior_kl']:,.1f} nats"
        )
    if found.get("below_guess"):
        words.append(
            f"below guessing, which has {found['guess']:.3f}: what the weights have learned is not "
            "worth their KL"
        )
    if found.get("collapsed"):
        words.append("collapsed: the posterior is the prior, the weights have learned nothing")
    if "rhat_max" in found:
        words.append(_agreement(found["rhat_max"]))
    if found.get("effective_sample_size_min") is not None:
        words.append(f"effective sample size: at least {found['effective_sample_size_min']:.0f}")
    if "energy_error" in found:
        words.append(f"energy error: {found['energy_error']:.2g}")
    if found.get("divergences"):
        words.append(f"steps that diverged: {found['divergences']:.1%}")
    diverged = found.get("chains_diverged", len(found.get("diverged_chains", ())))
    if diverged:
        words.append(f"chains that diverged and were left out: {diverged}")
    return "; ".join(words)


def _agreement(rhat: "float | None") -> str:
    """Returns whether chains found one distribution, in words."""
    if rhat is None:
        return "chains not converged: one of them stands still and has no R-hat"
    if agreement(rhat)["chains_agree"]:
        return f"chains converged: R-hat of predictions is at most {rhat:.3f}"
    return (
        f"chains not converged: R-hat of predictions is up to {rhat:.2f} and should be at most "
        f"{AGREE:g}; the draws are those of several modes, each explored for itself"
    )
