"""The flags of another program, read beside those of the one that runs."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence

from absl import flags

from tfp_vae.studies.search_space import Searched

from . import completion, helping, presets

# The folder of a trial is its own; trials that differ in their data cannot be compared.
_OF_THE_SEARCH = ("run_dir", "overwrite", "preset", "checkpoint_every", "strategy", "tensorboard")


@contextlib.contextmanager
def of(program: str) -> "Iterator[None]":
    """A context in which the flags are those of `program` alone; after it they are as before."""
    package = f"{__package__}."
    own = {module: [*found] for module, found in helping.by_module().items()}
    modules = {name: each for name, each in sys.modules.items() if name.startswith(package)}
    for name in [flag.name for found in own.values() for flag in found]:
        delattr(flags.FLAGS, name)
    completion.forget()
    try:
        importlib.import_module(package + program)
        yield
    finally:
        completion.forget()
        for name, module in modules.items():
            sys.modules[name] = module
            setattr(sys.modules[__package__], name.removeprefix(package), module)
        for module, found in own.items():
            for flag in found:
                flags.FLAGS[flag.name] = flag
                flags.FLAGS.register_flag_by_module(module, flag)


def check(
    program: str, fixed: Sequence[str], space: "Sequence[Searched]"
) -> "tuple[dict[str, str], int]":
    """Returns the kinds of the flags that are searched over, and the epochs of a training.

    Args:
        program: its module.
        fixed: flags that all trials have.
        space: flags that are searched over.

    Raises:
        ValueError: if the program has no such flag, or it cannot have such a value.
    """
    with of(program):
        _parse(program, fixed)
        epochs = flags.FLAGS["epochs"].value
        given = {name for name, flag in helping.own_flags().items() if flag.present}
        kinds = {}
        data = {flag.name for flag in helping.by_module().get(f"{__package__}.data_flags", ())}
        for name in given & {"run_dir", "overwrite"}:
            raise ValueError(
                f"--fixed has a flag that is each trial's own. Expected others. Received --{name}."
            )
        for each in space:
            if each.name in (*_OF_THE_SEARCH, *data):
                raise ValueError(
                    f"--search cannot try this flag. Expected one of the model or its training. "
                    f"Received --{each.name}."
                )
            if each.name in given:
                raise ValueError(
                    f"A flag is searched over and fixed. Expected it in --search or in --fixed. "
                    f"Received --{each.name} in both."
                )
            for text in each.texts:
                _parse(program, [*fixed, f"--{each.name}={text}"])
            kinds[each.name] = flags.FLAGS[each.name].flag_type()
            each.check(kinds[each.name])
    return kinds, epochs


def is_worker() -> bool:
    """Whether this process works for the search of another one, as KerasTuner's variables say."""
    asked = "KERASTUNER_ORACLE_IP" in os.environ
    return asked and "chief" not in os.environ.get("KERASTUNER_TUNER_ID", "")


def _parse(program: str, arguments: "Sequence[str]") -> None:
    try:
        rest = flags.FLAGS([program, *presets.expanded([*arguments])])[1:]
    except flags.Error as error:
        raise ValueError(f"{helping.typed(program)}: {helping.with_hint(error)}") from None
    if rest:
        raise ValueError(
            f"--fixed does not fit. Expected flags --NAME=VALUE only. Received {rest}."
        )
