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
from collections.abc import Iterable

import keras

from tfp_vae import layers, networks, objectives
from tfp_vae.arguments import check_choice, check_number, check_which_layers, is_number
from tfp_vae.data import Data, Split
from tfp_vae.distributions import heads, likelihoods
from tfp_vae.methods.weights import METHODS, Method
from tfp_vae.models import BayesianNetwork, Ensemble, Predictor
from tfp_vae.models.curvatures import STRUCTURES

ESTIMATORS = {
    "reparameterization": (layers.DenseReparameterization, layers.Conv2DReparameterization),
    "local": (layers.DenseLocalReparameterization, layers.Conv2DLocalReparameterization),
    "flipout": (layers.DenseFlipout, layers.Conv2DFlipout),
    "deterministic": (layers.DenseDeterministic, None),  # of the last layer alone
}
NETWORKS = ("mlp", "lenet")
PRECISIONS = ("prior", "validation", "evidence")


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
        prior: a name in `layers.priors.WEIGHT_PRIORS`, for "vi"; point weights have a normal one.
        prior_scale: see `layers.priors.WeightPrior`.
        learned_prior: whether the scale of the prior is learned, for "vi".
        initial_scale: see `layers.BayesianLayer`, for "vi".
        bayesian_layers: how many layers with weights have a posterior, for "vi": "last", "all", or
            an integer, counted from the last one. The weights v of the others are points without a
            prior: the bound is then one of the evidence of the model given v, log p(y|x, v), which
            training maximises over v too (type-II maximum likelihood), and no bound of log p(y|x).
            Compare it with bounds of the same choice only.
        covariance: of the last layer's posterior, for "vi": see `layers.BayesianLayer`; that of
            the other layers is diagonal.
        dropout: rate, for "mc_dropout".
        members: networks of an "ensemble" and of what starts from one: chains of "mile" and
            "sgmcmc", modes of "multiswag"; those in one network of "batch_ensemble" and "rank1".
        samples: passes per training step.
        posterior_steps: epochs of "swag" and "multiswag", samples per chain of "nuts", "mile" and
            "sgmcmc"; epochs in which a "laplace" posterior is trained on by its evidence.
        posterior_rate: learning rate of these epochs, and of "sgmcmc"; None: that of the method.
        posterior_precision: of the prior in a "laplace" posterior: "prior", that of the training;
            "validation", the one with the lowest NLL on validation data; "evidence", one for each
            layer, with which the training goes on, see `models.Laplace.train`; or a number > 0.
        posterior_structure: of "laplace": a name in `curvatures.STRUCTURES`; None for that of the
            method, "diagonal" of all layers and "full" of the last.
        posterior_predictive: of "laplace" and "sngp": "sampled" or "probit", see `models.Laplace`.
        random_features: D of "sngp", see `layers.RandomFeatureGaussianProcess`.
        spectral_bound: of the hidden kernels of "sngp", see `layers.SpectralBound`.
        label_noise: e in [0, 1), the share of labels that say nothing of their class, see
            `likelihoods.NoisyCategorical`; 0 for a softmax.
        exposure: of counts, name or number of the column that their rate is per unit of, see
            `layers.Exposure`; None for none.
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
    bayesian_layers: "int | str" = "all"
    covariance: "int | str" = "diagonal"
    dropout: float = 0.05
    members: int = 5
    samples: int = 1
    posterior_steps: int = 200
    posterior_rate: float | None = None
    posterior_precision: "float | str" = "validation"
    posterior_structure: "str | None" = None
    posterior_predictive: str = "sampled"
    random_features: int = 1024
    spectral_bound: float = 2.0
    label_noise: float = 0.0
    exposure: "str | int | None" = None

    def __post_init__(self):
        METHODS.check(self.method)
        for name, known in (
            ("network", NETWORKS),
            ("estimator", ESTIMATORS),
            ("prior", layers.priors.WEIGHT_PRIORS),
            ("activation", networks.ACTIVATIONS),
        ):
            check_choice(name, getattr(self, name), known)
        if self.posterior_rate is not None:
            check_number("posterior_rate", self.posterior_rate, above=0)
        check_number("label_noise", self.label_noise, 0, below=1)
        precision = self.posterior_precision
        if precision not in PRECISIONS and not is_number(precision, above=0):
            known = ", ".join(PRECISIONS)
            raise ValueError(
                f"Impossible posterior_precision. Expected {known} or a number > 0. Received "
                f"{precision!r}."
            )
        if self.posterior_structure is not None:
            STRUCTURES.check(self.posterior_structure)
        check_which_layers("bayesian_layers", self.bayesian_layers)

    @property
    def weights(self) -> Method:
        """The method, for this recipe."""
        return METHODS[self.method](self)


