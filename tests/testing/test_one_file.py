"""A new member of a family is one file: a toy of each, which no file of the package names.

The files in `tests/toys` are what somebody adds. Here they are registered and used by name; one
more process finds them in a copy of the package, by the names that its flags have. BUILD.md shows
the table.
"""

import contextlib
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import data, export, methods, report, testing
from tfp_vae.data import Data, Kind, Split
from tfp_vae.evaluation.ood.base import SCORES
from tfp_vae.evaluation.ood.scores import vae_scores
from tfp_vae.methods.vae_kinds.base import VAE_KINDS

ROOT = pathlib.Path(__file__).parents[2]
TOYS = ROOT / "tests" / "toys"
# What is added -> (its one file, its name, the registry that flags read, the room).
ROWS = {
    "prior p(z)": ("laplace_prior", "toy_laplace", "distributions.priors.PRIORS"),
    "likelihood of x": ("student_t_head", "toy_student_t", "distributions.heads.HEADS"),
    "likelihood of y": (
        *("negative_binomial_head", "toy_negative_binomial"),
        "distributions.heads.HEADS",
    ),
    "bound": ("renyi_bound", "toy_renyi", "objectives.BOUNDS"),
    "prior of weights": ("cauchy_weight_prior", "toy_cauchy", "layers.priors.WEIGHT_PRIORS"),
    "weight method": ("wide_map_method", "toy_wide_map", "methods.weights.METHODS"),
    "kind of VAE, `--model=`": (
        *("linear_vae", "toy_linear"),
        "methods.vae_kinds.base.VAE_KINDS",
    ),
    "OOD score": ("brightness_score", "toy_brightness", "evaluation.ood.base.SCORES"),
    "export format": ("lookup_format", "toy_lookup", "export.formats.FORMATS"),
    "source of data": ("text_source", "toy_text", "data.sources.SOURCES"),
    "named data set": ("ramp_named", "toy_ramp", "data.named.NAMES"),
}
FAMILIES = (
    tv.layers.priors.WEIGHT_PRIORS,
    *(tv.priors.PRIORS, tv.heads.HEADS, tv.objectives.BOUNDS, methods.METHODS, SCORES, VAE_KINDS),
    *(export.FORMATS, data.SOURCES, data.NAMES),
)


@pytest.fixture(scope="module", autouse=True)
def toys():
    """Registers all toys for this file; returns their modules by name."""
    with contextlib.ExitStack() as stack:
        for family in FAMILIES:
            stack.enter_context(family.temporary())
        found = {}
        for path in sorted(TOYS.glob("*.py")):
            spec = importlib.util.spec_from_file_location(path.stem, path)
            found[path.stem] = importlib.util.module_from_spec(spec)
            sys.modules[path.stem] = found[path.stem]  # `inspect` looks for formats there
            spec.loader.exec_module(found[path.stem])
        yield found
    assert not any(name.startswith("toy_") for family in FAMILIES for name in family)


