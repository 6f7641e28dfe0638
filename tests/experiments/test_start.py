"""Programs answer at once: help, typing errors and wrong paths, before TensorFlow is imported."""

import importlib
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

import pytest

import experiments
from experiments import __main__ as command
from experiments import completion, helping, presets
from tfp_vae import arguments, extras, peek

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = [name.replace("-", "_") for name in command.programs()]
# Runs a program as `python -m` does and says at the end what it imported.
WATCHED = """
import atexit, runpy, sys
heavy = ("tensorflow", "keras", "tensorflow_probability", "matplotlib", "sklearn", "scipy", "PIL")
atexit.register(lambda: print("imported:", *[m for m in heavy if m in sys.modules]))
sys.argv[:] = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def watched(folder, *arguments):
    """Returns (status, stdout, stderr, processor seconds) of a program in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    out, _, imported = done.stdout.rpartition("imported:")
    assert imported.split() == [], f"{arguments} imported {imported}"
    return done.returncode, out, done.stderr, spent


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_of_a_program_comes_before_tensorflow_is_imported(name, tmp_path):
    status, out, err, seconds = watched(tmp_path, f"experiments.{name}", "--helpshort")
    print(f"{name} --helpshort: {seconds:.2f} s of processor time")
    assert (status, err) == (0, "")
    assert out.startswith(f"python -m experiments.{name} ") and "\nBasics:\n" in out


def test_the_benchmark_refuses_an_unknown_item_before_it_starts():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmarks" / "run.py", "--items=V1,V9"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Unknown items. Expected V1" in done.stderr and "Received ['V9']" in done.stderr


def test_a_table_of_runs_needs_no_tensorflow(tmp_path):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "metrics.json").write_text('{"test_elbo": -3.5}')
    status, out, err, _ = watched(tmp_path, "experiments.runs", "--out=runs.csv", "--format=csv")
    assert (status, err) == (0, "") and out == f"1 run: {tmp_path / 'runs.csv'}\n"
    assert "runs/one,finished,-3.5," in (tmp_path / "runs.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train_vae --latent_dims=3", "Did you mean: latent_dim"),
        ("train_vae --likelihood=gaussian", "Did you mean normal?"),
        ("train_vae --network=cnn", "Did you mean conv?"),
        ("train_vae --likelihood=bernouli", "Did you mean bernoulli?"),
        ("train_vae --preset=mnits", "Did you mean mnist?"),
        ("train_vae --flagfile=nowhere.flags", "nowhere.flags"),
        ("train_vae --bond=elbo", "Did you mean bound?"),
        ("train_vae --dataset=minst", "Did you mean mnist?"),
        ("train_vae --dataset=nowhere.csv", "nowhere.csv"),
        ("train_vae --dataset=mnist --data_dir=nowhere", "nowhere"),
        ("train_vae --run_dir=file/run", "cannot be written"),
        ("train_bnn --method=hmc", "Did you mean nuts?"),
        ("train_bnn --run_dir=file", "not a folder"),
        ("train_bnn --method=map --dropout=0.2", "--dropout has no effect"),
        ("evaluate --run_dir=nowhere", "no model at nowhere/model.keras"),
        ("bounds --run_dir=nowhere", "no model at nowhere/model.keras"),
        ("generate --run_dir=nowhere", "no model at nowhere/model.keras"),
        ("export --run_dir=nowhere", "no model at nowhere/model.keras"),
        ("export --formats=tflite", "Did you mean litert?"),
        ("compare --models=cvae", "Did you mean conditional_vae?"),
        ("compare --tasks=oood", "Did you mean ood?"),
        ("latent_sizes --patience=3", "patience"),
        ("toys --methods=dropout", "Did you mean mc_dropout?"),
        ("tune --search=latent_dims=2|8", "Did you mean: latent_dim"),
        ("uci --sets=concret", "Did you mean concrete?"),
        ("uci --data_dir=nowhere", "nowhere"),
    ],
)
def test_a_wrong_flag_or_path_is_one_line_before_tensorflow_is_imported(arguments, words, tmp_path):
    (tmp_path / "file").write_text("")
    name, *rest = arguments.split()
    status, out, err, seconds = watched(tmp_path, f"experiments.{name}", *rest)
    print(f"{arguments}: {seconds:.2f} s of processor time")
    assert (status, out) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", err) and words in err, err


def test_importing_the_package_prints_nothing_and_imports_nothing_heavy(tmp_path):
    code = "import sys, tfp_vae as tv; dir(tv); print([m for m in sys.modules if m == 'numpy'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_what_keras_takes_along_is_out_of_sight_while_it_loads_and_there_after(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(ImportError), experiments._hidden("colorsys", "os"):
        assert importlib.import_module("os") is os  # what is there already stays
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv
    assert {"matplotlib", "pandas", "sklearn"} == set(experiments._FOR_OTHERS)


# Help.