def make_network(recipe: Recipe, num_features: int, standardize: bool) -> keras.Sequential:
    """Returns the network of a recipe, [B, ...] -> [B, num_features].

    Raises:
        ValueError: if more layers are to be Bayesian than have weights.
    """
    method = recipe.weights
    behind = 4 if recipe.network == "lenet" else len(recipe.hidden)  # layers with weights
    method.check_depth(behind + 1)
    parts = [layers.Standardize()] if standardize else []
    hidden = recipe.hidden
    if recipe.network == "lenet":
        parts += [method.convolution(6, 5, "same", 4), keras.layers.MaxPooling2D()]
        parts += [*method.before(), method.convolution(16, 5, "valid", 3)]
        parts.append(keras.layers.MaxPooling2D())
        hidden = (120, 84)
    parts.append(keras.layers.Flatten())
    for index, units in enumerate(hidden):
        # Inputs of a table are few, and each matters: dropout starts behind the first layer.
        first = index == 0 and recipe.network == "mlp"
        layer = method.dense(units, recipe.activation, len(hidden) - index)
        parts += [*([] if first else method.before()), layer]
    parts += [*method.before(), method.dense(num_features)]
    return keras.Sequential(parts)


def make_likelihood(recipe: Recipe, num_classes: int | None) -> heads.Head:
    """Returns the likelihood of a recipe for data with so many classes, or with real targets."""
    if num_classes is not None:
        count = max(num_classes, 2)
        if recipe.label_noise:
            return likelihoods.NoisyCategorical(count, recipe.label_noise)
        return likelihoods.Categorical(count)
    if recipe.label_noise:
        raise ValueError(
            "Only labels are noisy by chance. Expected label_noise=0 for real targets, whose noise "
            f"is their scale. Received {recipe.label_noise}."
        )
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
    network = make_network(recipe, likelihood.num_features, standardize)
    if recipe.exposure is not None:
        network = layers.Exposure(network, recipe.exposure)
    model = BayesianNetwork(
        network,
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
    recipe.weights.check_data(data)
    recipe = _with_exposure(recipe, data)
    member = make_member(recipe, data.shape, classes, objective, seed)
    recipe.weights.check(member, len(data.train))
    return recipe.weights.model(member, seed)


def _with_exposure(recipe: Recipe, data: Data) -> Recipe:
    """Returns the recipe with the number of the column of exposures in the place of its name."""
    if recipe.exposure is None:
        return recipe
    head = make_likelihood(recipe, data.num_classes if data.task == "classification" else None)
    if not head.has("exposed"):
        raise head.lacks("exposed")
    if isinstance(recipe.exposure, int):
        return recipe
    names = tuple(data.columns or ())
    check_choice("column of exposures", recipe.exposure, names)
    return dataclasses.replace(recipe, exposure=names.index(recipe.exposure))


def finish(
    recipe: Recipe,
    model: "BayesianNetwork | Ensemble",
    train: Split,
    seed: int = 0,
    batch_size: int = 32,
    callbacks: "Iterable[keras.callbacks.Callback]" = (),
    validation: "Split | None" = None,
) -> Predictor:
    """Returns what predicts: the trained model, or the posterior that starts from it.

    Args:
        recipe: the one that the model was built from.
        model: trained.
        train: what it was trained on.
        seed: of the chains of "nuts".
        batch_size: of what is trained on: the walk of "swag", "laplace" by its evidence.
        callbacks: of Keras, for that training.
        validation: what the precision of "laplace" is chosen by.

    Warns:
        UserWarning: if something is to be chosen by validation data that were not given.
    """
    found = recipe.weights.finish(model, train, seed, batch_size, callbacks)
    return recipe.weights.tuned(found, validation)
