"""Flags of the programs: any values, up to where the long work would begin.

What flags a program has, and what values they may have, is asked of absl: a new flag is tried
without a word here. Data are loaded, the model is built, and one loss is computed.
"""

import contextlib
import dataclasses
import functools
import importlib
import io
import os
import pathlib
import sys
import tempfile
import warnings
from unittest import mock

import keras
import numpy as np
from absl import flags
from absl.testing import flagsaver
from hypothesis import strategies as st

from experiments import completion, helping
from fuzzing import files
from fuzzing.models import Record, one_of
from tfp_vae.export.saved import archive

# Where the long work of a program begins.
PROGRAMS = {
    "train_vae": "experiments.training_flags.fit",
    "train_bnn": "experiments.training_flags.fit",
    "latent_sizes": "tfp_vae.studies.latent_sizes.learn",
    "autoencoders": "tfp_vae.studies.autoencoders.learn",
    "explore": "tfp_vae.studies.exploring.explore",
    "uci": "tfp_vae.studies.uci.evaluate",
    "toys": "tfp_vae.studies.toys.compare",
    "compare": "tfp_vae.studies.comparison.Comparison.run",
    "evaluate": "tfp_vae.evaluation.test_metrics",
    "gradients": "tfp_vae.studies.gradients.run",
    "bounds": "tfp_vae.studies.ladder.of_run",
    "diagnose": "tfp_vae.evaluation.diagnose",
    "generate": "tfp_vae.models.VAE.generate",
    "export": "tfp_vae.export.export",
}
# Drawn below: what they name must be there, and nothing is fetched.
_PLACES = ("dataset", "data_dir", "run_dir")
_ODD = ("", "two", "nan", "inf", "-1", "0", "1.5", "1e400", "9" * 30, "a,b", "1,,2", "é", "None")
_DATASETS = ("digits", "data.npz", "table.csv", "classes.csv", "diabetes", "images.npz")
_ODD_DATASETS = ("", "mnits", "nowhere.csv", "mnist", "uci/concrete", "run", "broken.npz", ".", "é")


class Reached(BaseException):
    """The long work would begin."""


def program(name: str):
    """Imports a program anew, so that its flags are the only ones beside those of all programs."""
    completion.forget()
    return importlib.import_module(f"experiments.{name}")


@functools.cache
def own_flags(name: str) -> "dict[str, tuple[str, ...]]":
    """Returns {flag: texts that are values of it} of a program."""
    program(name)
    found = helping.own_flags()
    return {name: _texts(flag) for name, flag in found.items() if name not in _PLACES}


def _texts(flag) -> "tuple[str, ...]":
    parser = flag.parser
    if flag.boolean:
        return ("true", "false")
    if getattr(parser, "enum_values", None):
        return tuple(parser.enum_values)
    if isinstance(parser, flags.IntegerParser | flags.FloatParser):
        low, high = parser.lower_bound, parser.upper_bound
        some = (1, 2, 3) if isinstance(parser, flags.IntegerParser) else (0.25, 1.0)
        return tuple(str(each) for each in {low, high, *some} if each is not None)
    if isinstance(flag.default, list) and flag.default and not flag.default[0].isdigit():
        return (flag.default[0], ",".join(flag.default[:2]))
    return ("shared", "1", "4", "4,2")


def _data(folder: pathlib.Path) -> None:
    """Writes small data of every form into a folder, and a run with a saved model."""
    rng = np.random.default_rng(5)
    x = rng.random((12, 4, 4))
    np.savez(folder / "images.npz", x=x, y=np.arange(12) % 3)
    np.savez(folder / "data.npz", x=3 * rng.standard_normal((12, 3)), y=rng.random(12))
    np.savez(folder / "broken.npz", x=np.full((12, 3), np.nan))
    rows = "".join(f"{n},{n * n % 7},{n / 3:.3f}\n" for n in range(30))
    (folder / "table.csv").write_text(f"a,b,y\n{rows}")
    rows = "".join(f"{n},{n * n % 7},{'xyz'[n % 3]}\n" for n in range(30))
    (folder / "classes.csv").write_text(f"a,b,y\n{rows}")
    (folder / "uci").mkdir()
    for name in ("concrete", "yacht"):
        x, y = rng.random((20, 3)), rng.random(20)
        np.savez(folder / "uci" / f"{name}.npz", x=x, y=y, test_index=[[1, 2], [3, 4]])
    (folder / "run").mkdir()
    archive.write(folder / "run" / "model.keras", files.good_models()["vae"])
    (folder / "file").write_text("a file")


