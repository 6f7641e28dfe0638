"""VAEs of tables: what missing cells may have been, and rows given some of their columns.

    log w_s = log p(x_obs|z_s) + log p(z_s) - log q(z_s|x_obs),   z_s ~ q(z|x_obs)

The encoder sees which cells are there, so that q(z|x_obs) is a proposal by itself; the weights make
up for what it misses (Mattei & Frellsen, "MIWAE", 2019, sec. 3.2). Cells are drawn by resampling:
an s with the weight w_s, then x_mis from p(x|z_s). Given columns are rows with these cells alone.
Where the model says why cells are missing, log w_s has the mask too and x_mis is from
p(x|z_s, missing); but cells that are hidden or not asked for are missing for no reason of theirs.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae import objectives
from tfp_vae.arguments import check_count, check_number
from tfp_vae.data import Schema, Split
from tfp_vae.data.schema import as_library_of, check_numbered, to_pandas
from tfp_vae.evaluation import checks
from tfp_vae.layers.noise import SHARED
from tfp_vae.models import VAE
from tfp_vae.randomness import fold_in

_ROWS = 2**17  # latents of a batch, which bounds the memory
_CANDIDATES = 32  # of a value that is missing for what it is


class Completed(NamedTuple):
    """What missing cells may have been; cells that are there are as they are in all of it.

    Attributes:
        best: means of numbers, likeliest classes, float32 [N, D].
        draws: multiple imputations, float32 [M, N, D].
        low: lower ends of the intervals of numbers, float32 [N, D]; the class itself of classes.
        high: upper ends.
        certainty: probability of the likeliest class, float32 [N, D]; 1 for numbers.
        effective_sample_size: (sum w)^2 / sum w^2 of the importance weights, [N].
    """

    best: np.ndarray
    draws: np.ndarray
    low: np.ndarray
    high: np.ndarray
    certainty: np.ndarray
    effective_sample_size: np.ndarray


def complete(
    vae: VAE,
    x: Any,
    num_draws: int = 5,
    *,
    level: float = 0.9,
    num_samples: int = 500,
    num_interval_draws: int = 400,
    hidden: "np.ndarray | None" = None,
    seed: "int | None" = None,
    first_row: int = 0,
) -> Completed:
    """Returns what the missing cells of a table may have been.

    Args:
        vae: a VAE with `decoders.Columns`, without a condition.
        x: a `Split`, a frame or an array [N, D] with NaN in missing cells.
        num_draws: M, imputations.
        level: of the central intervals.
        num_samples: S, importance samples of each row.
        num_interval_draws: draws whose quantiles the intervals are.
        hidden: bool [N, D], cells that are missing for no reason of their own, whatever the model
            says of others; none by default.
        seed: fixes the draws; the model's seed by default.
        first_row: number of the first row, of a part of a table whose other parts have draws of
            their own.

    Raises:
        ValueError: for impossible numbers, a model of another kind, or a table that does not fit.
    """
    check_count("num_draws", num_draws)
    check_count("num_samples", num_samples)
    count = max(num_draws, check_count("num_interval_draws", num_interval_draws, 2))
    tail = (1 - check_number("level", level, above=0, below=1)) / 2
    schema = vae.decoder.schema
    if schema is None:
        raise ValueError(
            "The model knows no columns. Expected a VAE with decoders.Columns, as methods.VAERecipe"
            f" builds for a table. Received one with a {type(vae.decoder).__name__}."
        )
    checks.unconditional(vae, "The completion of a table")
    split = vae.as_split(x) if not isinstance(x, Split) else vae.as_split(x).frozen()
    values, key = split.values(), vae.caller_key(seed)
    numbers = np.array([not column.kind.has_levels for column in schema])
    size = max(1, _ROWS // max(num_samples, count))
    if vae.decoder.missingness.is_modelled:
        size = max(1, size // _CANDIDATES)
    hidden = np.zeros(values.shape, bool) if hidden is None else np.asarray(hidden, bool)
    parts = []
    for start in range(0, len(values), size):
        rows = values[start : start + size]
        gone = np.isnan(rows)
        away = tf.constant(hidden[start : start + size])
        part_key = fold_in(key, first_row + start)
        here = _batch(vae, tf.constant(rows), away, num_samples, count, part_key)
        best, certainty, drawn, effective = (each.numpy() for each in here)
        drawn = np.where(gone, drawn, rows)
        best = np.where(gone, best, rows)
        low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
        parts.append(
            (
                best,
                drawn[:num_draws],
                np.where(numbers, low, best),
                np.where(numbers, high, best),
                np.where(gone & ~numbers, certainty, 1.0),
                effective,
            )
        )
    found = [
        np.concatenate(each, axis=int(i == 1)) for i, each in enumerate(zip(*parts, strict=True))
    ]
    return Completed(*(each.astype(np.float32) for each in found))


def _batch(vae, x, hidden, num_samples, count, key):
    """Returns best guesses and certainties [B, D], draws [R, B, D] and the sizes [B]."""
    reasons = vae.decoder.missingness.is_modelled
    draw = vae.at(fold_in(key, 0), SHARED)
    latents = draw.infer(x, num_samples, None, None, fold_in(key, 1))
    z = vae.code([latent.value for latent in latents])  # [S, B, D]
    columns = draw.likelihood(z, None).distribution.given(x)
    each = columns.at_random().log_prob(x)
    if reasons:
        each = tf.where(hidden, each, columns.log_prob(x))
    log_likelihood = tf.reduce_sum(each, axis=-1)
    log_w = objectives.Terms(log_likelihood, latents).log_weights()  # [S, B]
    w = tf.nn.softmax(log_w, axis=0)
    chosen = tf.random.stateless_categorical(tf.transpose(log_w), count, fold_in(key, 2))
    picked = tf.gather(tf.transpose(z, [1, 0, 2]), chosen, batch_dims=1)  # [B, R, D]
    again = draw.likelihood(tf.transpose(picked, [1, 0, 2]), None).distribution.given(x)
    drawn = again.sample(seed=fold_in(key, 3))
    if reasons:
        drawn = tf.where(hidden, drawn, _drawn_missing(again, fold_in(key, 4)))
    best, certainty = [], []
    for i, (column, head, parameters) in enumerate(
        zip(columns.schema, columns.heads, columns.of_columns, strict=True)
    ):
        if column.kind.has_levels:
            if head.task == "classification":
                each = tf.nn.softmax(parameters)
            else:
                chance = head.portable_mean(parameters)
                each = tf.stack([1.0 - chance, chance], axis=-1)
            if reasons:
                of_missing = tf.nn.softmax(columns.joint_with_missing(i)[1])
                each = tf.where(hidden[:, i, tf.newaxis], each, of_missing)
            chances = tf.reduce_sum(w[..., tf.newaxis] * each, axis=0)
        else:
            each = head.portable_mean(parameters)
            if reasons:
                nodes, log_masses = columns.joint_with_missing(i)
                of_missing = tf.reduce_sum(nodes * tf.nn.softmax(log_masses), axis=-1)
                each = tf.where(hidden[:, i], each, of_missing)
            best.append(tf.reduce_sum(w * each, axis=0))
            certainty.append(tf.ones_like(best[-1]))
            continue
        best.append(tf.cast(tf.argmax(chances, axis=-1), tf.float32))
        certainty.append(tf.reduce_max(chances, axis=-1))
    effective = 1.0 / tf.reduce_sum(tf.square(w), axis=0)
    return tf.stack(best, axis=-1), tf.stack(certainty, axis=-1), drawn, effective


def _drawn_missing(columns, key):
    """Returns draws of p(x|z, missing), [..., D]: one of some draws of p(x|z), by its weight."""
    candidates = columns.sample(_CANDIDATES, seed=fold_in(key, 0))  # [M, ..., D]
    each = []
    for i in range(candidates.shape[-1]):
        log_w = columns.missingness.log_missing(i, candidates[..., i])
        noise = tf.random.stateless_uniform(tf.shape(log_w), fold_in(key, 1, i), minval=1e-20)
        chosen = tf.argmax(log_w - tf.math.log(-tf.math.log(noise)), axis=0)  # by Gumbel noise
        one_hot = tf.one_hot(chosen, _CANDIDATES, axis=0)
        each.append(tf.reduce_sum(one_hot * candidates[..., i], axis=0))
    return tf.stack(each, axis=-1)


def filled(schema: Schema, frame: Any, found: Completed, num_draws: int = 0) -> Any:
    """Returns a frame with its missing cells filled, its dtypes kept.

    Args:
        schema: of the frame.
        frame: of pandas or polars, with missing cells, its columns in any order.
        found: of `complete`.
        num_draws: 0 for the best guesses; M for M drawn tables, one below the other, with a first
            column "imputation" that numbers them from 1 on.

    Raises:
        ValueError: if drawn tables would have two columns "imputation".
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        table = filled(schema, to_pandas(frame, "given"), found, num_draws)
        return as_library_of(table, frame)
    places = _places(frame)
    if num_draws:
        check_numbered(places)

    def one(values):
        table = frame.copy()
        made = schema.decode(values, frame)
        for column in schema.names:
            place = places[column]
            gone = table[place].isna().to_numpy()
            if gone.any():
                table[place] = made[column].where(gone, table[place]).infer_objects()
        return table

    if not num_draws:
        return one(found.best)
    tables = [one(draw).assign(imputation=i + 1) for i, draw in enumerate(found.draws[:num_draws])]
    whole = pd.concat(tables)
    return whole[["imputation", *frame.columns]]