@pytest.fixture(scope="module")
def table():
    """Returns real examples with counts beside them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3)).astype(np.float32)
    whole = Split(x, Kind.REAL, targets=rng.poisson(np.exp(x[:, 0])))
    parts = {"train": slice(20), "validation": slice(20, 30), "test": slice(30, None)}
    return Data("toy", **{name: whole.select(index, name) for name, index in parts.items()})


def test_every_toy_is_one_file_that_no_file_of_the_package_names():
    assert sorted(path.stem for path in TOYS.glob("*.py")) == sorted(r[0] for r in ROWS.values())
    sources = [*(ROOT / "tfp_vae").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]
    assert not [path for path in sources if "toy_" in path.read_text(encoding="utf-8")]
    text = (ROOT / "BUILD.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| ([^|]+) \| \d+[^|]* \| 1[^|]* \|", text, re.MULTILINE)
    assert set(shown) >= set(ROWS)


def test_a_file_in_its_room_is_known_to_flags_before_anything_is_imported(tmp_path):
    shutil.copytree(
        ROOT / "tfp_vae", tmp_path / "tfp_vae", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    for stem, _, registry in ROWS.values():
        room = tmp_path.joinpath("tfp_vae", *registry.split(".")[:-1])
        room = room if room.is_dir() else room.parent
        shutil.copy(TOYS / f"{stem}.py", room)
    code = (
        "import sys; from absl import flags; from tfp_vae import peek; "
        "from experiments import condition_flags; "
        f"print([peek.registry(r).meanings[n] for _, n, r in {list(ROWS.values())!r}]); "
        "print({f.name: f.parser.enum_values for m in flags.FLAGS.flags_by_module_dict().values() "
        "for f in m if hasattr(f.parser, 'enum_values')}); print('keras' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout.splitlines()  # fmt: skip
    assert all(eval(out[0]))
    known = {name for names in eval(out[1]).values() for name in names}
    offered = {"toy_laplace", "toy_student_t", "toy_renyi", "toy_linear"}
    assert known & {row[1] for row in ROWS.values()} == offered
    assert "toy_negative_binomial" not in known  # of --likelihood, p(x|z)
    assert out[2] == "False"


@pytest.mark.always(reason="what the rooms are cut for")
def test_toys_keep_the_contracts_of_their_families(toys, base_seed):
    testing.check_prior(toys["laplace_prior"].LaplacePrior(2), seed=base_seed, xla=False)
    testing.check_head(toys["student_t_head"].StudentT(), seed=base_seed, xla=False)
    testing.check_head(toys["negative_binomial_head"].NegativeBinomial(), seed=base_seed, xla=False)
    testing.check_bound(toys["renyi_bound"].Renyi(), seed=base_seed, xla=False)


@pytest.mark.always(reason="what the rooms are cut for")
def test_kind_of_model_prior_likelihood_and_bound_are_named_in_a_recipe(table, tmp_path):
    recipe = methods.VAERecipe(
        latent_dim=2,
        model="toy_linear",
        prior="toy_laplace",
        likelihood="toy_student_t",
        hidden=(4,),
    )
    model = recipe.build(table, tv.objectives.BOUNDS["toy_renyi"]())
    model.compile(optimizer="adam", run_eagerly=True)
    history = model.fit(table.train, batch_size=20, epochs=1, verbose=0).history
    assert {"elbo", "toy_renyi"} <= set(history)
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras", trusted=("toys",))
    np.testing.assert_array_equal(again.elbo(table.test, 3), model.elbo(table.test, 3))
    with pytest.raises(ValueError, match=r"Unknown likelihood.*toy_student_t.*Received 'toy_neg"):
        methods.VAERecipe(likelihood="toy_negative_binomial")


@pytest.mark.always(reason="what the rooms are cut for")
def test_method_and_likelihood_of_y_are_named_in_a_recipe(table):
    recipe = methods.Recipe("toy_wide_map", hidden=(4,), scale="toy_negative_binomial")
    model = methods.build(recipe, table)
    assert model.weight_prior.scale == 10 * recipe.prior_scale
    model.compile(optimizer="adam", run_eagerly=True)
    model.fit(table.train, epochs=1, verbose=0)
    predictive = methods.finish(recipe, model, table.train).predictive(table.test, 2)
    assert np.all(np.isfinite(predictive.log_prob(table.test.targets)))


def test_a_prior_of_weights_is_named_in_a_recipe(table):
    recipe = methods.Recipe("vi", hidden=(), prior="toy_cauchy", learned_prior=True)
    model = methods.build(recipe, table)
    layer = next(each for each in model.network.layers if hasattr(each, "posterior"))
    scale = np.asarray(layer.prior.distribution.scale)
    assert scale.shape == (4, 1)  # three inputs and the bias
    np.testing.assert_allclose(scale, 1.0, rtol=1e-5)


def test_a_score_is_asked_for_by_name(make_vae, binary_images):
    split = Split(binary_images(5), Kind.STATIC)
    found = vae_scores(make_vae(), split, names=["toy_brightness"])
    expected = split.values().mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found["toy_brightness"], expected, rtol=1e-6)


def test_a_format_is_written_and_verified_by_name(table, toys, tmp_path, monkeypatch):
    recipe = methods.Recipe("map", hidden=(4,))
    model = methods.build(recipe, table)
    folder = export.export(model, table, tmp_path / "export", ["toy_lookup"], num_samples=3)
    cells = export.verify(folder, seconds=0.0).cells
    assert [(cell["format"], cell["signature"]) for cell in cells] == [("toy_lookup", "predict")]
    assert cells[0]["passed"] and cells[0]["operators"] == ["LOOK"]
    assert "a table of answers" in (folder / "card.md").read_text()
    assert report.read_json(folder / "export.json")["refused"] == {}
    source = tmp_path / "lookup_format.py"
    text = (TOYS / "lookup_format.py").read_text()
    source.write_text(text.replace("STAND_ALONE", "ALONE"))
    monkeypatch.setattr("inspect.getsourcefile", lambda kind: str(source))
    reason = export.verify(folder, seconds=0.0).failures[0]["reason"]
    assert "Expected STAND_ALONE with 'load'" in reason


def test_data_are_loaded_by_form_and_by_name(tmp_path):
    loaded = data.load("toy_ramp", split=2)
    assert (loaded.name, loaded.kind, len(loaded.test)) == ("toy_ramp", Kind.DYNAMIC, 2)
    np.savetxt(tmp_path / "a.toy", np.arange(18).reshape(6, 3), fmt="%d")
    table = data.load(tmp_path / "a.toy")
    # Integers of a table are numbers, whatever their range.
    assert (table.name, table.kind, table.task) == ("a.toy", Kind.REAL, "regression")
    assert max(part.values().max() for part in (table.train, table.validation, table.test)) == 16
    with pytest.raises(ValueError, match=r"labels does not apply.*an array"):
        data.load(tmp_path / "a.toy", labels=np.arange(6))
