"""Files given as data and as saved models: good ones with something changed.

A case writes its file into a temporary folder and reads it back. Changes are made where they reach
deepest too: inside a member of an archive whose check sums are right.
"""

import copy
import dataclasses
import functools
import io
import json
import math
import pathlib
import tempfile
import typing
import zipfile

import keras
import numpy as np
from hypothesis import strategies as st
from PIL import Image

import tfp_vae as tv
from fuzzing import audit
from fuzzing.models import CONTENTS, ODD_CONTENTS, Record, Values, one_of
from tfp_vae.export.saved import archive

# Changes of bytes: (what, where as a share of the length, a number that says to what).
_CHANGES = st.tuples(
    one_of("flip", "set", "cut", "insert", "remove", "repeat", "zero"),
    st.floats(0, 1, allow_nan=False),
    st.integers(0, 255),
)
CHANGES = st.lists(_CHANGES, max_size=3).map(tuple)


def changed(content: bytes, changes) -> bytes:
    """Returns `content` with changes made one after the other."""
    content = bytearray(content)
    for what, share, number in changes:
        place = min(int(share * len(content)), max(len(content) - 1, 0))
        if what == "cut":
            del content[place:]
        elif what == "insert":
            content[place:place] = bytes([number])
        elif what == "remove":
            del content[place : place + 1 + number % 8]
        elif what == "repeat":
            content[place:place] = content[place : place + number]
        elif what == "zero":
            content[place : place + 4] = bytes(len(content[place : place + 4]))
        elif content:
            content[place] = number if what == "set" else content[place] ^ 1 << number % 8
    return bytes(content)


# Data.