def _places(frame: Any) -> dict:
    """Returns the columns of a frame, which may be numbers or have spaces, by their names."""
    return {str(each).strip(): each for each in frame.columns}


def imputed_cells(schema: Schema, frame: Any, found: Completed) -> Any:
    """Returns a frame with a row for each missing cell: its row, column, value and interval.

    Of a class "low" and "high" are empty, and "certainty" is its probability.

    Args:
        schema: of the frame.
        frame: with missing cells.
        found: of `complete`.
    """
    import pandas as pd

    frame = to_pandas(frame, "given")
    rows, places = [], _places(frame)
    best = schema.decode(found.best)
    for place, column in enumerate(schema):
        is_class = column.kind.has_levels
        for row in np.flatnonzero(frame[places[column.name]].isna().to_numpy()):
            rows.append(
                {
                    "row": int(row),
                    "column": column.name,
                    "value": best[column.name].iloc[row],
                    "low": None if is_class else _short(found.low[row, place]),
                    "high": None if is_class else _short(found.high[row, place]),
                    "certainty": _short(found.certainty[row, place]) if is_class else None,
                }
            )
    names = ["row", "column", "value", "low", "high", "certainty"]
    return pd.DataFrame(rows, columns=names)


def _short(value: np.float32) -> float:
    """Returns the shortest number that float32 cannot tell from a value."""
    return float(str(value))


