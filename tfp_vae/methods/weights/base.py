"""What a weight method is: all that building, training and predicting have to know of it."""

from typing import TYPE_CHECKING, Any, ClassVar

from tfp_vae.registry import Registry

if TYPE_CHECKING:
    import keras

    from tfp_vae.data import Data, Split
    from tfp_vae.layers.priors import WeightPrior
    from tfp_vae.methods.network import Recipe
    from tfp_vae.models import BayesianNetwork, Ensemble, Predictor

METHODS = Registry(
    "tfp_vae.methods.weights",
    "method",
    first=(
        "vi",
        "map",
        "ml",
        "mc_dropout",
        "ensemble",
        "laplace",
        "laplace_last_layer",
        "swag",
        "multiswag",
        "nuts",
        "sgmcmc",
        "mile",
        "ivon",
        "sngp",
        "batch_ensemble",
        "rank1",
    ),
)


class Method:
    """A method of a recipe: `METHODS[recipe.method](recipe)`; here maximum a posteriori.

    A new one is one file: a subclass with `@METHODS.register("name", "what it is")`.

    Args:
        recipe: whose method it is.

    Attributes:
        uses: names of the flags that act on this method and not on every one; those of a `Recipe`
            have the names of its fields, but for `num_samples`, which is `Recipe.samples`.
        point_weights: whether training gives one value per weight.
        post_hoc: whether the posterior starts from the trained point and is not part of the Keras
            model: `finish` makes it.
        trained_as: the method whose training it shares; "" if it has one of its own.
        several: whether `Recipe.members` networks are trained.
        default_rate: of `Recipe.posterior_rate`.
        needs_optimum: whether it depends on how far the training went, and not only on a start.
    """

    uses: ClassVar["tuple[str, ...]"] = ("prior_scale",)
    point_weights: ClassVar[bool] = True
    post_hoc: ClassVar[bool] = False
    trained_as: ClassVar[str] = ""
    several: ClassVar[bool] = False
    default_rate: ClassVar[float] = 1e-3
    needs_optimum: ClassVar[bool] = True

    def __init__(self, recipe: "Recipe"):
        self.recipe = recipe

    @property
    def rate(self) -> float:
        """`Recipe.posterior_rate`, or what the method has in its place."""
        chosen = self.recipe.posterior_rate
        return self.default_rate if chosen is None else chosen

    def optimizer(
        self, learning_rate: Any, num_data: int, seed: int = 0
    ) -> "keras.optimizers.Optimizer":
        """Returns the optimizer of the training; here Adam, see `optimizers.held_adam`.

        Args:
            learning_rate: of Adam, a number or a schedule.
            num_data: N, examples that are trained on.
            seed: of an optimizer that draws.
        """
        del num_data, seed
        from tfp_vae.optimizers import held_adam

        return held_adam(learning_rate)

    def check(self, member: "BayesianNetwork", num_data: int) -> None:
        """Raises `ValueError`, before the training, for what the method cannot do after it.

        Args:
            member: the network, untrained.
            num_data: N, examples that it will be trained on.
        """

    def check_data(self, data: "Data") -> None:
        """Raises `ValueError`, before the training, for data that cannot choose what they have to.

        Args:
            data: to be trained on.
        """

    def check_depth(self, depth: int) -> None:
        """Raises `ValueError` if a network of so many layers with weights is too shallow."""

    def dense(self, units: int, activation: "str | None" = None, behind: int = 0) -> "keras.Layer":
        """Returns a dense layer, [B, F] -> [B, units], with `behind` layers of weights behind."""
        del behind
        import keras

        from tfp_vae import networks

        kernel = networks.initializer(activation)
        return keras.layers.Dense(units, activation, kernel_initializer=kernel)

    def convolution(self, filters: int, size: int, padding: str, behind: int = 0) -> "keras.Layer":
        """Returns a convolution, [B, H, W, C] -> [B, H', W', filters]; see `dense`."""
        del behind
        import keras

        from tfp_vae import networks

        activation = self.recipe.activation
        return keras.layers.Conv2D(
            filters,
            size,
            activation=activation,
            padding=padding,
            kernel_initializer=networks.initializer(activation),
        )

    def before(self) -> "list[keras.Layer]":
        """Returns the layers that stand before each one whose inputs are hidden units."""
        return []

    def weight_prior(self) -> "WeightPrior | None":
        """Returns the prior of point weights."""
        from tfp_vae import layers

        return layers.priors.Normal(self.recipe.prior_scale)

    def model(self, member: "BayesianNetwork", seed: int = 0) -> "BayesianNetwork | Ensemble":
        """Returns what is trained, of the one network of the recipe."""
        del seed
        return member

    def finish(
        self, model, train: "Split", seed: int = 0, batch_size: int = 32, callbacks=()
    ) -> "Predictor":
        """Returns what predicts, of the trained model; see `methods.finish`."""
        del train, seed, batch_size, callbacks
        return model

    def tuned(self, predictor: "Predictor", validation: "Split | None") -> "Predictor":
        """Returns what predicts with what validation data choose of it; here nothing."""
        del validation
        return predictor

    def finish_groups(
        self, ensemble: "Ensemble", train: "Split", batch_size: int
    ) -> "list[Predictor]":
        """Returns what predicts for each group of an ensemble; here from its first member.

        Args:
            ensemble: trained; G groups.
            train: the data of all groups side by side, [N, G, D].
            batch_size: of methods that train on.
        """
        return [
            self.finish(
                ensemble.member(group * ensemble.size),
                self.of_group(train, group),
                batch_size=batch_size,
            )
            for group in range(train.shape[0])
        ]

    @staticmethod
    def of_group(train: "Split", group: int) -> "Split":
        """Returns the data of one group, [N, D], of those of all side by side, [N, G, D]."""
        from tfp_vae.data import Kind, Split

        x, y = train.values()[:, group], train.targets[:, group]
        return Split(x, Kind.REAL, targets=y, name="train")

    def summary(self, predictor: "Predictor") -> dict:
        """Returns what is to be reported of the posterior itself, JSON-ready."""
        del predictor
        return {}