@dataclasses.dataclass(frozen=True, repr=False)
class DataCase(Record):
    """A file or folder of data, and the arguments that it is loaded with."""

    kind: typing.Any = None
    target: typing.Any = None
    task: typing.Any = None
    changes: tuple = ()

    def write(self, folder: pathlib.Path) -> pathlib.Path:
        """Writes the data into a folder and returns where."""
        raise NotImplementedError

    def run(self) -> None:
        """Loads, and looks at a batch as a model would."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = self.write(pathlib.Path(folder))
            data = tv.data.load(path, kind=self.kind, target=self.target, task=self.task)
        for split in (data.train, data.validation, data.test):
            batch = split.values(slice(2))
            assert batch.dtype == np.float32 and np.isfinite(batch).all() and len(split) > 0
            assert batch.shape[1:] == data.shape
            if split.targets is not None:
                assert np.isfinite(split.targets).all()
            assert split.labels is None or split.labels.min() >= -1


_KINDS = one_of(*tv.data.Kind, "grey", 3)
_TASKS = one_of("classification", "regression", "ranking", 3)
ARGUMENTS = st.just({}) | st.fixed_dictionaries(
    {}, optional={"kind": _KINDS, "target": one_of("y", "a", "nothing"), "task": _TASKS}
)
HALF = st.booleans()


@dataclasses.dataclass(frozen=True, repr=False)
class NpzCase(DataCase):
    """An .npz file: ((name, values), ...)."""

    arrays: tuple = (("x", Values((9, 3))),)
    compressed: bool = False

    def write(self, folder):
        """Writes the arrays; objects are pickled, which a reader must not undo."""
        buffer = io.BytesIO()
        save = np.savez_compressed if self.compressed else np.savez
        save(buffer, **{name: values.array() for name, values in self.arrays})
        path = folder / "data.npz"
        path.write_bytes(changed(buffer.getvalue(), self.changes))
        return path


_ODD = (*ODD_CONTENTS, "labels", "negative", "large", "one_label", "big")
_COUNTS, _ODD_COUNTS = one_of(3, 9, 9, 12), one_of(0, 1, 2, 10)
_EVENTS = one_of((1,), (3,), (4, 4), (4, 4, 1), (3, 5, 3), (2, 2, 2, 2))
_ODD_EVENTS = one_of((), (0,), (4, 4, 2), (3, 1), (2, 3, 4, 5, 6))
_NAMES = (("x",), ("x", "y"), ("x_train", "x_test"), ("x_train", "y_train", "x_test", "y_test"))
_ODD_NAMES = one_of("x", "y", "x_train", "y_train", "x_test", "y_test", "x_validation", "z")
_DTYPES = one_of("float32", "int64", "float16", "uint8", ">f4")


@st.composite
def npz_files(draw):
    """Draws an `NpzCase`."""
    names = draw(st.sampled_from(_NAMES) | st.lists(_ODD_NAMES, min_size=1, unique=True))
    count, event, content = draw(_COUNTS), draw(_EVENTS), draw(st.sampled_from(CONTENTS))
    target = draw(one_of("labels", "real", "unit"))
    odd = draw(st.none() | st.sampled_from(names))
    arrays = []
    for name in names:
        is_y = name.startswith("y")
        length, inner = count, draw(one_of((), (), (2,))) if is_y else event
        what, dtype = target if is_y else content, None
        if name == odd:
            length, inner = (
                draw(_COUNTS | _ODD_COUNTS),
                draw(_EVENTS | _ODD_EVENTS | st.just(inner)),
            )
            what, dtype = draw(st.sampled_from((*CONTENTS, *_ODD))), draw(st.none() | _DTYPES)
        if what in ("text", "complex", "objects"):
            dtype = None
        arrays.append((name, Values((length, *inner), what, dtype)))
    return NpzCase(
        arrays=tuple(arrays),
        compressed=draw(HALF),
        changes=draw(CHANGES) if draw(HALF) and draw(HALF) else (),
        **draw(ARGUMENTS),
    )


@dataclasses.dataclass(frozen=True, repr=False)
class CsvCase(DataCase):
    """A .csv file: its text, before changes of bytes."""

    text: str = "a,y\n" + "1,2\n" * 9
    encoding: str = "utf-8"

    def write(self, folder):
        """Writes the text."""
        path = folder / "data.csv"
        path.write_bytes(changed(self.text.encode(self.encoding, "replace"), self.changes))
        return path


_CELLS = one_of("0", "1", "2", "-1", "2.5", "1e3", "0.1", "3", "4", "5", "6", "7")
_ODD_CELLS = one_of(
    *("", "nan", "inf", "-inf", "1e400", "?", "a", " 1 ", '"1"', '"', "1_000", "٣", "²"),
    *("9" * 30, "9" * 5000, "1e-400", "0x10", "\x00", "\ufeff1", "+-1", "--1", "1,2", "\r"),
) | st.text(max_size=3)


@st.composite
def csv_files(draw):
    """Draws a `CsvCase`."""
    width, rows = draw(one_of(1, 2, 3, 4)), draw(one_of(0, 1, 3, 9, 12, 30))
    header = ["a", "b", "c", "y"][-width:]
    table = [[draw(_CELLS) for _ in range(width)] for _ in range(min(rows, 6))]
    table = [table[i % len(table)] for i in range(rows)] if table else []
    cells = st.tuples(st.integers(0, rows), st.integers(0, 3), _ODD_CELLS)
    odd = draw(st.just([]) | st.lists(cells, max_size=2))
    lines = [header, *map(list, table)]
    for row, column, cell in odd:
        lines[row] = [*lines[row][: column % width], cell, *lines[row][column % width + 1 :]]
    end = draw(one_of("\n", "\n", "\r\n", "\r", "\n\n"))
    comma = draw(one_of(",", ", ") | st.just(",") | one_of(",", ";", "\t"))
    return CsvCase(
        text=end.join(comma.join(cells) for cells in lines) + draw(one_of("", end)),
        encoding=draw(st.just("utf-8") | one_of("utf-8", "utf-8-sig", "utf-16", "latin-1")),
        changes=draw(CHANGES) if draw(HALF) and draw(HALF) else (),
        **draw(ARGUMENTS),
    )


@dataclasses.dataclass(frozen=True, repr=False)
class FolderCase(DataCase):
    """A folder of images: ((name, mode, (width, height), changes), ...)."""

    images: tuple = tuple((f"{n}.png", "L", (4, 4), ()) for n in range(9))

    def write(self, folder):
        """Writes the images."""
        root = folder / "photos"
        root.mkdir()
        rng = np.random.default_rng(3)
        for name, mode, (width, height), changes in self.images:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(0, 256, (height, width, 4), np.uint8)
            image = Image.fromarray(noise).convert("RGB").convert(mode)
            buffer = io.BytesIO()
            try:
                image.save(buffer, Image.registered_extensions().get(path.suffix.lower(), "PNG"))
            except (OSError, ValueError):  # a mode that this format has not
                image.convert("RGB").save(buffer, "PNG")
            path.write_bytes(changed(buffer.getvalue(), changes))
        return root


@st.composite
def image_folders(draw):
    """Draws a `FolderCase`."""
    suffix = draw(one_of(".png", ".jpg", ".bmp", ".gif", ".webp", ".tif", ".PNG"))
    mode = draw(one_of("L", "RGB") | one_of("1", "P", "CMYK", "RGBA", "I", "F", "LA"))
    size = draw(one_of((4, 4), (5, 3), (1, 1)))
    count = draw(one_of(4, 9) | one_of(0, 1, 3))
    folders = draw(
        one_of(("",), ("cat", "dog"), ("train", "test"))
        | st.just(("train/cat", "train/dog", "test/cat"))
        | one_of(("test",), ("", "cat"), (".git",), ("train/cat", "test/bird", "validation/cat"))
    )
    images = [
        (f"{folders[n % len(folders)]}/{n}{suffix}".lstrip("/"), mode, size, ())
        for n in range(count)
    ]
    for _ in range(draw(one_of(0, 0, 1, 2))):
        if images:
            n = draw(st.integers(0, len(images) - 1))
            name, mode, size, _ = images[n]
            images[n] = (
                name if draw(st.booleans()) else f"odd{n}.png",
                draw(one_of(mode, mode, "RGB", "1")),
                draw(one_of(size, size, (4, 5), (2, 2))),
                draw(CHANGES),
            )
    return FolderCase(
        images=tuple(images),
        **draw(ARGUMENTS),
    )


# Saved models.


@functools.cache
def good_models() -> "dict[str, dict[str, bytes]]":
    """Returns the members of a few small saved models."""
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(3)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp((3,)), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp((3,)), (3,)),
        objective=tv.objectives.ELBO(tv.objectives.linear(3), free_bits=0.5),
        data_kind="real",
    )
    vae.compile(optimizer="adam")
    convolution = tv.layers.Conv2DFlipout(2, 2, prior="student_t", activation="relu")
    dense = tv.layers.DenseReparameterization(3, covariance=1)
    network = keras.Sequential([convolution, keras.layers.Flatten(), dense])
    bnn = tv.BayesianNetwork(network, tv.likelihoods.Categorical(3), num_data=5)
    bnn.build((None, 3, 3, 1))
    pattern = tv.BayesianNetwork(
        keras.Sequential([tv.layers.Standardize(), keras.layers.Dense(1)]), tv.likelihoods.Normal()
    )
    found = {}
    for name, model in (
        ("vae", vae),
        ("network", bnn),
        ("ensemble", tv.Ensemble(pattern, 2, input_shape=(2,))),
    ):
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            model.save(pathlib.Path(folder) / "model.keras")
            found[name] = archive.read(pathlib.Path(folder) / "model.keras")
            tv.load(pathlib.Path(folder) / "model.keras")  # what loads once is not loaded later
    return found


# What a place in a config may be changed to: other types, names that lead elsewhere, sizes.
JSON_VALUES = one_of(
    *(None, True, 0, -1, 1, 2, 1.5, 1e308, 2**70, "", "x", "relu", "auto", "adam"),
    *([], [None], [1, 2], {}, "tfp_vae>VAE", "tfp_vae>Gaussian", "keras.layers", "os", "builtins"),
    *("keras.src.utils", "keras.utils", "Lambda", "function", "system", "eval", "__lambda__"),
    *("../../etc/passwd", "file:///etc/passwd", math.nan, math.inf),
) | st.sampled_from(
    [
        {"class_name": "Dense", "config": {}, "module": "keras.layers"},
        {"class_name": "__tensor__", "config": {"value": [1], "dtype": "float32"}},
        {"class_name": "__numpy__", "config": {"value": "x", "dtype": "int32"}},
        {"class_name": "__slice__", "config": {"start": 0, "stop": "a", "step": None}},
        {"class_name": "function", "config": "relu", "module": "keras.activations"},
        {"class_name": "system", "config": {"command": "touch fuzzed"}, "module": "os"},
        {"class_name": "tfp_vae>ELBO", "config": {}, "registered_name": "tfp_vae>ELBO"},
    ]
)


def places(node, path=()):
    """Yields the path to every value of a config."""
    yield path
    if isinstance(node, dict):
        for key in sorted(node):
            yield from places(node[key], (*path, key))
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from places(inner, (*path, index))


def edited(config, edits):
    """Returns a config with edits (share of the places, what, value) made one after the other."""
    config = json.loads(json.dumps(config))
    for share, what, value in edits:
        paths = [path for path in places(config) if path]
        if not paths:
            break
        path = paths[min(int(share * len(paths)), len(paths) - 1)]
        node = functools.reduce(lambda found, key: found[key], path[:-1], config)
        if what == "set":
            node[path[-1]] = copy.deepcopy(value)
        elif what == "remove":
            del node[path[-1]]
        elif what == "wrap":
            node[path[-1]] = [node[path[-1]]]
        elif what == "swap":
            other = paths[len(paths) // 2]
            node[path[-1]] = json.loads(
                json.dumps(functools.reduce(lambda found, key: found[key], other, config))
            )
    return config


@dataclasses.dataclass(frozen=True, repr=False)
class SavedCase(Record):
    """A saved model with a changed config, changed members, or changed bytes."""

    model: str = "vae"
    edits: tuple = ()
    config: tuple = ()
    weights: tuple = ()
    metadata: tuple = ()
    file: tuple = ()

    def run(self) -> None:
        """Loads the file; nothing in it may run or be fetched, and it leaves nothing behind."""
        members = dict(good_models()[self.model])
        if self.edits:
            config = edited(json.loads(members[archive.CONFIG]), self.edits)
            members[archive.CONFIG] = json.dumps(config).encode()
        for name in (archive.CONFIG, archive.WEIGHTS, archive.METADATA):
            changes = {
                archive.CONFIG: self.config,
                archive.WEIGHTS: self.weights,
                archive.METADATA: self.metadata,
            }[name]
            members[name] = changed(members[name], changes)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = pathlib.Path(folder) / "model.keras"
            path.write_bytes(changed(buffer.getvalue(), self.file))
            with audit.nothing_runs():
                tv.load(path)


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, allow_nan=False),
        one_of("set", "set", "remove", "wrap", "swap"),
        JSON_VALUES,
    ),
    min_size=1,
    max_size=2,
).map(tuple)
_SOME = CHANGES.filter(bool)
saved_models = st.one_of(
    *[st.builds(SavedCase, one_of("vae", "network", "ensemble"), edits=EDITS)] * 3,
    st.builds(SavedCase, one_of("vae", "network", "ensemble"), config=_SOME),
    st.builds(SavedCase, one_of("vae", "network", "ensemble"), weights=_SOME),
    st.builds(SavedCase, one_of("vae", "network", "ensemble"), weights=_SOME),
    st.builds(SavedCase, one_of("vae", "network", "ensemble"), metadata=_SOME),
    st.builds(SavedCase, one_of("vae", "network", "ensemble"), file=_SOME),
)
