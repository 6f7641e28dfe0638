"""Methods of Bayesian deep learning side by side: one recipe, one network, one way to predict.

    recipe = methods.Recipe("vi", hidden=(400, 400))
    model = methods.build(recipe, data)          # a Keras model: compile and fit it
    predictor = methods.finish(recipe, model, data.train)
    predictor.predictive(x, num_samples=100)

All methods share the network, the likelihood and the metrics; they differ in what is done about the
weights, and `methods.weights` has a file for each. Some are done when training is (variational
inference, Monte Carlo dropout, ensembles), others start from the trained point (Laplace, SWAG,
NUTS), which is what `finish` is for.
"""

import dataclasses

import keras

from tfp_vae import layers, networks, objectives
from tfp_vae.arguments import check_choice
from tfp_vae.data import Data, Split
from tfp_vae.distributions import heads, likelihoods
from tfp_vae.methods.weights import METHODS, Method
from tfp_vae.models import BayesianNetwork, Ensemble, Predictor

ESTIMATORS = {
    "reparameterization": (layers.DenseReparameterization, layers.Conv2DReparameterization),
    "local": (layers.DenseLocalReparameterization, layers.Conv2DLocalReparameterization),
    "flipout": (layers.DenseFlipout, layers.Conv2DFlipout),
}
NETWORKS = ("mlp", "lenet")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is trained and how its weights are treated.

    Attributes:
        method: a name in `METHODS`.
        network: "mlp" or "lenet" (LeNet-5: 6 and 16 filters of 5x5, dense 120 and 84).
        hidden: widths of the dense layers of an mlp.
        activation: of hidden layers.
        scale: of a real target, see `likelihoods.Normal`; or the name of another head in
            `heads.HEADS` that is made without arguments, such as "poisson" for counts.
        estimator: a name in `ESTIMATORS`, for "vi".
        prior: a name in `layers.priors.BY_NAME`, for "vi"; point weights have a normal one.
        prior_scale: see `layers.priors.WeightPrior`.
        learned_prior: whether the scale of the prior is learned, for "vi".
        initial_scale: see `layers.BayesianLayer`, for "vi".
        dropout: rate, for "mc_dropout".
        members: networks of an "ensemble".
        samples: passes per training step.
        posterior_steps: epochs of "swag", samples per chain of "nuts".
        posterior_rate: learning rate of "swag".
    """

    method: str = "vi"
    network: str = "mlp"
    hidden: "tuple[int, ...]" = (50,)
    activation: str = "relu"
    scale: "str | float" = "shared"
    estimator: str = "local"
    prior: str = "normal"
    prior_scale: "float | str" = 1.0
    learned_prior: bool = True
    initial_scale: float = 0.1
    dropout: float = 0.05
    members: int = 5
    samples: int = 1
    posterior_steps: int = 200
    posterior_rate: float = 1e-3

    def __post_init__(self):
        METHODS.check(self.method)
        for name, known in (
            ("network", NETWORKS),
            ("estimator", ESTIMATORS),
            ("prior", layers.priors.BY_NAME),
            ("activation", networks.ACTIVATIONS),
        ):
            check_choice(name, getattr(self, name), known)

    @property
    def weights(self) -> Method:
        """The method, for this recipe."""
        return METHODS[self.method](self)


def make_network(recipe: Recipe, num_features: int, standardize: bool) -> keras.Sequential:
    """Returns the network of a recipe, [B, ...] -> [B, num_features]."""
    method = recipe.weights
    parts = [layers.Standardize()] if standardize else []
    hidden = recipe.hidden
    if recipe.network == "lenet":
        parts += [method.convolution(6, 5, "same"), keras.layers.MaxPooling2D()]
        parts += [*method.before(), method.convolution(16, 5, "valid"), keras.layers.MaxPooling2D()]
        hidden = (120, 84)
    parts.append(keras.layers.Flatten())
    for index, units in enumerate(hidden):
        # Inputs of a table are few, and each matters: dropout starts behind the first layer.
        first = index == 0 and recipe.network == "mlp"
        parts += [*([] if first else method.before()), method.dense(units, recipe.activation)]
    parts += [*method.before(), method.dense(num_features)]
    return keras.Sequential(parts)


def make_likelihood(recipe: Recipe, num_classes: int | None) -> heads.Head:
    """Returns the likelihood of a recipe for data with so many classes, or with real targets."""
    if num_classes is not None:
        return likelihoods.Categorical(max(num_classes, 2))
    if recipe.scale in heads.HEADS:
        return heads.HEADS[recipe.scale]()
    return likelihoods.Normal(recipe.scale)


def make_member(
    recipe: Recipe,
    shape: "tuple[int, ...]",
    num_classes: int | None,
    objective=None,
    seed: int = 0,
) -> BayesianNetwork:
    """Returns the one network of a recipe for examples of a shape, built."""
    likelihood = make_likelihood(recipe, num_classes)
    standardize = len(shape) == 1  # a table has units; images are in [0, 1]
    if recipe.network == "lenet" and (len(shape) != 3 or min(shape[:2]) < 12):
        raise ValueError(
            "LeNet is a network of images. Expected examples of shape (H, W, C) with H and W of at "
            f"least 12. Received {shape}."
        )
    model = BayesianNetwork(
        make_network(recipe, likelihood.num_features, standardize),
        likelihood,
        weight_prior=recipe.weights.weight_prior(),
        objective=objective or objectives.ELBO(),
        num_samples=recipe.samples,
        seed=seed,
    )
    model.build((None, *shape))
    return model


def build(
    recipe: Recipe, data: Data, objective=None, seed: int = 0
) -> "BayesianNetwork | Ensemble":
    """Returns the model of a recipe for a data set, to be compiled and fitted.

    Raises:
        ValueError: if the data have neither labels nor targets, or the network does not fit them.
    """
    if data.task is None:
        raise ValueError(
            f"{data.name} has nothing to predict. Expected labels or targets. Received neither."
        )
    classes = data.num_classes if data.task == "classification" else None
    member = make_member(recipe, data.shape, classes, objective, seed)
    recipe.weights.check(member, len(data.train))
    return recipe.weights.model(member, seed)


def finish(
    recipe: Recipe, model, train: Split, seed: int = 0, batch_size: int = 32, callbacks=()
) -> Predictor:
    """Returns what predicts: the trained model, or the posterior that starts from it.

    Args:
        recipe: the one that the model was built from.
        model: trained.
        train: what it was trained on.
        seed: of the chains of "nuts".
        batch_size: of the walk of "swag".
        callbacks: of Keras, for the walk of "swag".
    """
    return recipe.weights.finish(model, train, seed, batch_size, callbacks)
