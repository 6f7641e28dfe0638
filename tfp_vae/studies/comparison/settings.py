"""What a comparison does: the settings that all of its parts share."""

import dataclasses

from tfp_vae import methods
from tfp_vae.arguments import check_choice, check_count, check_number
from tfp_vae.data import CORRUPTIONS, Data, Kind
from tfp_vae.report import TASKS

BUDGETS = ("quick", "full")
MATCHES = ("parameters", "seconds")
# Levels of `data.CORRUPTIONS` by budget: the quick one has fewer of them and fewer levels.
_QUICK_CORRUPTIONS = {"rotation": (0, 2, 4, 6), "noise": (0, 1, 3, 5)}
_FULL_CORRUPTIONS = {name: tuple(range(len(levels))) for name, levels in CORRUPTIONS.items()}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much is spent on every model, and on which tasks.

    `Settings.of(budget, data)` chooses the sizes for a data set.

    Attributes:
        budget: "quick" or "full".
        match: what all models have alike: "parameters" (numbers that are trained; the widths of
            the hidden layers follow) or "seconds" of training (the epochs follow).
        estimator: of the Bayesian network, see `methods.ESTIMATORS`.
        hidden: width of both hidden layers of the maximum-likelihood network, whose parameters are
            what the others are matched to.
        latent_dim: of the VAEs.
        epochs: of every model, with match "parameters".
        seconds: of training, with match "seconds".
        batch_size: examples per step.
        learning_rate: what `rates` are multiples of.
        rate_factors: of `learning_rate` to each of `rates`.
        trial: share of the epochs that each of `rates` is tried for.
        members: networks of the ensemble.
        num_samples: S, draws of the weights or latents behind a prediction.
        num_importance_samples: S of log p(x), per class where there are classes.
        num_chains: pseudo-Gibbs chains per example with missing pixels, of the VAEs; what they miss
            importance weights make up for, so that few do. See `evaluation.marginal`.
        num_sweeps: of each of these chains.
        num_examples: test examples, at most, of all tasks but classification.
        tasks: some of `report.TASKS`.
        corruptions: {name in `data.CORRUPTIONS`: levels}.
        missing: {pattern in `data.PATTERNS`: shares of missing pixels}.
        label_counts: labels to learn from; a count that the data do not have is left out.
        ood: names of other data sets that are out of distribution (OOD) for this one.
        held_out: whether each class in turn is held out, one per seed, as another OOD set.
        regret_steps: of `evaluation.likelihood_regret`; 0 leaves the score out.
        jit: whether training is compiled by XLA.
    """

    budget: str = "quick"
    match: str = "parameters"
    estimator: str = "local"
    hidden: int = 64
    latent_dim: int = 16
    epochs: int = 50
    seconds: float = 10.0
    batch_size: int = 32
    learning_rate: float = 1e-3
    rate_factors: "tuple[float, ...]" = (1.0, 3.0, 10.0, 30.0, 100.0)
    trial: float = 0.25
    members: int = 5
    num_samples: int = 50
    num_importance_samples: int = 50
    num_chains: int = 16
    num_sweeps: int = 20
    num_examples: int = 200
    tasks: "tuple[str, ...]" = TASKS
    corruptions: "dict[str, tuple[int, ...]]" = dataclasses.field(default_factory=dict)
    missing: "dict[str, tuple[float, ...]]" = dataclasses.field(default_factory=dict)
    label_counts: "tuple[int, ...]" = ()
    ood: "tuple[str, ...]" = ()
    held_out: bool = False
    regret_steps: int = 0
    jit: bool = False

    def __post_init__(self):
        for name, value, known in (
            ("budget", self.budget, BUDGETS),
            ("match", self.match, MATCHES),
            ("estimator", self.estimator, methods.ESTIMATORS),
        ):
            check_choice(name, value, known)
        positive = "hidden latent_dim epochs seconds batch_size members num_samples"
        for name in (*positive.split(), "num_importance_samples", "num_examples", "num_chains"):
            check_number(name, getattr(self, name), above=0)

        check_number("learning_rate", self.learning_rate, above=0)
        check_count("number of rate_factors", len(self.rate_factors))
        for factor in self.rate_factors:
            check_number("one of rate_factors", factor, 1)
        check_number("trial", self.trial, above=0, below=1.0 + 1e-9)

    @property
    def rates(self) -> "tuple[float, ...]":
        """The learning rates of Adam at step 0, falling to 0 along half a cosine.

        From several every model gets its own, by `Entrant.objective` on validation data after
        `trial` of the epochs.
        """
        return tuple(factor * self.learning_rate for factor in self.rate_factors)

    @classmethod
    def of(cls, budget: str, data: Data, **given) -> "Settings":
        """Returns the settings of a budget for a data set; `given` ones take precedence.

        Raises:
            ValueError: for impossible settings.
        """
        is_large = len(data.train) > 10_000
        chosen = {
            "hidden": 256 if is_large else 64,
            # A pass over few examples is mostly overhead: small batches, more steps per pass.
            "epochs": 20 if is_large else 50,
            "batch_size": 128 if is_large else 32,
            "seconds": 120.0 if is_large else 5.0,
            "jit": is_large,
        }
        if budget == "quick":
            chosen |= {
                "tasks": tuple(task for task in TASKS if task != "labels"),
                "corruptions": _QUICK_CORRUPTIONS,
                "missing": {"random": (0.5, 0.8)},
                "num_examples": 200,
                "num_chains": 8,
                "num_sweeps": 10,
                "rate_factors": (3.0, 10.0, 30.0, 100.0),
            }
            if "labels" in (given.get("tasks") or ()):
                chosen["label_counts"] = (10, 100)
        else:
            chosen |= {
                "epochs": 60 if is_large else 150,
                # What is best after a quarter of the epochs is not what is best after all of them.
                "trial": 1.0,
                "num_samples": 100,
                "num_importance_samples": 200,
                "num_examples": 1000,
                "corruptions": _FULL_CORRUPTIONS,
                "missing": {name: (0.1, 0.3, 0.5, 0.7, 0.9) for name in ("random", "block")},
                "label_counts": (10, 100, 1000, len(data.train)),
                "held_out": True,
                "regret_steps": 100,
            }
        given = {name: value for name, value in given.items() if value is not None}
        return cls(budget=budget, **(chosen | given))

    def plan(self) -> dict:
        """Returns the settings as a JSON-ready dict."""
        return dataclasses.asdict(self)


def check_data(data: Data) -> None:
    """Raises `ValueError` unless `data` are labelled images, which every task can be done with."""
    if data.task != "classification" or len(data.shape) != 3 or data.kind is not Kind.UNIT_INTERVAL:
        raise ValueError(
            f"{data.name} cannot be compared on. Expected labelled images (H, W, channels) of kind "
            f"'unit_interval'. Received examples of shape {data.shape}, kind '{data.kind}', "
            f"{'with' if data.task == 'classification' else 'without'} labels."
        )