@pytest.mark.parametrize("spelling", ["-h", "--help", "-help", "--helpshort", "-?"])
def test_every_spelling_of_help_gives_the_same(program, spelling):
    expected = program("generate", "--helpshort")
    assert expected[0] == 0
    assert program("generate", spelling) == expected


def test_basics_come_first_and_groups_follow(program):
    _, out, _ = program("train_vae", "-h")
    titles = re.findall(r"^(\w[\w ]*):$", out, re.M)
    assert titles[:2] == ["Basics", "This program"]
    assert {
        "Model",
        "Bound",
        "Condition",
        "Codes",
        "Table",
        "Training",
        "Data",
        "Saving and devices",
    } == set(titles[2:])
    basics = out.partition("Basics:")[2].partition("This program:")[0]
    assert basics.index("--dataset=digits") < basics.index("--epochs=100") and "--seed" in basics


def _read_somewhere(flag):
    """Returns whether code of the programs takes the value of a flag."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "experiments").glob("*.py")]
    if flag == "preset":
        return any('"--preset="' in text for text in texts)
    holders = {
        found
        for text in texts
        for found in re.findall(rf'(\w+) = flags\.DEFINE_\w+\(\s*"{flag}"', text)
    }
    return any(re.search(rf"\b{name}\b(?! = flags)", text) for name in holders for text in texts)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_flag_of_a_program_is_shown_and_read(name, program):
    own = {flag.name for flag in completion.flags_of(name)}
    _, out, _ = program(name, "-h")
    shown = re.findall(r"^  --(?:\[no\])?(\w+)=", out, re.M)
    assert sorted(shown) == sorted(own)
    assert [flag for flag in own if not _read_somewhere(flag)] == []


@pytest.mark.parametrize(
    ("name", "unread"),
    [
        ("toys", {"dataset", "data_dir", "target", "image_size", "encoding"}),
        ("uci", {"dataset", "target", "task", "uci_split"}),
        ("generate", {"dataset", "data_dir", "target", "color_mode", "delimiter"}),
        ("latent_sizes", {"patience", "tensorboard", "checkpoint_every", "finish"}),
    ],
)
def test_flags_that_a_program_does_not_read_are_unknown_to_it(name, unread, refused):
    assert not unread & {flag.name for flag in completion.flags_of(name)}
    for flag in unread:
        assert f"Unknown command line flag '{flag}'" in refused(name, f"--{flag}=3")


def test_a_word_of_others_means_a_value_that_there_is():
    known = {value for name in PROGRAMS for f in completion.flags_of(name) for value in _words(f)}
    for word, ours in arguments._OTHER_WORDS.items():
        assert set(ours) & known, word


def _words(flag):
    listed = flag.default if isinstance(flag.default, list) else ()
    places = peek.names("data.NAMES"), peek.names("export.FORMATS")
    return [*helping.choices(flag), *listed, *places[0], *places[1]]


# Presets.


def test_a_preset_is_a_flagfile_by_name_and_later_flags_win():
    named = [["--preset=fashion_mnist"], [f"--flagfile={presets._PRESETS / 'fashion_mnist.flags'}"]]
    completion.forget()
    importlib.import_module("experiments.train_vae")
    before = [presets.expanded([*each, "--epochs=3"]) for each in named]
    assert before[0] == before[1]
    assert before[0][0] == "--dataset=mnist" and before[0][-1] == "--epochs=3"
    assert before[0].index("--dataset=fashion_mnist") > 0


def test_a_file_of_flags_without_an_end_is_refused_unread(tmp_path):
    (tmp_path / "more.flags").write_text("--epochs=3\n--flagfile=/dev/zero\n")
    (tmp_path / "large.flags").write_text("#" * (2**20 + 1))
    os.mkfifo(tmp_path / "pipe.flags")
    for name in ("more", "large", "pipe"):
        path = f"{tmp_path}/{name}.flags"
        for given in ([f"--flagfile={path}"], ["--flagfile", path]):
            with pytest.raises(ValueError, match=r"flagfile does not fit. Expected .* Received /"):
                presets.expanded(given)


def test_help_is_there_where_python_leaves_docstrings_out(tmp_path):
    found = [
        subprocess.run(
            [sys.executable, *options, "-m", "experiments.generate", "-h"],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True,
            text=True, timeout=120, check=True,
        ).stdout
        for options in ((), ("-OO",))
    ]  # fmt: skip
    assert found[0] == found[1]


# The one command.


def test_the_command_lists_the_programs_with_a_line_each(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tfp-vae"])
    command.main()
    out = capsys.readouterr().out
    for name in command.programs():
        assert re.search(rf"^  {name} +\w.+", out, re.M)
    assert {"train-vae", "train-bnn", "compare", "uci", "toys", "export"} <= {*command.programs()}


def test_the_command_runs_a_program_with_its_flags(in_process):
    completion.forget()
    status, out, _ = in_process(command.main, "generate", "-h")
    assert status == 0 and out.startswith("tfp-vae generate --NAME=VALUE")
    assert "tfp-vae generate --run_dir=runs/digits" in out and "python -m" not in out


def test_an_unknown_program_is_refused_with_the_nearest(in_process):
    status, out, err = in_process(command.main, "trian-vae")
    assert (status, out) == (2, "") and "Did you mean train-vae?" in err


# Completion.


def bash(words):
    """Returns what the tab key offers after a line, in bash."""
    line = "tfp-vae " + words
    # bash itself splits words at "=" too.
    split = [part for part in re.split(r"(=)|\s", line) if part]
    split += [""] if line.endswith((" ", "=")) else []
    script = completion.script("bash", command.programs())
    quoted = " ".join(f"'{word}'" for word in split)
    code = (
        "compopt() { :; }\n"
        + script
        + f"COMP_WORDS=({quoted}); COMP_CWORD={len(split) - 1}\n"
        + f"COMP_LINE='{line}'; COMP_POINT={len(line)}\n_tfp_vae\n"
        + 'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tr", ["train-bnn", "train-vae"]),
        ("train-vae --latent", ["--latent_prior=", "--latent_dim="]),
        ("train-vae --epochs=3 --likelihood=be", ["bernoulli"]),
        ("train-vae --dataset=mn", ["mnist"]),
        ("train-vae --preset=fa", ["fashion_mnist"]),
        ("train-bnn --estimator=", ["reparameterization", "local", "flipout", "deterministic"]),
        ("toys --da", []),
    ],
)
def test_bash_completes_programs_flags_and_values(words, offered):
    assert bash(words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_of_a_shell_is_one_that_it_can_read(shell):
    text = completion.script(shell, command.programs())
    for name in PROGRAMS:
        for flag in completion.flags_of(name):
            assert f"--{flag.name}" in text
    try:
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"skipped: needs {shell}")
    assert (done.returncode, done.stderr) == (0, "")


def zsh(words, tmp_path, how):
    """Returns what the script hands to zsh's own functions, from which these take it."""
    if not shutil.which("zsh"):
        pytest.skip("skipped: needs zsh")
    (tmp_path / "_tfp_vae").write_text(completion.script("zsh", command.programs()))
    code = (
        "compdef() { :; }; _describe() { print -l -- $programs }\n"
        '_arguments() { print -l -- "$@" }\n'
        f"{how}\nwords=(tfp-vae {words}); CURRENT=${{#words}}\n_tfp_vae"
    )
    command_line = ["zsh", "-f", "-c", code]
    done = subprocess.run(command_line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "how", ["source ./_tfp_vae", "fpath=($PWD); autoload -Uz _tfp_vae"], ids=["source", "fpath"]
)
def test_zsh_completes_programs_flags_and_values_from_the_first_tab(how, tmp_path):
    offered = zsh("tr", tmp_path, how)
    assert [line.partition(":")[0] for line in offered] == list(command.programs())
    specs = zsh("train-bnn --estimator=", tmp_path, how)
    (estimator,) = [spec for spec in specs if spec.startswith("--estimator=")]
    assert estimator.endswith(":estimator:(reparameterization local flipout deterministic)")
    switches = [spec.partition("[")[0] for spec in specs if "jit" in spec.partition("[")[0]]
    assert switches == ["(--nojit)--jit", "(--jit)--nojit"]


