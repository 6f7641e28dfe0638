"""What a model of a recipe is: the parts that differ from those of a plain VAE."""

from typing import Any, ClassVar

import keras

from tfp_vae import layers, networks
from tfp_vae.data import Data, Kind, kinds
from tfp_vae.distributions import decoders, encoders, heads, priors
from tfp_vae.methods.vae_networks import VAE_NETWORKS
from tfp_vae.models import VAE
from tfp_vae.registry import Registry

VAE_KINDS = Registry(
    "tfp_vae.methods.vae_kinds",
    "model",
    first=("vae", "hierarchical", "vade", "conditional", "m2"),
)

# The likelihood of each kind of values as they are: none has to be changed for it.
_LIKELIHOODS = {
    Kind.STATIC: "bernoulli",
    Kind.DYNAMIC: "bernoulli",
    Kind.THRESHOLD: "bernoulli",
    Kind.UNIT_INTERVAL: "continuous_bernoulli",
    Kind.EIGHT_BIT: "discretized_logistic",
    Kind.REAL: "normal",
}


def likelihood_of(kind: "Kind | str") -> str:
    """Returns the name in `heads.HEADS` of a likelihood of such values."""
    return _LIKELIHOODS[kinds.of(kind)]


class VAEKind:
    """A model that a `VAERecipe` names; made without arguments. The base builds a plain VAE.

    The methods are called in their order here, which is that in which networks draw weights.

    Attributes:
        fields: of a recipe, which some kinds alone read.
        reads_prior: whether `prior` of the recipe is read.
        reads_posterior: whether `posterior` of the recipe is read.
        reads_activation: whether `activation` is read whatever the networks are.
        on_bound: whether training maximises a bound.
        finds_clusters: whether the components of the prior that is trained are clusters.
    """

    fields: ClassVar["tuple[str, ...]"] = ()
    reads_prior: ClassVar[bool] = True
    reads_posterior: ClassVar[bool] = True
    reads_activation: ClassVar[bool] = False
    on_bound: ClassVar[bool] = True
    finds_clusters: ClassVar[bool] = False

    def check(self, recipe: Any) -> None:
        """Raises `ValueError` for fields of a `VAERecipe` that do not fit each other."""

    def given(self, recipe: Any, data: Data) -> dict:
        """Returns the arguments of the model that the data decide, such as a condition."""
        del recipe, data
        return {}

    def encoder(self, recipe: Any, network: keras.Layer) -> encoders.Encoder:
        """Returns q(z|x) behind the network of the recipe."""
        return encoders.ENCODERS[recipe.posterior](network, recipe.latent_dim)

    def decoder(self, recipe: Any, data: Data) -> "decoders.Decoder | decoders.Columns":
        """Returns p(x|z)."""
        decoding = self.decoding(recipe, data)
        network = networks.Skip(decoding) if recipe.skip else decoding
        if data.schema is not None and recipe.likelihood is None:
            return decoders.Columns(network, data.schema, missing=recipe.missing)
        return self.of_values(recipe, network, data, head_of(recipe, data))

    def of_values(
        self, recipe: Any, network: keras.Layer, data: Data, head: heads.Head
    ) -> decoders.Decoder:
        """Returns the decoder of examples that are no columns."""
        del recipe
        return decoders.Decoder(network, data.shape, head)

    def decoding(self, recipe: Any, data: Data) -> keras.Sequential:
        """Returns the network of the decoder, the mirror of the encoder's."""
        if recipe.bayesian_decoder:
            dense = layers.DenseLocalReparameterization
            return keras.Sequential([dense(n, recipe.activation) for n in recipe.hidden[::-1]])
        return VAE_NETWORKS[recipe.network]().decoding(recipe, data.shape)

    def prior(self, recipe: Any, encoder: encoders.Encoder) -> priors.Prior:
        """Returns p(z) where `given` has none."""
        del encoder
        return prior_of(recipe, recipe.latent_dim)

    def model(self, recipe: Any, data: Data, parts: dict) -> VAE:
        """Returns the model of its parts."""
        del recipe, data
        return VAE(**parts)

    def build(self, recipe: Any, data: Data, **options: Any) -> VAE:
        """Returns the model for a data set.

        Args:
            recipe: a `VAERecipe`.
            data: what it is for.
            **options: arguments of every model: `objective`, `num_samples`, `seed`.
        """
        given = self.given(recipe, data)
        encoder = self.encoder(recipe, encoding_of(recipe, data))
        decoder = self.decoder(recipe, data)
        parts = {"prior": given.pop("prior", None) or self.prior(recipe, encoder), **given}
        return self.model(
            recipe, data, {"encoder": encoder, "decoder": decoder, **parts, **options}
        )


def encoding_of(recipe: Any, data: Data) -> keras.Sequential:
    """Returns the network of the encoder; of a table it takes columns and gaps."""
    network = VAE_NETWORKS[recipe.network]().encoding(recipe, data.shape)
    if data.schema is None:
        return network
    return keras.Sequential([layers.TableInput(data.schema), *network.layers])


def head_of(recipe: Any, data: Data) -> heads.Head:
    """Returns the likelihood of a value."""
    likelihood = recipe.likelihood or likelihood_of(data.kind)
    return heads.HEADS[likelihood](**({"scale": recipe.scale} if likelihood == "normal" else {}))


def prior_of(recipe: Any, latent_dim: int) -> priors.Prior:
    """Returns the prior that the recipe names, of so many numbers."""
    kind = priors.PRIORS[recipe.prior]
    options: dict = {"components": recipe.components} if kind.has_components else {}
    if kind.has_flow:
        options["kind"] = recipe.flow
    return kind(latent_dim, **options)