def conditional_rows(
    vae: VAE, given: "dict[str, Any]", count: int, seed: "int | None" = None, **options: Any
) -> np.ndarray:
    """Returns rows drawn from p(x | the given columns), float32 [count, D].

    Args:
        vae: see `complete`.
        given: {column: value}, as the table has them; of {} rows are drawn from p(x).
        count: how many.
        seed: fixes the draws; the model's seed by default.
        **options: of `complete`.

    Raises:
        ValueError: for an unknown column or value.
    """
    count, schema = check_count("count", count), vae.decoder.schema
    if not given:
        return vae.generate(count, seed)["sample"]
    row = schema.row(given)
    found = complete(
        vae, row[np.newaxis], num_draws=count, num_interval_draws=2, seed=seed,
        hidden=np.ones((1, len(schema)), bool),
        **{"num_samples": 5000, **options},
    )  # fmt: skip
    return found.draws[:, 0]


def imputation_report(
    vae: VAE, split: Split, hidden: float = 0.1, level: float = 0.9, seed: int = 0
) -> "list[dict]":
    """Returns how well cells that were there and are hidden are found, a dict for each column.

    Args:
        vae: see `complete`.
        split: rows that the model was not trained on.
        hidden: share of the cells, each as likely as any other.
        level: of the intervals.
        seed: fixes which cells.

    Returns:
        "column", "cells" that were hidden, and of numbers "rmse", "rmse_of_mean" (that of the mean
        of the cells that are left) and "coverage" of the intervals; of classes "accuracy" and
        "accuracy_of_mode".
    """
    values = split.values()
    seen = ~np.isnan(values)
    away = seen & (np.random.default_rng(seed).random(values.shape) < hidden)
    away[:, list(vae.decoder.schema.exposures.values())] = False  # counts need theirs
    found = complete(vae, np.where(away, np.nan, values), level=level, hidden=away, seed=seed)
    report = []
    for i, column in enumerate(vae.decoder.schema):
        here, truth = away[:, i], values[away[:, i], i]
        left = values[seen[:, i] & ~here, i]
        row: dict = {"column": column.name, "cells": int(here.sum())}
        if here.any() and len(left):
            best = found.best[here, i]
            if column.kind.has_levels:
                mode = np.bincount(left.astype(int)).argmax()
                row |= {"accuracy": float((best == truth).mean()),
                        "accuracy_of_mode": float((mode == truth).mean())}  # fmt: skip
            else:
                inside = (found.low[here, i] <= truth) & (truth <= found.high[here, i])
                row |= {"rmse": float(np.sqrt(((best - truth) ** 2).mean())),
                        "rmse_of_mean": float(np.sqrt(((left.mean() - truth) ** 2).mean())),
                        "coverage": float(inside.mean())}  # fmt: skip
        report.append(row)
    return report
