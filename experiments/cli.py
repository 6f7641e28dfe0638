"""What the programs share: how they start, one-line errors, values of flags."""

import math
import pathlib
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable

from absl import app, flags

import tfp_vae as tv

from . import failures, helping, presets

HELP = ("-h", "-help", "--help", "-helpshort", "--helpshort", "-?")


def run(main: Callable[[], None]) -> None:
    """Runs `main` under absl; what goes wrong becomes one line on stderr and exit status 2."""
    helping.remember(main)
    if hasattr(sys.stdout, "reconfigure"):  # a name that a terminal cannot show is no error
        sys.stdout.reconfigure(errors="backslashreplace")

    def parse(argv):
        if not set(HELP).isdisjoint(argv[1:]):
            print(helping.of_program())
            sys.exit(0)
        try:
            rest = flags.FLAGS([argv[0], *presets.expanded(argv[1:])])[1:]
            _check_numbers()
        except (flags.Error, OSError, ValueError) as error:
            failures.fail(helping.with_hint(error))
        if rest:
            failures.fail(
                f"unexpected arguments. Expected flags --NAME=VALUE only. Received {rest}."
            )
        return argv

    def guarded(_):
        warnings.showwarning = lambda message, *_, **__: failures.warn(message)
        try:
            main()
            if sys.stdout is not None:  # where it is closed
                sys.stdout.flush()
        except KeyboardInterrupt:
            failures.fail("interrupted.", status=130)
        except BrokenPipeError:  # whoever reads, such as head, has enough
            failures.end_quietly()
        except Exception as error:
            if failures.is_expected(error):
                failures.fail(error)
            if "tensorflow" in sys.modules and isinstance(error, tv.training.Stopped):
                print(error)  # nothing is wrong: everything is saved
                sys.exit(0)
            raise

    app.run(guarded, flags_parser=parse)


def _check_numbers() -> None:
    """Raises `ValueError` for NaN, which is within any bounds of absl, and for the infinite there.

    A flag without bounds may be infinite.
    """
    for name, flag in helping.own_flags().items():
        if not isinstance(flag.value, float) or math.isfinite(flag.value):
            continue
        ends = [getattr(flag.parser, end, None) for end in ("lower_bound", "upper_bound")]
        if math.isnan(flag.value) or ends != [None, None]:
            raise ValueError(
                f"--{name} does not fit. Expected a finite number. Received --{name}={flag.value}."
            )


def or_error(function: Callable, *arguments):
    """Returns what the function does; its `ValueError` becomes one line and exit status 2."""
    try:
        return function(*arguments)
    except ValueError as error:
        failures.fail(error)


def integers(flag: flags.FlagHolder) -> list[int]:
    """Returns the value of a list flag as integers."""
    try:
        return [int(item) for item in flag.value]
    except ValueError:
        raise ValueError(
            f"--{flag.name} does not fit. Expected integers with commas between. Received "
            f"{','.join(flag.value)!r}."
        ) from None


def chosen(flag: flags.FlagHolder, known: Iterable[str]) -> list[str]:
    """Returns the value of a list flag: some of the names in `known`, at least one."""
    known = list(known)
    if not flag.value:
        raise ValueError(
            f"--{flag.name} does not fit. Expected some of {', '.join(known)}. Received none."
        )
    return [helping.checked(f"--{flag.name}", name, known) for name in flag.value]


def number_or_name(flag: flags.FlagHolder) -> "float | str":
    """Returns the value of a string flag, as a number if it is one."""
    try:
        return float(flag.value)
    except ValueError:
        return flag.value


def refuse_unused(applies: bool, where: str, *unused: flags.FlagHolder) -> None:
    """Raises `ValueError` for flags that were set and do not apply; those left out cannot be."""
    for flag in unused:
        if not applies and flag.name in flags.FLAGS and flag.value != flag.default:
            raise ValueError(
                f"--{flag.name} has no effect here. Expected it with {where} only. Received "
                f"--{flag.name}={flag.value}."
            )


def leave_out(*unread: flags.FlagHolder) -> None:
    """Takes away flags of imported modules that the program does not read."""
    for flag in unread:
        delattr(flags.FLAGS, flag.name)


def value_of(flag: flags.FlagHolder):
    """Returns the value of a flag, None if the program left it out."""
    return flag.value if flag.name in flags.FLAGS else None


def flag_lines() -> str:
    """Returns the flags of the program that runs, one per line, as `--flagfile` reads them.

    The first line, a comment, says which program it is.
    """
    name = helping.typed(helping.module_name().rpartition(".")[2])
    return f"# {helping.COMMAND} {name}\n" + "".join(
        f"{flag.serialize()}\n"
        for name, flag in sorted(helping.own_flags().items())
        if flag.value is not None and name != "overwrite"
    )


def command(path: pathlib.Path) -> str:
    """Returns the shell command that replays the run in the folder `path`."""
    # This Python, and the module as it was found: no environment is active, no folder the current.
    program = f"{shlex.quote(sys.executable)} -m {helping.module_name()}"
    return f"{program} --flagfile={shlex.quote(str(path / 'flags.txt'))} --run_dir=NEW"
