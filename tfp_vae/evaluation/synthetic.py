"""How much rows that a model drew are like real ones, and whether they are copies of some."""

from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data import Schema

_MOST = 2000  # rows that classifiers and distances look at


def synthetic_report(
    schema: Schema,
    synthetic: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    target: "str | None" = None,
    seed: int = 0,
) -> dict:
    """Returns how synthetic rows compare with real ones, JSON-ready.

    Args:
        schema: of the tables.
        synthetic: rows that were drawn, float [N, D], classes as numbers.
        train: rows that the model was trained on; NaN for what is missing.
        test: rows that it was not trained on.
        target: column that is predicted from the others; the last one without it.
        seed: of classifiers, and of which rows are looked at where there are many.

    Returns:
        "marginals": {column: distance}, of numbers the largest difference of distribution functions
        (Kolmogorov-Smirnov), of classes half the sum of differences of frequencies; "associations":
        mean and largest difference of those of all pairs (`associations`);
        "two_sample_auc": of a classifier that tells synthetic from test rows, cross-validated, 0.5
        where it cannot; "utility": the score (accuracy or R^2) on test rows of a model of the
        target that was trained on synthetic and on real rows; "nearest": median distance to the
        nearest training row, of synthetic and of test rows: much less for the former are copies.
    """
    from scipy import stats
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_predict
    from threadpoolctl import threadpool_limits

    target = check_choice("column", target, schema.names) if target else schema.names[-1]
    rng = np.random.default_rng(seed)
    marginals = {}
    for i, column in enumerate(schema):
        ours, real = (each[~np.isnan(each[:, i]), i] for each in (synthetic, test))
        if not len(real):
            continue
        if column.kind.has_levels:
            shares = [np.bincount(e.astype(int), minlength=column.num_levels) / len(e)
                      for e in (ours, real)]  # fmt: skip
            marginals[column.name] = float(0.5 * np.abs(shares[0] - shares[1]).sum())
        else:
            marginals[column.name] = float(stats.ks_2samp(ours, real).statistic)
    differences = np.abs(associations(schema, synthetic) - associations(schema, test))
    pairs = differences[np.triu_indices(len(schema), 1)]
    pairs = pairs[np.isfinite(pairs)]
    some = [_some(rows, rng) for rows in (synthetic, test)]
    count = min(map(len, some))
    both = np.concatenate([each[:count] for each in some])
    # Gaps tell real rows from others by themselves: they are filled as the drawn ones are not.
    both[:count][np.isnan(both[count:])] = np.nan
    labels = np.repeat([1, 0], count)
    model = HistGradientBoostingClassifier(max_iter=30, random_state=seed)
    # Few rows: threads that wait for each other on a busy machine cost 30 times as much.
    with threadpool_limits(1, "openmp"):
        chance = cross_val_predict(model, both, labels, cv=3, method="predict_proba")[:, 1]
        utility = _utility(schema, synthetic, train, test, target, seed)
    ranks = stats.rankdata(chance)
    auc = (ranks[labels == 1].mean() - (count + 1) / 2) / count
    return {
        "marginals": marginals,
        "associations": {"mean": float(pairs.mean()), "largest": float(pairs.max())}
        if len(pairs) else {},
        "two_sample_auc": float(auc),
        "utility": utility,
        "nearest": {
            "synthetic": nearest_distance(schema, some[0], _some(train, rng)),
            "test": nearest_distance(schema, some[1], _some(train, rng)),
        },
    }  # fmt: skip


def associations(schema: Schema, values: np.ndarray) -> np.ndarray:
    """Returns how strongly columns go together, in [0, 1], [D, D]; NaN where nothing is known.

    Of two numbers the absolute rank correlation; of a number and a class the correlation ratio of
    the ranks; of two classes Cramer's V.

    Args:
        schema: of the table.
        values: [N, D], NaN for what is missing.
    """
    from scipy import stats

    size = len(schema)
    found = np.eye(size)
    levels = [column.kind.has_levels for column in schema]
    for i in range(size):
        for j in range(i + 1, size):
            rows = values[~np.isnan(values[:, [i, j]]).any(axis=1)][:, [i, j]]
            if len(rows) < 3 or (np.ptp(rows, axis=0) == 0).any():
                found[i, j] = found[j, i] = np.nan
                continue
            if levels[i] and levels[j]:
                table = np.zeros((schema[i].num_levels, schema[j].num_levels))
                np.add.at(table, tuple(rows.astype(int).T), 1)
                value = _cramers_v(table)
            elif levels[i] or levels[j]:
                group, number = rows[:, 0 if levels[i] else 1], rows[:, 1 if levels[i] else 0]
                ranks = stats.rankdata(number)
                means = {g: ranks[group == g].mean() for g in np.unique(group)}
                value = np.std([means[g] for g in group]) / ranks.std()
            else:
                value = abs(stats.spearmanr(rows[:, 0], rows[:, 1]).statistic)
            found[i, j] = found[j, i] = value
    return found


def _cramers_v(table):
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    square = ((table - expected) ** 2 / expected).sum() / table.sum()
    return float(np.sqrt(square / max(1, min(table.shape) - 1)))


def _some(rows, rng):
    rows = np.array(rows, np.float64)
    return rows if len(rows) <= _MOST else rows[rng.choice(len(rows), _MOST, replace=False)]


def _utility(schema, synthetic, train, test, target, seed) -> "dict[str, Any]":
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    place = schema.names.index(target)
    is_class = schema[place].kind.has_levels
    kind = HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
    constant = DummyClassifier if is_class else DummyRegressor
    scores: dict[str, Any] = {"target": target, "score": "accuracy" if is_class else "R^2"}
    known = test[~np.isnan(test[:, place])]
    for name, rows in (("synthetic", synthetic), ("real", train)):
        rows = rows[~np.isnan(rows[:, place])]
        if not len(rows) or not len(known):
            scores[name] = None
            continue
        # Rows of one value, such as draws without a rare class, teach that value.
        varies = len(np.unique(rows[:, place])) > 1
        model = kind(max_iter=30, random_state=seed) if varies else constant()
        model.fit(np.delete(rows, place, 1), rows[:, place])
        scores[name] = float(model.score(np.delete(known, place, 1), known[:, place]))
    return scores


def nearest_distance(schema: Schema, rows: np.ndarray, others: np.ndarray) -> float:
    """Returns the median distance of rows [N, D] to the nearest of others [M, D].

    Gower's: the mean over columns of 0 or 1 for classes, of the difference of ranks for numbers.
    """
    total = np.zeros((len(rows), len(others)))
    counts = np.zeros_like(total)
    for i, column in enumerate(schema):
        a, b = rows[:, i], others[:, i]
        seen = ~np.isnan(a)[:, np.newaxis] & ~np.isnan(b)
        if column.kind.has_levels:
            distance = (a[:, np.newaxis] != b).astype(float)
        else:
            known = np.sort(b[~np.isnan(b)])
            ra, rb = (np.searchsorted(known, e) / max(1, len(known)) for e in (a, b))
            distance = np.abs(ra[:, np.newaxis] - rb)
        total += np.where(seen, distance, 0)
        counts += seen
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = np.where(counts > 0, total / counts, np.inf)
    return float(np.median(distances.min(axis=1)))
