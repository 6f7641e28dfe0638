"""The ladder of bounds: how near each comes to log p(x), on the same examples.

    ELBO <= L_1 <= L_10 <= L_100 <= L_5000 <= AIS <= log p(x) <= reverse AIS

ELBO and L_1 have one expectation; each L_S is at least the one before (Burda et al., 2016), and
what is between AIS and reverse AIS holds the truth on data that the model made (Grosse et al.,
2015). All in nats per example; what a rung gains is a paired difference.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfp_vae import evaluation, plots, report
from tfp_vae.arguments import check_count
from tfp_vae.data import Kind, Split
from tfp_vae.evaluation import annealing
from tfp_vae.evaluation.bounds import standard_error
from tfp_vae.layers.noise import MEAN
from tfp_vae.models import VAE
from tfp_vae.models.proposals import Joint, check_spans_space
from tfp_vae.randomness import fold_in
from tfp_vae.studies.exact import EXACT, ExactModel
from tfp_vae.training import Progress

SAMPLES = (1, 10, 100, 5000)  # of the L_S
ELBO, AIS, TRUTH, REVERSE = "ELBO", "AIS", "exact", "reverse AIS"
_MANY = 1000  # draws of an example, from where on the time left is told
_MOST_ERRORS = 3.0  # that a rung may be below the one before


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the bounds are estimated.

    Attributes:
        num_examples: of each set of examples.
        num_steps: see `evaluation.ais`.
        num_chains: see `evaluation.ais`.
        schedule: see `evaluation.ais`.
        start: see `evaluation.ais`.
        num_elbo_samples: of the ELBO.
        samples: each S of the L_S.
        seed: fixes examples and draws.
    """

    num_examples: int = 100
    num_steps: int = 1000
    num_chains: int = 16
    schedule: str = "sigmoid"
    start: str = "prior"
    num_elbo_samples: int = 100
    samples: "tuple[int, ...]" = SAMPLES
    seed: int = 0

    def annealing(self) -> dict:
        """Returns the arguments of `evaluation.ais`."""
        names = ("num_steps", "num_chains", "schedule", "start", "seed")
        return {name: getattr(self, name) for name in names}


class Rung(NamedTuple):
    """One bound.

    Attributes:
        name: such as "L_10".
        values: of the examples, [N], nats.
    """

    name: str
    values: np.ndarray


class Ladder(NamedTuple):
    """The bounds on one set of examples, lowest first.

    Attributes:
        rungs: the bounds.
        acceptance: share of moves that the chains accepted, by the name of the bound.
        missing: why there is no annealing; None where there is.
    """

    rungs: "tuple[Rung, ...]"
    acceptance: "dict[str, float]"
    missing: "str | None" = None

    def rows(self) -> "list[dict]":
        """Returns name, mean, error, and what is gained on the rung below, JSON-ready."""
        found = []
        for number, rung in enumerate(self.rungs):
            row = {
                "bound": rung.name,
                "mean": float(rung.values.mean()),
                "se": standard_error(rung.values),
            }
            if number:
                gain = rung.values - self.rungs[number - 1].values
                row |= {"gain": float(gain.mean()), "gain_se": standard_error(gain)}
            found.append(row)
        return found

    def disorder(self) -> "list[str]":
        """Returns a sentence for each rung that is below the one before by more than its noise."""
        found = []
        for before, row in zip(self.rungs, self.rows()[1:], strict=False):
            if row["gain_se"] is not None and row["gain"] < -_MOST_ERRORS * row["gain_se"]:
                found.append(
                    f"{row['bound']} is {-row['gain']:.3g} nats below {before.name}: a bound from "
                    "below that needs more steps, or the other start."
                )
        return found


def check(vae: VAE) -> None:
    """Raises `ValueError` if the bounds of a model would not be of one function p(x)."""
    if not isinstance(vae, VAE):
        raise ValueError(
            f"Bounds on log p(x) are those of a VAE. Expected the folder of one. Received a "
            f"{type(vae).__name__}."
        )
    if vae.random_layers():
        raise ValueError(
            "The bounds of random weights are those of many models. Expected a VAE whose weights "
            f"are points. Received {len(vae.random_layers())} layers that draw."
        )


def of_data(vae: VAE, split: Split, settings: Settings, verbose: bool = False) -> Ladder:
    """Returns the ladder, up to AIS, of the first examples of a split."""
    check(vae)
    split = split.take(min(settings.num_examples, len(split))).frozen()
    missing = _why_not(vae, split)
    if missing:
        return Ladder(_importance(vae, split, settings, verbose), {}, missing)
    progress = Progress(f"AIS of {split.name}, step") if verbose else None
    found = evaluation.ais(vae, split, progress=progress, **settings.annealing())
    rungs = (*_importance(vae, split, settings, verbose), Rung(AIS, found.log_evidence))
    return Ladder(rungs, {AIS: float(found.acceptance.mean())})


