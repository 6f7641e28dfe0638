"""What a shell needs to complete programs, flags and values with the tab key, as a script."""

import importlib
import sys

from absl import flags

from tfp_vae import peek

from . import helping, presets

SHELLS = ("bash", "zsh")
_BASH = """\
_tfp_vae() {
  local line=${COMP_LINE:0:COMP_POINT} flags values
  local word=${line##* }
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "@PROGRAMS@" -- "$word"))
    return
  fi
  case ${COMP_WORDS[1]} in
@CASES@
  esac
  case "${COMP_WORDS[1]} $word" in
@VALUES@
    *=*) COMPREPLY=($(compgen -f -- "${word#*=}")) ;;
    *)
      compopt -o nospace
      COMPREPLY=($(compgen -W "$flags" -- "$word"))
      return
      ;;
  esac
  [[ -z ${values-} ]] || COMPREPLY=($(compgen -W "$values" -- "${word#*=}"))
}
complete -F _tfp_vae tfp-vae
"""
_ZSH = """\
#compdef tfp-vae
_tfp_vae() {
  local -a programs
  programs=(
@PROGRAMS@
  )
  if ((CURRENT == 2)); then
    _describe program programs
    return
  fi
  local program=${words[2]}
  shift words
  ((CURRENT--))
  case $program in
@CASES@
  esac
}
# Sourced, it is registered; as a file of $fpath it runs at the first tab, and has to answer it.
if [[ ${funcstack[1]-} == _tfp_vae ]]; then
  _tfp_vae "$@"
else
  compdef _tfp_vae tfp-vae
fi
"""


def script(shell: str, programs: "dict[str, str]") -> str:
    """Returns the script of a shell.

    Args:
        shell: one of `SHELLS`.
        programs: {name as it is typed: what it does}.
    """
    make = {"bash": _bash, "zsh": _zsh}[helping.checked("--completion", shell, SHELLS)]
    return make(programs, {name: flags_of(name.replace("-", "_")) for name in programs})


def flags_of(name: str) -> "list[flags.Flag]":
    """Returns the flags of a program, its module imported anew and then forgotten."""
    forget()
    importlib.import_module(f"{__package__}.{name}")
    found = [*helping.own_flags().values()]
    forget()
    return found


def forget() -> None:
    """Forgets all programs and their flags but those of every program: one program at a time."""
    package = sys.modules[__package__]
    for module in [name for name in sys.modules if name.startswith(f"{__package__}.")]:
        short = module.rpartition(".")[2]
        if short in ("cli", "failures", "helping", "completion", "__main__"):
            continue
        for flag in flags.FLAGS.get_flags_for_module(module):
            delattr(flags.FLAGS, flag.name)
        del sys.modules[module]
        if hasattr(package, short):
            delattr(package, short)  # or `from . import` finds it there


def _values(flag: flags.Flag) -> "list[str]":
    if flag.name == "preset":
        return presets.names()
    if flag.name == "dataset":
        return [*peek.names("data.NAMES")]
    return ["true", "false"] if flag.boolean else helping.choices(flag)


def _bash(programs, found) -> str:
    cases, values = [], []
    for program, own in found.items():
        names = [f"--{flag.name}" + "=" * (not flag.boolean) for flag in own]
        cases.append(f'    {program}) flags="{" ".join(names)}" ;;')
        for flag in own:
            if _values(flag):
                some = " ".join(_values(flag))
                values.append(f'    "{program} --{flag.name}="*) values="{some}" ;;')
    text = _BASH.replace("@PROGRAMS@", " ".join(programs))
    return text.replace("@CASES@", "\n".join(cases)).replace("@VALUES@", "\n".join(values))


def _zsh(programs, found) -> str:
    lines = [f"    {_quoted(f'{name}:{what}')}" for name, what in programs.items()]
    cases = []
    for program, own in found.items():
        cases.append(f"    {program})\n      _arguments \\")
        for flag in own:
            takes_file = flag.name in ("run_dir", "data_dir")
            some = f"({' '.join(_values(flag))})" if _values(flag) else "_files" * takes_file
            what = helping.meaning(flag).replace("[", "(").replace("]", ")").replace(":", r"\:")
            specs = [f"--{flag.name}=[{what}]:{flag.name}:{some}"]
            if flag.boolean:  # a switch has no value, and one that turns it off
                on, off = f"--{flag.name}", f"--no{flag.name}"
                specs = [f"({off}){on}[{what}]", f"({on}){off}[Not: {what}]"]
            cases += [f"        {_quoted(' '.join(spec.split()))} \\" for spec in specs]
        cases[-1] = cases[-1].removesuffix(" \\")
        cases.append("      ;;")
    return _ZSH.replace("@PROGRAMS@", "\n".join(lines)).replace("@CASES@", "\n".join(cases))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
