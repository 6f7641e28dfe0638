"""Methods of Bayesian deep learning side by side: one recipe, one network, one way to predict.

    recipe = methods.Recipe("vi", hidden=(400, 400))
    model = methods.build(recipe, data)          # a Keras model: compile and fit it
    predictor = methods.finish(recipe, model, data.train)
    predictor.predictive(x, num_samples=100)

All methods share the network, the likelihood and the metrics; they differ in what is done about the
weights. Some are done when training is (variational inference, Monte Carlo dropout, ensembles),
others start from the trained point (Laplace, SWAG, NUTS), which is what `finish` is for.
"""

import dataclasses

import keras

from tfp_vae import layers, networks, objectives
from tfp_vae.data import Data, Split
from tfp_vae.distributions import heads, likelihoods
from tfp_vae.models import NUTS, SWAG, BayesianNetwork, Ensemble, Laplace, Predictor

METHODS = {
    "vi": "variational inference, mean field",
    "map": "maximum a posteriori",
    "ml": "maximum likelihood",
    "mc_dropout": "Monte Carlo dropout",
    "ensemble": "deep ensemble",
    "laplace": "Laplace, diagonal, all weights",
    "laplace_last_layer": "Laplace, full covariance, last layer",
    "swag": "SWAG",
    "nuts": "Hamiltonian Monte Carlo (NUTS)",
}
# Methods whose posterior starts from the trained point and is no part of the Keras model.
AFTERWARDS = ("laplace", "laplace_last_layer", "swag", "nuts")
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
        scale: of a real target, see `likelihoods.Normal`; "poisson" for counts.
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
        for name, value, known in (
            ("method", self.method, METHODS),
            ("network", self.network, NETWORKS),
            ("estimator", self.estimator, ESTIMATORS),
            ("prior", self.prior, layers.priors.BY_NAME),
            ("activation", self.activation, networks.ACTIVATIONS),
        ):
            if value not in known:
                raise ValueError(
                    f"Unknown {name}. Expected one of {', '.join(known)}. Received {value!r}."
                )

    @property
    def has_point_weights(self) -> bool:
        """Whether training gives one value per weight."""
        return self.method != "vi"


def make_network(recipe: Recipe, num_features: int, standardize: bool) -> keras.Sequential:
    """Returns the network of a recipe, [B, ...] -> [B, num_features]."""

    def prior():
        return layers.priors.BY_NAME[recipe.prior](recipe.prior_scale, learned=recipe.learned_prior)

    def dense(units, activation=None):
        if recipe.has_point_weights:
            kernel = networks.initializer(activation)
            return keras.layers.Dense(units, activation, kernel_initializer=kernel)
        return ESTIMATORS[recipe.estimator][0](
            units,
            activation,
            bayesian_bias=True,
            prior=prior(),
            initial_scale=recipe.initial_scale,
        )

    def convolution(filters, padding):
        options = {"activation": recipe.activation, "padding": padding}
        if recipe.has_point_weights:
            kernel = networks.initializer(recipe.activation)
            return keras.layers.Conv2D(filters, 5, kernel_initializer=kernel, **options)
        return ESTIMATORS[recipe.estimator][1](
            filters,
            5,
            bayesian_bias=True,
            prior=prior(),
            initial_scale=recipe.initial_scale,
            **options,
        )

    def dropped(layer):
        if recipe.method != "mc_dropout":
            return [layer]
        return [layers.MonteCarloDropout(recipe.dropout), layer]

    parts = [layers.Standardize()] if standardize else []
    hidden = recipe.hidden
    if recipe.network == "lenet":
        parts += [convolution(6, "same"), keras.layers.MaxPooling2D()]
        parts += [*dropped(convolution(16, "valid")), keras.layers.MaxPooling2D()]
        hidden = (120, 84)
    parts.append(keras.layers.Flatten())
    for index, units in enumerate(hidden):
        # Inputs of a table are few, and each matters: dropout starts behind the first layer.
        first = index == 0 and recipe.network == "mlp"
        parts += (
            [dense(units, recipe.activation)] if first else dropped(dense(units, recipe.activation))
        )
    parts += dropped(dense(num_features))
    return keras.Sequential(parts)


def make_likelihood(recipe: Recipe, num_classes: int | None) -> heads.Head:
    """Returns the likelihood of a recipe for data with so many classes, or with real targets."""
    if num_classes is not None:
        return likelihoods.Categorical(max(num_classes, 2))
    if recipe.scale == "poisson":
        return likelihoods.Poisson()
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
    with_prior = recipe.has_point_weights and recipe.method != "ml"
    prior = layers.priors.Normal(recipe.prior_scale) if with_prior else None
    model = BayesianNetwork(
        make_network(recipe, likelihood.num_features, standardize),
        likelihood,
        weight_prior=prior,
        objective=objective or objectives.ELBO(),
        num_samples=recipe.samples,
        seed=seed,
    )
    model.build((None, *shape))
    return model


def build(recipe: Recipe, data: Data, objective=None, seed: int = 0):
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
    if recipe.method == "nuts" and recipe.posterior_steps < 4:
        raise ValueError(
            f"Too few samples for NUTS. Expected at least 4. Received {recipe.posterior_steps}."
        )
    if recipe.method in ("laplace", "laplace_last_layer"):
        structure = "diagonal" if recipe.method == "laplace" else "last_layer"
        member.num_data = len(data.train)
        Laplace(member, structure)  # which says now, not after the training, that it is too large
    if recipe.method == "ensemble":
        return Ensemble(member, recipe.members, seed=seed)
    return member


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
    if recipe.method == "laplace":
        return Laplace(model, "diagonal").fit(train)
    if recipe.method == "laplace_last_layer":
        return Laplace(model, "last_layer").fit(train)
    if recipe.method == "swag":
        steps, rate = recipe.posterior_steps, recipe.posterior_rate
        return SWAG(model).fit(train, steps, rate, batch_size, callbacks)
    if recipe.method == "nuts":
        steps = recipe.posterior_steps
        return NUTS(model, num_samples=steps, num_burnin=steps).fit(train, seed)
    return model
