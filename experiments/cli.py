"""What the programs share: the flags that say which data and which folder, and one-line errors."""

import pathlib
import shlex
import sys
import warnings
from collections.abc import Callable

from absl import app, flags

import tfp_vae as tv
from tfp_vae import training

DATASET = flags.DEFINE_string(
    "dataset",
    "digits",
    f"{', '.join(tv.data.NAMES)}, a folder of images or TFRecords, an .npz or a .csv file.",
)
DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of prepared TFDS or UCI sets; without it they are downloaded.",
)
TARGET = flags.DEFINE_string("target", None, "Target column of a .csv; the last one without it.")
TASK = flags.DEFINE_enum(
    "task", None, ["classification", "regression"], "What the target of an .npz or .csv is."
)
UCI_SPLIT = flags.DEFINE_integer("uci_split", None, "Which standard split of a UCI set.", 0)
RUN_DIR = flags.DEFINE_string("run_dir", "runs/vae", "Folder that receives everything of the run.")


def run(main: Callable[[], None]) -> None:
    """Runs `main` under absl; what goes wrong becomes one line on stderr and exit status 2."""

    def parse(argv):
        try:
            rest = flags.FLAGS(argv)[1:]
        except (flags.Error, OSError) as error:
            _fail(error)
        if rest:
            _fail(f"unexpected arguments. Expected flags --NAME=VALUE only. Received {rest}.")
        return argv

    def guarded(_):
        warnings.showwarning = lambda message, *_, **__: print(
            f"warning: {message}", file=sys.stderr
        )
        try:
            main()
        except (ValueError, OSError, ImportError, ArithmeticError, MemoryError) as error:
            _fail(error)
        except training.Stopped as stopped:
            print(stopped)  # nothing is wrong: everything is saved
            sys.exit(0)
        except KeyboardInterrupt:
            _fail("interrupted.", status=130)

    app.run(guarded, flags_parser=parse)


def integers(flag: flags.FlagHolder) -> list[int]:
    """Returns the value of a list flag as integers."""
    try:
        return [int(item) for item in flag.value]
    except ValueError:
        raise ValueError(
            f"--{flag.name} does not fit. Expected integers with commas between. Received "
            f"{','.join(flag.value)!r}."
        ) from None


def number_or_name(flag: flags.FlagHolder) -> "float | str":
    """Returns the value of a string flag, as a number if it is one."""
    try:
        return float(flag.value)
    except ValueError:
        return flag.value


def refuse_unused(applies: bool, where: str, *unused: flags.FlagHolder) -> None:
    """Raises `ValueError` for flags that were set and do not apply."""
    for flag in unused:
        if not applies and flag.value != flag.default:
            raise ValueError(
                f"--{flag.name} has no effect here. Expected it with {where} only. Received "
                f"--{flag.name}={flag.value}."
            )


def source() -> dict[str, "str | int | None"]:
    """Returns the flags that say which data, as a run remembers them: paths absolute."""
    path = pathlib.Path(DATASET.value)
    named = DATASET.value in tv.data.NAMES
    data_dir = DATA_DIR.value and str(pathlib.Path(DATA_DIR.value).absolute())
    return {
        "dataset": DATASET.value if named else str(path.absolute()),
        "data_dir": data_dir,
        "target": TARGET.value,
        "task": TASK.value,
        "uci_split": UCI_SPLIT.value,
    }


def load(source: dict, kind=None) -> tv.data.Data:
    """Returns the data that a `source` describes."""
    return tv.data.load(
        source["dataset"],
        data_dir=source["data_dir"],
        kind=kind,
        target=source.get("target"),
        task=source.get("task"),
        split=source.get("uci_split"),
    )


def key_flags() -> "dict[str, flags.Flag]":
    """Returns the flags of the program that runs, by name, without those of absl itself."""
    flag_values = flags.FLAGS
    ours = [
        *flag_values.get_key_flags_for_module(sys.argv[0]),
        *flag_values.get_key_flags_for_module(__name__),
    ]
    return {flag.name: flag for flag in sorted(ours, key=lambda flag: flag.name)}


def flag_lines() -> str:
    """Returns the flags of the program that runs, one per line, as `--flagfile` reads them."""
    return "".join(
        f"{flag.serialize()}\n"
        for name, flag in key_flags().items()
        if flag.value is not None and name != "overwrite"
    )


def command(module: str, path: pathlib.Path) -> str:
    """Returns the shell command that replays the run in the folder `path`."""
    program = f"{shlex.quote(sys.executable)} -m {module}"  # this Python: no environment is active
    return f"{program} --flagfile={shlex.quote(str(path / 'flags.txt'))} --run_dir=NEW"


def _fail(error: "BaseException | str", status: int = 2):
    if getattr(error, "strerror", None):  # of the system itself, such as a name that is too long
        error = (
            f"{error.filename or 'a file'} cannot be used. Expected a file or folder that can be "
            f"read and written. Received: {error.strerror}."
        )
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"error: {text}", file=sys.stderr)
    sys.exit(status)
