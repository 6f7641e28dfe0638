"""Help: what a program is, its flags in groups, and what somebody may have meant."""

import ast
import pathlib
import re
import sys
from collections.abc import Callable, Iterable, Sequence

from absl import flags

from tfp_vae import arguments

COMMAND = "tfp-vae"
_IN = " " * 28  # where the meaning of a flag begins
_BASICS = (
    *("preset", "dataset", "run_dir", "model", "method", "network", "likelihood", "latent_dim"),
    *("hidden", "epochs", "batch_size", "learning_rate", "seed", "overwrite"),
)
_main: "Callable[[], None] | None" = None


def checked(what: str, value: str, known: Sequence[str]) -> str:
    """Returns `value`, if it is one of those that are known; `what` it is, such as "--preset"."""
    if value not in known:
        raise ValueError(
            f"{what} does not fit. Expected one of {', '.join(known)}. Received {value!r}."
            f"{arguments.hint(value, known)}"
        )
    return value


def with_hint(error: Exception) -> str:
    """Returns the message of absl, with the flag or the value that may have been meant."""
    unknown = re.match(r"Unknown command line flag '(\w+)'", str(error))
    if unknown and "Did you mean" not in str(error):
        # absl compares with as many letters as were typed: of "bond" with "boun".
        return f"{error}.{arguments.hint(unknown[1], [*flags.FLAGS])}".replace("..", ".")
    found = re.fullmatch(r"(?s)flag --(\w+)=(.*): value should be one of <(.*)>", str(error))
    text = str(error).removeprefix("ERROR:: ")
    return text + ("." + arguments.hint(found[2], found[3].split("|")) if found else "")


def remember(main: "Callable[[], None]") -> None:
    """Keeps which program runs."""
    global _main
    _main = main


def module_name() -> str:
    """Returns the module of the program that runs, as `python -m` takes it."""
    spec = _main.__globals__.get("__spec__")
    return spec.name if spec else sys.argv[0]


def own_flags() -> "dict[str, flags.Flag]":
    """Returns the flags of the program that is imported, in the order of their modules."""
    return {flag.name: flag for group in by_module().values() for flag in group}


def of_program() -> str:
    """Returns the help of the program that runs: what it does, and its flags in groups."""
    console = sys.argv[0].startswith(f"{COMMAND} ")
    # From the file: python -OO leaves it out of the module.
    text = pathlib.Path(_main.__globals__["__file__"]).read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(text))
    call = sys.argv[0] if console else f"python -m {module_name()}"
    if console:
        doc = re.sub(r"python -m experiments\.(\w+)", lambda m: f"{COMMAND} {typed(m[1])}", doc)
        doc = re.sub(r"--flagfile=experiments/flags/(\w+)\.flags", r"--preset=\1", doc)
    groups: dict[str, list] = {"Basics": []}
    for module, found in reversed(by_module().items()):
        title = getattr(sys.modules.get(module), "GROUP", "This program")
        for flag in found:
            groups.setdefault("Basics" if flag.name in _BASICS else title, []).append(flag)
    groups["Basics"].sort(key=lambda flag: _BASICS.index(flag.name))
    lines = [f"{call} --NAME=VALUE ...", "", doc]
    for title, found in groups.items():
        lines += ["", f"{title}:", *map(_line, found)] if found else []
    return "\n".join(lines)


def typed(module: str) -> str:
    """Returns the name of a program as it is typed: "train-vae"."""
    return module.replace("_", "-")


def choices(flag: flags.Flag) -> "list[str]":
    """Returns the values that a flag may have, if they are few."""
    return list(getattr(flag.parser, "enum_values", None) or ())


def meaning(flag: flags.Flag) -> str:
    """Returns the text of a flag, without its values, which absl puts before it."""
    return flag.help.removeprefix(f"<{'|'.join(choices(flag))}>: ")


def by_module() -> "dict[str, list[flags.Flag]]":
    """Returns the flags of the programs that are imported, by the modules that define them."""
    package = f"{__package__}."
    return {
        module: found
        for module, found in flags.FLAGS.flags_by_module_dict().items()
        if module.startswith(package) or module == sys.argv[0]
    }


def _line(flag: flags.Flag) -> str:
    default = (flag.default_as_str or "").strip("'")
    name = f"--[no]{flag.name}={default}" if flag.boolean else f"--{flag.name}={default}"
    values = " | ".join(choices(flag)) or flag.parser.syntactic_help
    text = flags.text_wrap(f"{meaning(flag)} ({values})" if values else meaning(flag), indent=_IN)
    return f"  {name:<25} {text.lstrip()}" if len(name) <= 25 else f"  {name}\n{text}"


def listed(titles: Iterable["tuple[str, str]"]) -> str:
    """Returns names and one line each, aligned."""
    return "\n".join(f"  {name:<14}{text}" for name, text in titles)