def of_simulated(
    vae: VAE,
    settings: Settings,
    exact: "ExactModel | None" = None,
    given: "np.ndarray | None" = None,
    verbose: bool = False,
) -> Ladder:
    """Returns the whole ladder of examples that the model makes.

    Args:
        vae: the model.
        settings: how.
        exact: the model with the log p(x) that it has, where that is known.
        given: what a conditional model is conditioned on, [N, ...]; classes take turns without it.
        verbose: show progress.
    """
    check(vae)
    count = check_count("num_examples", settings.num_examples)
    given = annealing.conditions(vae, count, given)
    _, split = annealing.simulate(vae, count, given, fold_in(settings.seed))
    missing = _why_not(vae, split, given)
    acceptance, above = {}, ()
    if not missing:
        progress = Progress("AIS both ways, step") if verbose else None
        found = evaluation.bdmc(vae, count, given=given, progress=progress, **settings.annealing())
        split = found.examples
        below = (Rung(AIS, found.lower.log_evidence),)
        above = (Rung(REVERSE, found.upper.log_evidence),)
        acceptance = {
            AIS: float(found.lower.acceptance.mean()),
            REVERSE: float(found.upper.acceptance.mean()),
        }
    else:
        below = ()
    truth = () if exact is None else (Rung(TRUTH, exact.log_evidence(split.values())),)
    rungs = _importance(vae, _as_given(vae, split, given), settings, verbose)
    return Ladder((*rungs, *below, *truth, *above), acceptance, missing)


def of_run(
    vae: VAE,
    split: "Split | None",
    settings: Settings,
    exact: "ExactModel | None" = None,
    verbose: bool = False,
) -> "dict[str, Ladder]":
    """Returns the ladders of a split and of examples that the model makes, by their names.

    Args:
        vae: the model.
        split: the data, or None for the second alone.
        settings: how.
        exact: see `of_simulated`.
        verbose: show progress.
    """
    found, given = {}, None
    if split is not None:
        found[split.name] = of_data(vae, split, settings, verbose)
        known = vae.given_of(split.frozen())
        if known is not None:
            given = np.resize(known, (settings.num_examples, *known.shape[1:]))
    found["drawn from the model"] = of_simulated(vae, settings, exact, given, verbose)
    return found


def _as_given(vae, split, given):
    """Returns simulated examples as the model takes them: of its own kinds, with conditions."""
    kind = vae.data_kind or vae.candidate_kinds()[0]
    if Kind.REAL in vae.decoder.kinds:
        kind = Kind.REAL  # a normal leaves the range of the data
    elif kind.is_binary:
        kind = Kind.STATIC
    beside = {} if given is None else vae.condition.beside(given)
    return Split(split.values(), kind, name=split.name, **beside)


def _why_not(vae, split, given=None):
    """Returns why chains cannot move, or None."""
    few = np.arange(1)
    given = vae.given_of(split) if given is None else given
    condition = None if given is None else given[few]
    try:
        check_spans_space(vae, "annealed importance sampling")
        Joint(vae.at(0, MEAN), split.values(few), condition).check_gradient(fold_in(0))
    except ValueError as error:
        return str(error)
    return None


def _importance(vae, split, settings, verbose):
    elbo = vae.elbo(split, settings.num_elbo_samples, seed=settings.seed)
    found = [Rung(ELBO, np.asarray(elbo, np.float64))]
    for count in settings.samples:
        told = verbose and count >= _MANY
        progress = Progress(f"L_{count} of {split.name}, example") if told else None
        bounds = vae.bounds(split, count, seed=settings.seed, progress=progress)
        found.append(Rung(f"L_{count}", np.asarray(bounds.log_evidence, np.float64)))
    return tuple(found)


def made(name: str, seed: int) -> ExactModel:
    """Returns an exact model by its name in `studies.exact.EXACT`."""
    return EXACT[name](seed=seed)


def text(ladders: "dict[str, Ladder]") -> str:
    """Returns the ladders as lines to read, by the name of their examples."""
    lines = []
    for title, ladder in ladders.items():
        count = len(ladder.rungs[0].values)
        lines.append(f"{title}, {count} example{'s' * (count != 1)}, nats per example")
        for row in ladder.rows():
            error = "" if row["se"] is None else f" +- {row['se']:.3f}"
            line = f"  {row['bound']:<12}{row['mean']:>12.4f}{error}"
            if "gain" in row:
                error = "" if row["gain_se"] is None else f" +- {row['gain_se']:.4f}"
                line += f"   gains {row['gain']:.4f}{error}"
            lines.append(line)
        lines += _between(ladder)
        for name, share in ladder.acceptance.items():
            lines.append(f"  {name}: {share:.0%} of moves accepted")
        lines += [f"  {sentence}" for sentence in ladder.disorder()]
        if ladder.missing:
            lines.append(f"  no AIS. {ladder.missing}")
    return "\n".join(lines)


def _between(ladder):
    """Returns the line that says where log p(x) is, of a ladder that is closed above."""
    means = {rung.name: float(rung.values.mean()) for rung in ladder.rungs}
    if REVERSE not in means:
        return []
    gap = means[REVERSE] - means[AIS]
    return [f"  log p(x) is between {AIS} and {REVERSE}, {gap:.4f} nats apart in the mean"]


def write(
    run: report.RunFolder, ladders: "dict[str, Ladder]", settings: Settings, source: dict
) -> str:
    """Writes bounds.json, bounds.txt and bounds.png into a run folder and returns the text.

    Args:
        run: the folder.
        ladders: by the name of their examples.
        settings: how they were estimated.
        source: what the file says of where data and model come from.
    """
    lines = text(ladders)
    values = {
        **source,
        "settings": dataclasses.asdict(settings),
        "ladders": {title: ladder.rows() for title, ladder in ladders.items()},
        "acceptance": {title: ladder.acceptance for title, ladder in ladders.items()},
        "versions": report.versions(),
    }
    run.write_json("bounds.json", values)
    run.write_text("bounds.txt", f"{lines}\n")
    shown = {title: dict(ladder.rungs) for title, ladder in ladders.items()}
    run.write_figure("bounds.png", plots.bound_ladder(shown))
    return lines
