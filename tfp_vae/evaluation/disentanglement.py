"""How well the dimensions of a code are the factors that examples were made from.

    codes = evaluation.posterior_means(vae, data.test)
    scores(codes, data.test.factors, names=data.FACTORS["sprites"])

All are in [0, 1], up is better, functions of a code [N, D] and factors [N, F] with at least two
values each. None changes when the dimensions are permuted or scaled. `udr` needs codes of several
models and no factors. Each docstring says which definition it is, where libraries differ.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice, check_count, check_number, check_seed

LEAST_STD = 0.05  # of a dimension that counts, in units of a standard normal prior
SIMILARITIES = ("spearman", "lasso")
_LEAST_MODELS = 5
_BLOCK = 2**22  # numbers at a time


def scores(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    names: "Sequence[str] | None" = None,
    bins: int = 20,
    categorical: "Sequence[int]" = (),
    seed: int = 0,
    most: int = 10_000,
) -> dict:
    """Returns all scores of a code, JSON-ready.

    Args:
        codes: [N, D], such as the centres of q(z|x).
        factors: [N, F].
        names: of the factors; their numbers by default.
        bins: see `mutual_information`.
        categorical: columns of the factors whose order means nothing, such as a shape.
        seed: of votes, forests and what is held out.
        most: examples that all but the two scores by votes are of, spread over all.

    Returns:
        "mig", "sap", "disentanglement", "completeness", "informativeness" (the three of DCI),
        "factor_vae", "beta_vae", "irs", "modularity"; and by factor "mig_per_factor",
        "information", [D][F] nats.

    Raises:
        ValueError: for arrays that do not fit, or a factor of one value.
    """
    codes, factors = checked(codes, factors)
    most = check_count("most", most, 4)
    names = [str(i) for i in range(factors.shape[1])] if names is None else list(names)
    if len(names) != factors.shape[1]:
        raise ValueError(
            f"The names do not fit the factors. Expected {factors.shape[1]}. Received {names}."
        )
    index = _spread(len(codes), most)
    some, of_some = codes[index], factors[index]
    gaps = mig_per_factor(some, of_some, bins)
    three = dci(some, of_some, categorical=categorical, seed=seed)
    return {
        "mig": float(gaps.mean()),
        "mig_per_factor": dict(zip(names, gaps.tolist(), strict=True)),
        "sap": sap(some, of_some, categorical=categorical),
        **three,
        "factor_vae": factor_vae_score(codes, factors, seed=seed),
        "beta_vae": beta_vae_score(codes, factors, seed=seed),
        "irs": irs(some, of_some),
        "modularity": modularity(some, of_some, bins),
        "information": mutual_information(some, of_some, bins).tolist(),
        "num_examples": len(codes),
        "num_scored": len(some),
        "bins": bins,
    }


def checked(codes: Any, factors: Any) -> "tuple[np.ndarray, np.ndarray]":
    """Returns codes float64 [N, D] and factors float64 [N, F].

    Raises:
        ValueError: for other shapes, what is not finite, no factors, or a factor of one value.
    """
    if factors is None:
        raise ValueError(
            "These scores hold a code against what examples were made from. Expected factors, as "
            "of --dataset=sprites, or an array factors in an .npz. Received none."
        )
    codes, factors = _matrix("codes", codes), _matrix("factors", factors)
    if len(codes) != len(factors):
        raise ValueError(
            f"Codes and factors are of other examples. Expected as many rows. Received "
            f"{len(codes)} and {len(factors)}."
        )
    for column in range(factors.shape[1]):
        if not np.ptp(factors[:, column]):
            raise ValueError(
                f"Factor {column} does not vary. Expected at least two values of each factor. "
                f"Received {factors[0, column]:g} alone."
            )
    return codes, factors


def _matrix(name: str, values: Any) -> np.ndarray:
    values = np.asarray(values)
    fits = values.ndim == 2 and values.size and values.dtype.kind in "biuf"
    if not fits or not np.isfinite(values).all():
        raise ValueError(
            f"Unusable {name}. Expected finite numbers of shape (N, columns). Received "
            f"{'some that are not finite' if fits else f'{values.dtype} {values.shape}'}."
        )
    return values.astype(np.float64)


def _spread(count: int, most: int) -> np.ndarray:
    """Returns at most so many places spread over all, in an order that follows no factor."""
    order = np.random.default_rng(20180703).permutation(count)
    return np.sort(order[:most])


def is_active(codes: np.ndarray, least: float = LEAST_STD) -> np.ndarray:
    """Returns which dimensions of a code [N, D] vary, bool [D]: by `least` standard deviations."""
    return np.std(codes, axis=0) >= max(least, np.finfo(np.float32).tiny)


# By mutual information.


def mutual_information(codes: np.ndarray, factors: np.ndarray, bins: int = 20) -> np.ndarray:
    """Returns I(z_d; v_f) of every dimension and factor, [D, F], nats.

    Of a code in `bins` parts of equal width between its least and its largest value, as in
    disentanglement_lib (Locatello et al., 2019); a factor has its values. More bins lose less of a
    factor with many values, and find more in noise.
    """
    codes, factors = checked(codes, factors)
    bins = check_count("bins", bins, 2)
    low, width = codes.min(axis=0), np.ptp(codes, axis=0)
    share = (codes - low) / np.where(width > 0, width, 1)
    places = np.minimum((share * bins).astype(int), bins - 1)
    found = np.zeros((codes.shape[1], factors.shape[1]))
    for f in range(factors.shape[1]):
        values, count = _numbered(factors[:, f])
        for d in range(codes.shape[1]):
            joint = np.zeros((bins, count))
            np.add.at(joint, (places[:, d], values), 1)
            joint /= len(codes)
            outer = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
            there = joint > 0
            found[d, f] = np.sum(joint[there] * np.log(joint[there] / outer[there]))
    return np.maximum(found, 0)


def _numbered(values: np.ndarray) -> "tuple[np.ndarray, int]":
    names, numbers = np.unique(values, return_inverse=True)
    return numbers, len(names)


def _entropy(values: np.ndarray) -> float:
    share = np.bincount(_numbered(values)[0]) / len(values)
    return float(-np.sum(share * np.log(share)))


def mig_per_factor(codes: np.ndarray, factors: np.ndarray, bins: int = 20) -> np.ndarray:
    """Returns the gap of the two most informative dimensions over the entropy, [F]; see `mig`."""
    information = mutual_information(codes, factors, bins)
    best = np.sort(np.concatenate([information, np.zeros((1, information.shape[1]))]), axis=0)
    factors = np.asarray(factors)
    return (best[-1] - best[-2]) / np.array([_entropy(column) for column in factors.T])


def mig(codes: np.ndarray, factors: np.ndarray, bins: int = 20) -> float:
    """Returns the mutual information gap, mean_f (I_1 - I_2) / H(f) (Chen et al., 2018).

    Of bins: a perfect code has less than 1 where a factor has more values than there are bins
    (0.896 with the 3, 6, 40, 32 and 32 values of dSprites, 20 bins and 10,000 examples; 0.987 with
    64 bins).
    """
    return float(mig_per_factor(codes, factors, bins).mean())


def modularity(codes: np.ndarray, factors: np.ndarray, bins: int = 20) -> float:
    """Returns how far each dimension tells of one factor only (Ridgeway & Mozer, 2018).

    1 - sum over the other factors of I^2 / (I_best^2 (F - 1)), the mean over dimensions that tell
    of any. It does not ask how much: noise of a random code looks modular in part.
    """
    information = mutual_information(codes, factors, bins)
    information = information[information.max(axis=1) > 1e-12]
    if not len(information) or information.shape[1] < 2:
        return float(len(information) > 0)
    square = (information / information.max(axis=1, keepdims=True)) ** 2
    return float(np.mean(1 - (square.sum(axis=1) - 1) / (information.shape[1] - 1)))


# By predictors.


def sap(
    codes: np.ndarray, factors: np.ndarray, *, categorical: "Sequence[int]" = (), seed: int = 0
) -> float:
    """Returns the mean gap of the two best predictors of a factor by one dimension.

    Kumar et al., 2018. A predictor of an ordered factor is a line, judged by R^2; of a categorical
    one a tree with balanced classes, judged by accuracy on the half that it did not see, from 0 for
    chance to 1. (A linear support vector machine, as elsewhere, depends on the scale of the code.)
    """
    codes, factors = checked(codes, factors)
    categorical = _columns(categorical, factors)
    found = np.zeros((codes.shape[1] + 1, factors.shape[1]))
    for f in range(factors.shape[1]):
        for d in range(codes.shape[1]):
            if not np.ptp(codes[:, d]):
                continue
            if f in categorical:
                found[d, f] = _tree_accuracy(codes[:, [d]], factors[:, f], seed)
            else:
                found[d, f] = np.corrcoef(codes[:, d], factors[:, f])[0, 1] ** 2
    best = np.sort(found, axis=0)
    return float(np.mean(best[-1] - best[-2]))


def _columns(categorical: "Sequence[int]", factors: np.ndarray) -> "set[int]":
    count = factors.shape[1]
    return {check_count("column of a categorical factor", f, 0, count - 1) for f in categorical}


def _tree_accuracy(code: np.ndarray, values: np.ndarray, seed: int) -> float:
    from sklearn.tree import DecisionTreeClassifier

    numbers, count = _numbered(values)
    order = np.random.default_rng(check_seed(seed)).permutation(len(code))
    train, test = np.array_split(order, 2)
    tree = DecisionTreeClassifier(
        class_weight="balanced", min_samples_leaf=5, max_leaf_nodes=4 * count, random_state=seed
    )
    tree.fit(code[train], numbers[train])
    return max(0.0, _above_chance(numbers[test], tree.predict(code[test])))


def _above_chance(known: np.ndarray, found: np.ndarray) -> float:
    """Returns the balanced accuracy, from 0 for chance to 1."""
    from sklearn.metrics import balanced_accuracy_score

    chance = 1 / len(np.unique(known))
    return (balanced_accuracy_score(known, found) - chance) / max(1 - chance, 1e-12)


def dci(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    categorical: "Sequence[int]" = (),
    trees: int = 10,
    seed: int = 0,
) -> "dict[str, float]":
    """Returns disentanglement, completeness and informativeness (Eastwood & Williams, 2018).

    Importances are those of random forests that may look at all dimensions at every split. One
    minus the entropy of a dimension's importances (base F) is weighted by their sum, that of a
    factor's (base D) by 1; informativeness is R^2 (of categorical factors balanced accuracy, from
    0 for chance to 1) on a fifth that the forest did not see, not below 0.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.metrics import r2_score

    codes, factors = checked(codes, factors)
    categorical, trees = _columns(categorical, factors), check_count("trees", trees)
    order = np.random.default_rng(check_seed(seed)).permutation(len(codes))
    held = max(1, len(order) // 5)
    test, train = order[:held], order[held:]
    # In units of each dimension, so that no split depends on rounding.
    scale = np.std(codes, axis=0)
    codes = (codes - codes.mean(axis=0)) / np.where(scale > 0, scale, 1)
    importance = np.zeros((codes.shape[1], factors.shape[1]))
    told = []
    for f in range(factors.shape[1]):
        values, _ = _numbered(factors[:, f])
        kind, judge = RandomForestRegressor, r2_score
        if f in categorical:
            kind, judge = RandomForestClassifier, _above_chance
        forest = kind(trees, max_features=None, min_samples_leaf=3, random_state=seed)
        forest.fit(codes[train], values[train])
        importance[:, f] = forest.feature_importances_
        told.append(max(0.0, float(judge(values[test], forest.predict(codes[test])))))
    of_code, total = importance.sum(axis=1), importance.sum()
    weights = of_code / total if total else of_code
    return {
        "disentanglement": float(np.sum(weights * _purity(importance))),
        "completeness": float(np.mean(_purity(importance.T))) if total else 0.0,
        "informativeness": float(np.mean(told)),
    }


def _purity(importance: np.ndarray) -> np.ndarray:
    """Returns one minus the entropy of each row's shares, base the number of columns."""
    if importance.shape[1] == 1:
        return (importance[:, 0] > 0).astype(float)
    total = importance.sum(axis=1, keepdims=True)
    share = np.where(total > 0, importance / np.where(total > 0, total, 1), 1 / importance.shape[1])
    logs = np.log(np.where(share > 0, share, 1))
    return 1 + np.sum(share * logs, axis=1) / np.log(importance.shape[1])


# By votes.


def factor_vae_score(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    votes: "tuple[int, int]" = (10_000, 5_000),
    batch: int = 64,
    least_std: float = LEAST_STD,
    seed: int = 0,
) -> float:
    """Returns the accuracy of a majority vote about which factor was held (Kim & Mnih, 2018).

    A vote: `batch` examples that share the value of one factor, and the dimension whose variance
    among them, over that of all, is least. Dimensions whose standard deviation over all is below
    `least_std` do not take part; 0 if there is none left.

    Args:
        codes: [N, D].
        factors: [N, F].
        votes: that the majority is found by, and that are counted.
        batch: L, examples per vote.
        least_std: in the units of the code; of a standard normal prior 0.05.
        seed: of the votes.
    """
    codes, factors = checked(codes, factors)
    active = is_active(codes, check_number("least_std", least_std, 0))
    if not active.any():
        return 0.0
    codes = codes[:, active] / codes[:, active].std(axis=0)
    rng, (first, second) = np.random.default_rng(check_seed(seed)), votes
    held, least = [], []
    for rows, chosen in _held(factors, first + second, check_count("batch", batch, 2), rng, codes):
        held.append(chosen)
        least.append(np.argmin(codes[rows].var(axis=1), axis=1))
    held, least = np.concatenate(held), np.concatenate(least)
    table = np.zeros((codes.shape[1], factors.shape[1]), int)
    np.add.at(table, (least[:first], held[:first]), 1)
    return float(np.mean(table.argmax(axis=1)[least[first:]] == held[first:]))


def beta_vae_score(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    votes: "tuple[int, int]" = (10_000, 5_000),
    batch: int = 64,
    least_std: float = LEAST_STD,
    seed: int = 0,
) -> float:
    """Returns the accuracy of a linear classifier of which factor was shared.

    Higgins et al., 2017. It sees the mean over `batch` pairs, which share the value of one factor,
    of |z - z'| in units of each dimension. A rotated code can be perfect here. See
    `factor_vae_score` for the arguments.
    """
    from sklearn.linear_model import LogisticRegression

    codes, factors = checked(codes, factors)
    active = is_active(codes, check_number("least_std", least_std, 0))
    if not active.any() or factors.shape[1] < 2:
        return float(factors.shape[1] < 2) if active.any() else 0.0
    codes = codes[:, active] / codes[:, active].std(axis=0)
    rng, (first, second) = np.random.default_rng(check_seed(seed)), votes
    batch = check_count("batch", batch)
    held, seen = [], []
    for rows, chosen in _held(factors, first + second, 2 * batch, rng, codes):
        held.append(chosen)
        pairs = codes[rows]
        seen.append(np.abs(pairs[:, :batch] - pairs[:, batch:]).mean(axis=1))
    held, seen = np.concatenate(held), np.concatenate(seen)
    scale = seen[:first].std(axis=0)
    seen = (seen - seen[:first].mean(axis=0)) / np.where(scale > 0, scale, 1)
    classifier = LogisticRegression(C=10.0, max_iter=500).fit(seen[:first], held[:first])
    return float(np.mean(classifier.predict(seen[first:]) == held[first:]))


def _held(factors, votes, batch, rng, codes):
    """Yields (rows [n, batch], held factor [n]): rows share its value, which a random row has."""
    tables = []
    for column in factors.T:
        numbers, count = _numbered(column)
        sizes = np.bincount(numbers, minlength=count)
        tables.append(
            (numbers, np.argsort(numbers, kind="stable"), np.cumsum(sizes) - sizes, sizes)
        )
    block = max(1, _BLOCK // (batch * codes.shape[1]))
    for start in range(0, votes, block):
        size = min(block, votes - start)
        chosen, examples = (
            rng.integers(factors.shape[1], size=size),
            rng.integers(len(codes), size=size),
        )
        share, rows = rng.random((size, batch)), np.empty((size, batch), int)
        for f, (numbers, order, begin, sizes) in enumerate(tables):
            here = chosen == f
            value = numbers[examples[here]]
            within = (share[here] * sizes[value][:, np.newaxis]).astype(int)
            rows[here] = order[begin[value][:, np.newaxis] + within]
        yield rows, chosen


def irs(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    quantile: float = 0.99,
    least_std: float = LEAST_STD,
) -> float:
    """Returns the interventional robustness of a code (Suter et al., 2019).

    Of a dimension and a factor: 1 - (`quantile` of the distances to the mean among examples of one
    value, mean over values) / (largest distance to the mean of all). The best factor of each
    dimension counts, the mean over dimensions that vary (`least_std`); the paper has quantile 1.
    """
    codes, factors = checked(codes, factors)
    if not 0 < check_number("quantile", quantile, above=0) <= 1:
        raise ValueError(f"Impossible quantile. Expected it in (0, 1]. Received {quantile!r}.")
    codes = codes[:, is_active(codes, check_number("least_std", least_std, 0))]
    if not codes.shape[1]:
        return 0.0
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    best = np.zeros(codes.shape[1])
    for column in factors.T:
        within = []
        for value in np.unique(column):
            there = codes[column == value]
            within.append(np.quantile(np.abs(there - there.mean(axis=0)), quantile, axis=0))
        best = np.maximum(best, 1 - np.mean(within, axis=0) / largest)
    return float(best.mean())


# Without factors.


def udr(
    codes: "Sequence[np.ndarray]",
    kl: "Sequence[np.ndarray] | None" = None,
    *,
    similarity: str = "spearman",
    least_kl: float = 0.01,
) -> np.ndarray:
    """Returns how alike each model's code is to those of the others, [M] (Duan et al., 2020).

    Of a pair, R the absolute similarities of their informative dimensions: the sum over rows and
    columns of max^2 / sum, over the number of rows and columns. The median over the partners.

    Args:
        codes: of at least five models that differ in their seeds, [N, D] each, of the same
            examples.
        kl: KL of each dimension, [D] of each model, nats: dimensions of at most `least_kl` do not
            take part. None: all that vary do.
        similarity: "spearman", the rank correlation; "lasso", the weights of a sparse linear
            predictor of one code by the other (all in units of the dimensions, penalty 0.1).
        least_kl: nats.

    Raises:
        ValueError: for fewer than five models, or codes of other examples.
    """
    check_choice("similarity", similarity, SIMILARITIES)
    found = [_matrix("codes", code) for code in codes]
    if len(found) < _LEAST_MODELS or len({len(code) for code in found}) > 1:
        raise ValueError(
            f"UDR compares models by the same examples. Expected codes of {_LEAST_MODELS} models "
            f"or more. Received {len(found)} of {sorted({len(code) for code in found})} examples."
        )
    if kl is not None and [len(each) for each in kl] != [code.shape[1] for code in found]:
        raise ValueError(
            "The KL does not fit the codes. Expected one of each dimension of each model, "
            f"{[code.shape[1] for code in found]}. Received {[len(each) for each in kl]}."
        )
    for i, code in enumerate(found):
        told = np.ones(code.shape[1], bool) if kl is None else np.asarray(kl[i]) > least_kl
        found[i] = code[:, told & is_active(code, 0)]
    values = np.full((len(found), len(found)), np.nan)
    for i, first in enumerate(found):
        for j in range(i):
            values[i, j] = values[j, i] = _alike(first, found[j], similarity)
    return np.nanmedian(values, axis=1)


def _alike(first: np.ndarray, second: np.ndarray, similarity: str) -> float:
    if not first.shape[1] or not second.shape[1]:
        return 0.0
    if similarity == "spearman":
        first, second = (np.apply_along_axis(_ranks, 0, code) for code in (first, second))
    first, second = ((code - code.mean(axis=0)) / code.std(axis=0) for code in (first, second))
    if similarity == "lasso":
        from sklearn.linear_model import Lasso

        matrix = np.abs(np.atleast_2d(Lasso(alpha=0.1).fit(first, second).coef_)).T
    else:
        matrix = np.abs(first.T @ second) / len(first)
    total = 0.0
    for axis in (0, 1):
        sums = matrix.sum(axis=axis)
        total += np.sum(matrix.max(axis=axis) ** 2 / np.where(sums > 0, sums, 1))
    return float(total / sum(matrix.shape))


def _ranks(column: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(column)