# What an installation lacks.


@pytest.mark.parametrize("name", ["train_vae", "train_bnn", "latent_sizes", "compare", "toys"])
@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_a_missing_extra_is_named_with_its_command_before_work(name, module, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    line = refused(name, "--run_dir=run")
    assert 'pip install "tfp_vae[report]"' in line and f"Received no {module}" in line


def test_a_comparison_needs_what_compresses_images(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert 'pip install "tfp_vae[images]"' in refused("compare", "--run_dir=run")


def test_every_extra_of_the_code_is_one_of_the_installation():
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    section = text.partition("[options.extras_require]")[2].partition("\n[")[0]
    names = re.findall(r"^(\w+) =$", section, re.M)
    assert set(extras.MODULES) <= set(names)
    assert {"images", "report", "all"} <= set(names)


# Names that are read from text.


def _peeked():
    """Returns every constant that a program reads from the text of the package."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "experiments").glob("*.py")]
    return sorted({found for text in texts for found in re.findall(r'peek\.\w+\("([^"]+)"', text)})


@pytest.mark.parametrize("path", _peeked())
def test_what_is_read_from_text_is_what_is_imported(path):
    module, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(f"tfp_vae.{module}"), name)
    expected = (value,) if isinstance(value, int) else tuple(value)
    assert peek.names(path) == expected


@pytest.mark.parametrize("path", ["training.NOTHING", "nowhere.X", "data.load"])
def test_what_is_not_there_or_no_constant_is_an_error(path):
    with pytest.raises(LookupError, match="Expected"):
        peek.names(path)