@dataclasses.dataclass(frozen=True, repr=False)
class FlagsCase(Record):
    """A program and the arguments that it is started with."""

    program: str = "train_vae"
    arguments: tuple = ()

    def run(self) -> None:
        """Runs the program up to its long work; raises what it would say as a `ValueError`."""
        before = os.getcwd()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, contextlib.ExitStack() as stack:
            os.chdir(folder)
            stack.callback(keras.config.set_dtype_policy, "float32")
            stack.callback(os.chdir, before)
            _data(pathlib.Path(folder))
            module = program(self.program)
            name, _, attribute = PROGRAMS[self.program].rpartition(".")
            try:
                owner = importlib.import_module(name)
            except ImportError:  # a class
                outer, _, inner = name.rpartition(".")
                owner = getattr(importlib.import_module(outer), inner)
            for place, what, effect in (
                (owner, attribute, Reached),
                (importlib.import_module("tfp_vae.data.named.uci"), "_download", OSError(_OFFLINE)),
                (importlib.import_module("tfp_vae.data.named.tfds"), "_images", OSError(_OFFLINE)),
            ):
                stack.enter_context(mock.patch.object(place, what, side_effect=effect))
            self._run(module, stack)

    def _run(self, module, stack):
        said = io.StringIO()
        stack.enter_context(flagsaver.flagsaver())  # those of all programs stay as they were
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(said))
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(mock.patch.object(sys, "argv", ["program", *self.arguments]))
        stack.enter_context(mock.patch("faulthandler.enable"))
        from experiments import cli

        if "experiments.running_flags" in sys.modules:
            stack.callback(sys.modules["experiments.running_flags"].leave_strategy)
        try:
            cli.run(module.main)
        except Reached:
            return
        except SystemExit as exit:
            line = said.getvalue()
            if exit.code == 2:
                last = line.rstrip().rpartition("\n")[2]
                assert last.startswith("error: ") and line.endswith("\n"), line
                of_absl = "flag --" in last or "Unknown command line flag" in last
                raise ValueError(last + (" Expected Received" if of_absl else "")) from None
            assert not exit.code, line


_OFFLINE = "No network. Expected data that are here. Received a name."


@st.composite
def programs(draw, name: str):
    """Draws a `FlagsCase` of a program."""
    texts = own_flags(name)
    arguments = ["--hidden=4"] * ("hidden" in texts)
    arguments += ["--num_samples=1"] * (name == "export")
    chosen = draw(st.lists(st.sampled_from(sorted(texts)), max_size=3, unique=True))
    odd = draw(st.just([]) | st.lists(st.sampled_from(sorted(texts)), max_size=1))
    for flag in chosen:
        arguments.append(f"--{flag}={draw(st.sampled_from(texts[flag]))}")
    for flag in odd:
        arguments.append(f"--{flag}={draw(st.sampled_from(_ODD) | st.text(max_size=3))}")
    # From a saved model, of data.npz.
    starts = name in ("bounds", "diagnose", "evaluate", "export", "generate", "gradients")
    dataset = draw(
        (st.just("data.npz") if starts else st.sampled_from(_DATASETS))
        | one_of(*_DATASETS, *_ODD_DATASETS)
    )
    if name not in ("uci", "toys", "generate") or draw(one_of(*[False] * 5, True)):
        arguments.append(f"--dataset={dataset}")
    data_dir = draw(one_of("uci", "uci", "nowhere", "file", ""))
    if name == "uci" or "uci/" in dataset:
        arguments.append(f"--data_dir={data_dir}")
    if name == "uci":
        arguments.append(f"--sets={draw(one_of('concrete', 'concrete,yacht', 'wine', ''))}")
    run = draw(st.just("run" if starts else "new") | one_of("new", "run", "file", "", "é" * 300))
    arguments.append(f"--run_dir={run}")
    stray = one_of("digits", "--", "--nothing=1", "-h1", "")
    arguments += draw(st.just([]) | st.lists(stray, max_size=1))
    # A shell passes no NUL.
    return FlagsCase(name, tuple(a.replace("\x00", "") for a in arguments))
