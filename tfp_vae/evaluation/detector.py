"""`Detector`: which examples are none of the kind that a VAE was trained on, and why.

    detector = tv.Detector(vae).fit(data.validation, false_positive_rate=0.01)
    detector.labels(x), detector.p_values(x), detector.explain(x)

A score is one fixed function of an example: the draws of q(z|x) behind log p(x) are made of noise
that is the same for all examples and calls. So the scores of held-out and of new examples of the
same kind are exchangeable, p-values are exact, and an export gives the same scores.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae import notebooks
from tfp_vae.arguments import check_choice, check_count, check_number, check_seed, check_type
from tfp_vae.conformal import limit, p_values, rows_needed
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.portable import logsumexp
from tfp_vae.evaluation import checks
from tfp_vae.evaluation.missing import impute
from tfp_vae.evaluation.ood import base
from tfp_vae.files import replacing
from tfp_vae.models import VAE
from tfp_vae.models.graphs import compiled
from tfp_vae.models.memory import in_batches
from tfp_vae.reading import json_of, read_text

DEFAULT_RATE = 0.01
DEFAULT_SAMPLES = 64
_USUAL, _EXPECTED_SAMPLES = 1000, 200


class Parts(NamedTuple):
    """What -log p(x) is made of, nats; `values` and `latents` of an example sum to it.

    Attributes:
        values: -E[log p(x_d|z)] over p(z|x) of every value, [N, *event].
        latents: KL(p(z|x) || p(z)), what the latents cost, [N].
        evidence: log p(x), importance-sampled, [N].
        elbo: the bound of the same draws, [N].
    """

    values: Any
    latents: Any
    evidence: Any
    elbo: Any


@dataclasses.dataclass(frozen=True)
class Reason:
    """One value that makes an example unusual.

    Attributes:
        name: of the column, or the place of the pixel.
        value: that it has.
        expected: its mean given all others.
        nats: how many more it costs than it does in held-out examples on average.
        levels: of a column of classes, what the numbers are called.
    """

    name: str
    value: float
    expected: float
    nats: float
    levels: "tuple[str, ...]" = ()

    def __str__(self) -> str:
        value, expected = f"{self.value:g}", f"{self.expected:.4g}"
        if self.levels:
            value, expected = (self.levels[round(each)] for each in (self.value, self.expected))
        return f"{self.name}: {value} (expected {expected}, {self.nats:+.3g} nats)"


class Detector:
    """Tells what is unusual by a VAE, with a stated rate of false alarms.

    Args:
        model: a trained VAE without a condition. Bayesian weights are at their means.
        score: a name in `evaluation.ood.SCORES` of a score of p(x), high for what is unusual.
        num_samples: S, draws of q(z|x) behind log p(x).
        seed: of their noise; the model's by default.
        options: of the score "likelihood_regret".

    Attributes:
        held_out: scores of the examples of `fit`, sorted; None before it.
        false_positive_rate: share of usual examples that `labels` flags.
        usual: mean parts of the held-out examples, [*event], nats.

    Example:
        >>> detector = tv.Detector(vae).fit(data.validation, 0.05)
        >>> detector.labels(data.test).shape
        (359,)
    """

    def __init__(
        self,
        model: VAE,
        score: str = "negative_log_evidence",
        *,
        num_samples: int = DEFAULT_SAMPLES,
        seed: "int | None" = None,
        options: "Mapping | None" = None,
    ):
        checks.unconditional(check_type("model", model, VAE, "Detector"), "A score of x")
        check_choice("score", score, base.of_kind(base.DensityScore))
        self.model, self.score_name = model, score
        self.num_samples = check_count("num_samples", num_samples)
        self.seed = model.seed if seed is None else check_seed(seed)
        self.options = dict(check_type("options", options or {}, Mapping, "Detector"))
        self.held_out: np.ndarray | None = None
        self.usual: np.ndarray | None = None
        self.reference: float | None = None
        self.false_positive_rate = DEFAULT_RATE

    def _repr_html_(self) -> str:
        count = 0 if self.held_out is None else len(self.held_out)
        rows = [(self.score_name, count, f"{100 * self.false_positive_rate:g} %")]
        return notebooks.table("Detector", ("score", "held-out scores", "false alarms"), rows)

    def trained_model(self) -> VAE:
        """Returns the model."""
        return self.model

    # The score as a function of tensors.

    def noise(self) -> "list[list[np.ndarray]]":
        """Returns the noise of the draws of each latent, float32 [S, ...], the same every time.

        Raises:
            ValueError: if draws of q(z|x) are not functions of standard numbers.
        """
        rng = np.random.default_rng([self.seed, self.num_samples])
        x = tf.zeros([1, *self.model.decoder.event_shape])
        draw, above, found = self.model.at_mean(), (), []
        for latent in self.model.latents:
            needed = draws.noise_of(draw.posterior(x, None, above))
            found.append(
                [
                    rng.standard_normal((self.num_samples, *shape), np.float32)
                    if kind == draws.NORMAL
                    else rng.random((self.num_samples, *shape), np.float32)
                    for kind, shape in needed
                ]
            )
            above = (*above, tf.zeros([1, latent.latent_dim]))
        return found

    def tensors(
        self, x: tf.Tensor, noise: "list[list[np.ndarray]] | None" = None
    ) -> "dict[str, tf.Tensor]":
        """Returns log p(x), its bound and its parts, by operations that every runtime has.

        Args:
            x: examples [B, *event].
            noise: of `noise`, which it calls by default.

        Returns:
            The fields of `Parts`, tensors.
        """
        count = self.num_samples
        draw, above, log_w = self.model.at_mean(), (), 0.0
        for each in noise or self.noise():
            posterior, prior = draw.posterior(x, None, above), draw.prior(None, above)
            z, log_q = draws.from_noise(posterior, *(_for_all(part, x) for part in each))
            log_w += draws.log_prob(prior, z) - log_q()
            above = (*above, z)
        rows = tf.reshape(above[-1], [-1, above[-1].shape[-1]])
        # Values side by side: LiteRT has no operations for as many axes as images take here.
        flat = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        tiled = tf.reshape(tf.tile(flat, [count, 1]), [-1, *x.shape[1:]])
        each = log_prob_of_values(draw.likelihood(rows), tiled)
        event = each.shape[1:]
        each = tf.reshape(each, [count, -1, math.prod(event)])  # [S, B, P]
        log_likelihood = tf.reduce_sum(each, axis=2)
        log_w += log_likelihood
        total = logsumexp(log_w, 0)
        weights = tf.exp(log_w - total)
        values = -tf.reduce_sum(weights[..., tf.newaxis] * each, axis=0)
        evidence = total - np.log(np.float32(count))
        latents = -evidence - tf.reduce_sum(values, axis=1)
        return {
            "values": tf.reshape(values, [-1, *event]),
            "latents": latents,
            "evidence": evidence,
            "elbo": tf.reduce_mean(log_w, axis=0),
        }

    # Numbers.

    def parts(self, x: "Split | np.ndarray", progress: Any = None) -> Parts:
        """Returns what -log p(x) of each example is made of, float64 arrays.

        Args:
            x: a `Split` or an array [N, ...].
            progress: called with (examples done, examples in all) after every batch.
        """
        split = self.model.as_split(x).frozen()
        rows = max(1, min(1000, self.model.rows_at_once // self.num_samples))
        noise = self.noise()

        def make():
            return lambda x: self.tensors(tf.convert_to_tensor(x), noise)

        def run(_, index):
            function = compiled(self, "parts", len(index), make, jit=False)
            return {name: each.numpy() for name, each in function(split.values(index)).items()}

        found = list(in_batches(split, rows, run, progress))
        names = ("values", "latents", "evidence", "elbo")
        return Parts(
            *(
                np.concatenate([part[name][:size] for part, size in found]).astype(np.float64)
                for name in names
            )
        )

    def score(self, x: "Split | np.ndarray", progress: Any = None) -> np.ndarray:
        """Returns the score of each example, float64 [N]; in nats for all but complexity, in bits.

        Args:
            x: a `Split` or an array [N, ...].
            progress: called with (examples done, examples in all) after every batch.
        """
        split = self.model.as_split(x)
        return self._score_of(split, lambda: self.parts(split, progress))

    def _score_of(self, split, parts):
        def bounds():
            found = parts()
            return found.evidence, found.elbo

        seen = base.Density(split, bounds, self.reference, self.model, self.options)
        score = base.SCORES[self.score_name]()
        score.check(seen)
        return np.asarray(score(seen), np.float64)

    def fit(
        self,
        held_out: "Split | np.ndarray",
        false_positive_rate: float = DEFAULT_RATE,
        *,
        reference: "float | None" = None,
    ) -> "Detector":
        """Takes the scores of usual examples that the model was not trained on; returns itself.

        Args:
            held_out: a `Split` or an array [n, ...].
            false_positive_rate: share of usual examples that `labels` is to flag, in (0, 1).
            reference: of "typicality": the mean log p(x) of examples of the training; by default
                that of the first half of the held-out ones, whose second half is then ranked.

        Raises:
            ValueError: if a rate so low takes more examples: 1 / rate - 1.
        """
        split = self.model.as_split(held_out)
        check_number("false_positive_rate", false_positive_rate, above=0, below=1)
        self._check_rows(len(split), false_positive_rate)
        parts = self.parts(split)
        self.usual = parts.values.mean(axis=0)
        self.reference = reference
        if self.score_name == "typicality" and reference is None:
            half = len(split) // 2
            self._check_rows(len(split) - half, false_positive_rate)
            self.reference = float(parts.evidence[:half].mean())
            split = split.select(slice(half, None), split.name)
            parts = Parts(*(each[half:] for each in parts))
        self.held_out = np.sort(self._score_of(split, lambda: parts))
        self.false_positive_rate = float(false_positive_rate)
        return self

    def change_rate(self, false_positive_rate: float) -> None:
        """Flags another share of usual examples from now on; see `fit` for errors."""
        check_number("false_positive_rate", false_positive_rate, above=0, below=1)
        self._check_rows(len(self._fitted()), false_positive_rate)
        self.false_positive_rate = float(false_positive_rate)

    @staticmethod
    def _check_rows(have, rate):
        if have < rows_needed(rate):
            raise ValueError(
                f"The false-positive rate {rate:g} takes more held-out rows. Expected at least "
                f"{rows_needed(rate)}, 1 / rate - 1, or a rate of at least {1 / (have + 1):.3g}. "
                f"Received {have} rows."
            )

    def _fitted(self) -> np.ndarray:
        if self.held_out is None:
            raise ValueError(
                "The detector knows no usual examples. Expected fit(held_out) before. Received a "
                "Detector that was never fitted."
            )
        return self.held_out

    @property
    def threshold(self) -> float:
        """The score above which an example is flagged."""
        return limit(self._fitted(), 1 - self.false_positive_rate, "1 - false_positive_rate")

    def p_values(self, x: "Split | np.ndarray") -> np.ndarray:
        """Returns how often a usual example has such a score or a higher one, [N] in (0, 1].

        Ranks among held-out scores: uniform for usual examples, exactly so.
        """
        return self.p_values_of(self.score(x))

    def p_values_of(self, scores: np.ndarray) -> np.ndarray:
        """Returns `p_values` of scores [N] that are known already."""
        return p_values(self._fitted(), scores)

    def labels(self, x: "Split | np.ndarray") -> np.ndarray:
        """Returns which examples are unusual, bool [N]: those with a score above `threshold`."""
        return self.score(x) > self.threshold

    def explain(
        self, x: "Split | np.ndarray", most: int = 3, num_samples: int = _EXPECTED_SAMPLES
    ) -> "list[list[Reason]]":
        """Returns for each example the values that cost more than usual, the dearest first.

        What is expected in the place of each is its mean given all other values.

        Args:
            x: a `Split` or an array [N, ...]; as few as are to be explained.
            most: values per example at most.
            num_samples: draws behind each expected value.
        """
        self._fitted()
        split, most = self.model.as_split(x).frozen(), check_count("most", most)
        extra = (self.parts(split).values - self.usual).reshape(len(split), -1)
        values = split.values().reshape(len(split), -1)
        extra[np.isnan(values)] = -np.inf  # what is missing costs nothing, and is no reason
        order = np.argsort(-extra, axis=1)[:, :most]
        rows = np.arange(len(split))
        expected = np.empty(order.shape)
        for rank in range(order.shape[1]):
            seen = np.ones(values.shape, bool)
            seen[rows, order[:, rank]] = False
            shape = (len(split), *self.model.decoder.event_shape)
            filled = self._expected(split, seen.reshape(shape), num_samples)
            expected[:, rank] = filled.reshape(len(split), -1)[rows, order[:, rank]]
        names, schema = self.names(split), getattr(self.model.decoder, "schema", None)
        levels = [()] * len(names) if schema is None else [column.levels for column in schema]
        return [
            [
                Reason(
                    names[d],
                    float(values[row, d]),
                    float(expected[row, rank]),
                    float(extra[row, d]),
                    levels[d],
                )
                for rank, d in enumerate(order[row])
                if extra[row, d] > 0
            ]
            for row in rows
        ]

    def _expected(self, split, seen, num_samples):
        if getattr(self.model.decoder, "takes_missing", False):  # so does its encoder
            hidden = np.where(seen, split.values(), np.float32(np.nan))
            draw, x = self.model.at_mean(), tf.constant(hidden)
            columns = draw.likelihood(draw.centre(x, None), None).distribution
            return columns.given(x).mean().numpy()
        try:
            return impute(
                self.model, split.values(), seen, num_samples, num_chains=8, num_sweeps=10
            )
        except ValueError:  # several latents, or one that no proposal is made for
            return self.model.reconstruct(tf.constant(split.values())).numpy()

    def names(self, split: "Split | None" = None) -> "list[str]":
        """Returns what the values of an example are called: columns, or places (row, column)."""
        columns = self.model.columns or (split.columns if split is not None else None)
        shape = self.model.decoder.event_shape
        if columns is not None and len(shape) == 1:
            return list(columns)
        if len(shape) == 1:
            return [f"column {d}" for d in range(shape[0])]
        return [f"pixel {tuple(map(int, place))}" for place in np.ndindex(*shape)]

    # Kept beside the model.

    def save(self, path: "str | pathlib.Path") -> None:
        """Writes all but the model as JSON."""
        known = {
            "score": self.score_name,
            "num_samples": self.num_samples,
            "seed": self.seed,
            "options": self.options,
            "false_positive_rate": self.false_positive_rate,
            "reference": self.reference,
            "held_out": self._fitted().tolist(),
            "usual": np.asarray(self.usual).tolist(),
        }
        with replacing(pathlib.Path(path)) as written:
            written.write_text(f"{json.dumps(known)}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: "str | pathlib.Path", model: VAE) -> "Detector":
        """Returns the detector that `save` wrote.

        Args:
            path: of the file.
            model: the VAE that it was made with.

        Raises:
            ValueError: if the file is damaged, or of a model of other data.
        """
        known = json_of(read_text(path), str(path))
        try:
            found = cls(
                model,
                known["score"],
                num_samples=known["num_samples"],
                seed=known["seed"],
                options=known["options"],
            )
            # p-values are ranks among these.
            found.held_out = np.sort(np.asarray(known["held_out"], np.float64))
            found.usual = np.asarray(known["usual"], np.float64)
            shapes = found.held_out.ndim, found.usual.shape
            finite = np.isfinite(found.held_out).all() and np.isfinite(found.usual).all()
            if shapes != (1, tuple(model.decoder.event_shape)) or not finite:
                raise ValueError(f"scores and parts that are not finite numbers of {shapes}")
            if known["reference"] is not None:
                found.reference = check_number("reference", known["reference"])
            found.change_rate(known["false_positive_rate"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"{path} holds no detector of this model. Expected a file that Detector.save "
                f"wrote. Received {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            ) from error
        return found


def log_prob_of_values(likelihood: tfd.Distribution, x: tf.Tensor) -> tf.Tensor:
    """Returns log p of every value of examples x [B, *event], nats, [B, *event].

    Args:
        likelihood: of a decoder, batch shape [B], whose values are independent.
        x: examples.
    """
    head = getattr(likelihood, "head", None)
    if head is not None:
        return head.portable_log_prob(head.parameters(likelihood.features), x)
    inner = getattr(likelihood, "distribution", None)
    if inner is None:  # no parts: one of the whole
        return likelihood.log_prob(x)
    return inner.log_prob(x)


def _for_all(noise: np.ndarray, x: tf.Tensor) -> tf.Tensor:
    """Returns noise [S, ...] as that of every example, [S, B, ...], by operations that all have."""
    ones = tf.ones_like(tf.reshape(x, [tf.shape(x)[0], -1])[:, 0])  # [B]
    axes = [1, -1] + [1] * (noise.ndim - 1)
    return noise[:, np.newaxis] * tf.reshape(ones, axes)
