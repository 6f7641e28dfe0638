"""What the package needs of TensorFlow Probability: a new version is checked here, at once."""

import pathlib
import re

import pytest

from tfp_vae import probability

ROOT = pathlib.Path(__file__).parents[1] / "tfp_vae"
NEEDED = {
    "tfd": (
        "Bernoulli Categorical ContinuousBernoulli Distribution FULLY_REPARAMETERIZED "
        "FiniteDiscrete Horseshoe Independent JointDistributionSequential "
        "Laplace LogNormal Logistic MixtureSameFamily MultivariateNormalDiag NegativeBinomial "
        "MultivariateNormalTriL MultivariateStudentTLinearOperator NOT_REPARAMETERIZED Normal "
        "Poisson RegisterKL Sample StudentT TransformedDistribution Uniform kl_divergence"
    ),
    "tfb": "Chain FillScaleTriL Reshape Scale Softplus",
    "mcmc": (
        "DualAveragingStepSizeAdaptation NoUTurnSampler effective_sample_size "
        "potential_scale_reduction sample_chain"
    ),
    "math": "fill_triangular log1mexp",
}
NAMES = [(module, name) for module, names in NEEDED.items() for name in names.split()]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_name_that_we_need_of_tfp_exists(module, name):
    assert getattr(getattr(probability, module), name) is not None


def test_every_name_of_tfp_that_we_use_is_listed():
    known = {f"{module}.{name}" for module, name in NAMES}
    for path in ROOT.rglob("*.py"):
        code = re.sub(r"`[^`]*`", "", path.read_text(encoding="utf-8"))
        used = set(re.findall(r"(?<![\w.])(?:tfd|tfb|mcmc)\.\w+", code))
        assert used <= known, path


def test_tfp_is_imported_in_one_place():
    pattern = re.compile(r"^\s*(import|from) tensorflow_probability", re.MULTILINE)
    found = [p.name for p in ROOT.rglob("*.py") if pattern.search(p.read_text(encoding="utf-8"))]
    assert found == ["probability.py"]
