"""Recipes of VAEs: what flags, studies and benchmarks say of a model, and what is built from it.

recipe = methods.VAERecipe(latent_dim=20, likelihood="bernoulli", hidden=(400,))
vae = recipe.build(data, objectives.ELBO(), seed=1)     # compile and fit it
"""

import dataclasses
from typing import Any

from tfp_vae import networks, objectives
from tfp_vae.arguments import check_choice, check_count
from tfp_vae.data import Data
from tfp_vae.distributions import encoders, flows, heads, missingness, priors
from tfp_vae.distributions.codes import CODES
from tfp_vae.methods.vae_kinds import VAE_KINDS, VAEKind
from tfp_vae.methods.vae_kinds.base import likelihood_of
from tfp_vae.methods.vae_kinds.coded import Coded
from tfp_vae.methods.vae_kinds.m2 import VAE_CLASSIFIERS
from tfp_vae.methods.vae_networks import VAE_NETWORKS
from tfp_vae.models import VAE

__all__ = [
    "VAE_CLASSIFIERS",
    "VAE_KINDS",
    "VAE_NETWORKS",
    "VAERecipe",
    "kind_of",
    "likelihood_of",
]


def kind_of(model: str) -> "type[VAEKind]":
    """Returns what a name in `VAE_KINDS` or `CODES` builds."""
    check_choice("model", model, (*VAE_KINDS, *CODES))
    return VAE_KINDS[model] if model in VAE_KINDS else Coded


@dataclasses.dataclass(frozen=True)
class VAERecipe:
    """A VAE as data.

    Attributes:
        model: a name that `kind_of` knows: a member of `VAE_KINDS`, which says what it is and
            which of the fields below it alone reads, or one of `codes.CODES`.
        latent_dim: D, of each level.
        levels: L, latents of "hierarchical".
        level_dims: sizes of the levels, top first, in the place of `latent_dim` for all.
        prior: p(z), of the top level; a name in `priors.PRIORS`; targets as condition have a
            `ConditionalNormal`.
        components: K of a prior that has components, such as "mixture" or "vamp".
        clusters: K of "vade"; None for as many as the data have classes.
        flow: of the prior "flow", a name in `flows.FLOWS`.
        class_prior: whether a class acts through a `ClassNormal` p(z|y) alone, and not on the
            decoder.
        posterior: q(z|x), a name in `encoders.ENCODERS`; of "hierarchical" that of all levels, and
            "ladder" and "residual" of those below the top, which is "diagonal" beside them.
        likelihood: p(x|z), a name in `heads.HEADS` of no group; None for `likelihood_of` the data,
            and for a head of each column (`decoders.Columns`) of a table with a schema.
        missing: why cells of a table are missing, a name in `missingness.MISSINGNESS`.
        scale: of the normal likelihood, see `decoders.Normal`.
        network: of encoder and decoder, a name in `VAE_NETWORKS`.
        hidden: widths of the dense layers; one for "conv" and "resnet".
        filters: of the stride-2 convolutions of "conv" and "resnet".
        activation: of hidden layers, a name in `networks.ACTIVATIONS`; "gated" has none.
        skip: whether z, with what it is conditioned on, goes to every layer of the decoder.
        bayesian_decoder: whether the weights of the decoder's hidden layers have a posterior too,
            for "mlp".
        classifier: "mlp" or "conv", q(y|x) of "m2".
        alpha: weight of the classification term of "m2".
        labelled_share: share of the batches of "m2" with labels.
        receptive_field: of "pixel", how many rows and columns before a pixel it sees.
        covariance_rank: of "correlated", directions in which values of an example vary together.
        adversarial_weight: of what fools the discriminator of "aae" or "vae_gan".
        noise: deviation of the noise on what the encoder of "autoencoder" sees in training.
        num_samples: draws of z per example and training step.
        codes: (name, value) of what `codes.arguments` says that discrete latents take; they have
            no `latent_dim`, `prior` and `posterior`.
    """

    model: str = "vae"
    latent_dim: int = 20
    levels: int = 2
    level_dims: "tuple[int, ...]" = ()
    prior: str = "standard"
    components: int = 100
    clusters: "int | None" = None
    flow: str = "coupling"
    class_prior: bool = False
    posterior: str = "diagonal"
    likelihood: "str | None" = None
    missing: str = "at_random"
    scale: "float | str" = "shared"
    network: str = "mlp"
    hidden: "tuple[int, ...]" = (400,)
    filters: "tuple[int, ...]" = (32, 64)
    activation: str = "relu"
    skip: bool = False
    bayesian_decoder: bool = False
    classifier: str = "mlp"
    alpha: float = 0.1
    labelled_share: float = 0.5
    receptive_field: int = 3
    covariance_rank: int = 4
    adversarial_weight: float = 1.0
    noise: float = 0.0
    num_samples: int = 1
    codes: "tuple[tuple[str, Any], ...]" = ()

    def __post_init__(self):
        kind_of(self.model)().check(self)
        check_count("latent_dim", self.latent_dim)
        priors.PRIORS.check(self.prior)
        check_count("components", self.components)
        check_choice("flow", self.flow, flows.FLOWS)
        encoders.ENCODERS.check(self.posterior)
        if self.likelihood is not None:
            check_choice("likelihood", self.likelihood, heads.HEADS.group())
        missingness.MISSINGNESS.check(self.missing)
        VAE_NETWORKS.check(self.network)
        check_choice("activation", self.activation, networks.ACTIVATIONS)
        if self.bayesian_decoder and self.network != "mlp":
            raise ValueError(
                "There are no Bayesian layers for this decoder. Expected network='mlp' with "
                f"bayesian_decoder=True. Received {self.network!r}."
            )

    def build(self, data: Data, objective: "objectives.Bound | None" = None, seed: int = 0) -> VAE:
        """Returns the model for a data set, to be compiled and fitted.

        Raises:
            ValueError: if the data have no condition for it, or the networks do not fit them.
        """
        options = {"objective": objective, "num_samples": self.num_samples, "seed": seed}
        model = kind_of(self.model)().build(self, data, **options)
        model.priors[0].adapt(data.train, seed)
        return model
