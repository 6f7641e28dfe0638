"""Recipes of VAEs: what flags, studies and benchmarks say of a model, and what is built from it.

recipe = methods.VAERecipe(latent_dim=20, likelihood="bernoulli", hidden=(400,))
vae = recipe.build(data, objectives.ELBO(), seed=1)     # compile and fit it
"""

import dataclasses
from typing import Any

import keras

from tfp_vae import layers, networks, objectives
from tfp_vae.arguments import check_choice, check_count
from tfp_vae.data import Data, Kind, kinds
from tfp_vae.distributions import decoders, encoders, flows, heads, priors
from tfp_vae.distributions.base import inverse_positive
from tfp_vae.distributions.codes import CODES
from tfp_vae.distributions.deterministic import Deterministic
from tfp_vae.distributions.pixels import PixelDecoder
from tfp_vae.methods import codes
from tfp_vae.methods.vae_networks import VAE_NETWORKS
from tfp_vae.methods.vae_networks.base import dense_width
from tfp_vae.models import AAE, M2, VAE, VAEGAN, ConditionalVAE, LatentVariable

VAE_MODELS = (
    *("vae", "hierarchical", "vade", "conditional", "m2"),
    *("bernoulli", "categorical", "fsq", "gumbel", "joint", "pixel", "vq", "aae", "vae_gan"),
)
VAE_CLASSIFIERS = ("mlp", "conv")

ADVERSARIAL = ("aae", "vae_gan")  # which no bound is of
_START = 0.1  # of the projection of a prior below others

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


@dataclasses.dataclass(frozen=True)
class VAERecipe:
    """A VAE as data.

    Attributes:
        model: "vae": p(x); "hierarchical": p(x) of several latents, each given those above;
            "vade": p(x) with a mixture of `clusters` as prior, see `training.StartClusters`;
            "conditional": p(x|c) of the class or the targets c; "m2": p(x, y); a name in
            `codes.CODES`: p(x) with discrete latents; "pixel": p(x) with a decoder whose pixels
            depend on those before them, of `scale="trained"` where it is normal; "aae", "vae_gan":
            against a discriminator, not on the bound.
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
        adversarial_weight: of what fools the discriminator of "aae" or "vae_gan".
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
    adversarial_weight: float = 1.0
    num_samples: int = 1
    codes: "tuple[tuple[str, Any], ...]" = ()

    def __post_init__(self):
        check_choice("model", self.model, VAE_MODELS)
        check_count("latent_dim", self.latent_dim)
        check_count("levels", self.levels)
        for size in self.level_dims:
            check_count("level_dims", size)
        if self.level_dims and len(self.level_dims) != self.levels:
            raise ValueError(
                f"Sizes and levels differ. Expected level_dims of {self.levels} sizes, one for "
                f"each level, top first. Received {list(self.level_dims)}."
            )
        if self.model == "hierarchical" and not self.hidden:
            raise ValueError(
                "Levels share a network over the example. Expected at least one hidden width. "
                "Received none."
            )
        priors.PRIORS.check(self.prior)
        check_count("components", self.components)
        if self.clusters is not None:
            check_count("clusters", self.clusters)
        check_choice("flow", self.flow, flows.FLOWS)
        encoders.ENCODERS.check(self.posterior)
        if self.model in CODES:
            codes.check(self.model, dict(self.codes))
        if self.likelihood is not None:
            check_choice("likelihood", self.likelihood, heads.HEADS.group())
        VAE_NETWORKS.check(self.network)
        check_count("receptive_field", self.receptive_field)
        check_choice("classifier", self.classifier, VAE_CLASSIFIERS)
        check_choice("activation", self.activation, networks.ACTIVATIONS)
        if self.bayesian_decoder and self.network != "mlp":
            raise ValueError(
                "There are no Bayesian layers for this decoder. Expected network='mlp' with "
                f"bayesian_decoder=True. Received {self.network!r}."
            )

    def build(
        self, data: Data, objective: "objectives.Bound | None" = None, seed: int = 0
    ) -> "VAE | ConditionalVAE | M2":
        """Returns the model for a data set, to be compiled and fitted.

        Raises:
            ValueError: if the data have no condition for it, or the networks do not fit them.
        """
        # The order is that in which networks draw their initial weights.
        if self.model == "hierarchical":
            model = self._hierarchy(data, objective, seed)
            model.priors[0].adapt(data.train, seed)
            return model
        is_coded = self.model in CODES
        is_plain = is_coded or self.model in ("vae", "pixel", *ADVERSARIAL)
        condition = {} if is_plain else self._given(data)
        encoding = VAE_NETWORKS[self.network]().encoding(self, data.shape)
        if data.schema is not None:
            encoding = keras.Sequential([layers.TableInput(data.schema), *encoding.layers])
        encoder: encoders.Encoder
        if is_coded:
            encoder = codes.encoder(self.model, encoding, dict(self.codes))
            condition["prior"] = codes.prior(encoder)
        elif self.model == "aae":
            encoder = Deterministic(encoding, self.latent_dim)
        else:
            encoder = encoders.ENCODERS[self.posterior](encoding, self.latent_dim)
        decoder = self._decoder(data)
        parts = {
            "prior": condition.pop("prior", None) or self._prior(),
            "encoder": encoder,
            "decoder": decoder,
            "objective": objective,
            "num_samples": self.num_samples,
            "seed": seed,
            **condition,
        }
        model = self._model(data, parts)
        model.prior.adapt(data.train, seed)
        return model

    def _decoder(self, data: Data) -> "decoders.Decoder | decoders.Columns":
        decoding = self._decoding(data)
        network = networks.Skip(decoding) if self.skip else decoding
        if data.schema is not None and self.likelihood is None:
            return decoders.Columns(network, data.schema)
        likelihood = self.likelihood or likelihood_of(data.kind)
        scale = {"scale": self.scale} if likelihood == "normal" else {}
        head = heads.HEADS[likelihood](**scale)
        if self.model == "pixel":
            return PixelDecoder(network, data.shape, head, reach=self.receptive_field)
        return decoders.Decoder(network, data.shape, head)

    def _prior(self, latent_dim: "int | None" = None) -> priors.Prior:
        kind = priors.PRIORS[self.prior]
        options: dict = {"components": self.components} if kind.has_components else {}
        if kind.has_flow:
            options["kind"] = self.flow
        return kind(latent_dim or self.latent_dim, **options)

    def _given(self, data: Data) -> dict:
        """Returns the parts that the data decide: a condition with its prior, or clusters."""
        return {"prior": self._mixture(data)} if self.model == "vade" else self._condition(data)

    def _mixture(self, data: Data) -> priors.Prior:
        clusters = self.clusters or data.num_classes
        if clusters is None:
            raise ValueError(
                "Nobody says how many clusters there are. Expected a number of them, or data with "
                f"classes. Received {data!r} without."
            )
        if clusters > len(data.train):
            raise ValueError(
                "There are more clusters than examples. Expected at most "
                f"{len(data.train)}. Received {clusters}."
            )
        return priors.PRIORS["mixture"](self.latent_dim, clusters)

    def _hierarchy(self, data: Data, objective: "objectives.Bound | None", seed: int) -> VAE:
        """Returns p(z_L) ... p(z_1|z_>1) p(x|z) with a shared bottom-up pass and skips to x."""
        bottom_up = VAE_NETWORKS[self.network]().encoding(self, data.shape)
        sizes = self.level_dims or (self.latent_dim,) * self.levels
        below = encoders.ENCODERS[self.posterior]
        latents = []
        for level, size in enumerate(sizes):
            name = f"z{len(sizes) - level}" if len(sizes) > 1 else "z"
            is_top = level == 0
            encoder = encoders.ENCODERS["diagonal"] if is_top and below.uses_prior else below
            prior = self._prior(size) if is_top else priors.ConditionalNormal(self._level(), size)
            latents.append(LatentVariable(name, prior, encoder(self._level(), size)))
        model = VAE(
            latents=latents,
            decoder=self._decoder(data),
            objective=objective,
            num_samples=self.num_samples,
            seed=seed,
            bottom_up=bottom_up,
            decoder_sees_above=True,
        )
        for latent in latents[1:]:  # p(z_l|z_>l) starts near N(0, I)
            projection = latent.prior.head.projection
            projection.kernel.assign(_START * projection.kernel)
            size = latent.latent_dim
            projection.bias.assign([0.0] * size + [inverse_positive(1.0)] * size)
        return model

    def _level(self) -> keras.Sequential:
        """Returns the network of one level, of features and what lies above."""
        width = self.hidden[-1:]
        if VAE_NETWORKS[self.network].has_activation:
            return networks.mlp(width, self.activation)
        return networks.gated_mlp(width)

    def _model(self, data: Data, parts: dict) -> "VAE | ConditionalVAE | M2":
        if self.model in ADVERSARIAL:
            made = AAE if self.model == "aae" else VAEGAN
            parts["discriminator"] = networks.mlp(self.hidden, self.activation)
            return made(weight=self.adversarial_weight, **parts)
        if self.model in ("vae", "vade", "pixel", *CODES):
            return VAE(**parts)
        parts["join"] = "planes" if VAE_NETWORKS[self.network].is_spatial else "flat"
        parts["decoder_sees_condition"] = not self.class_prior
        if self.model == "conditional":
            return ConditionalVAE(**parts)
        m2 = {"alpha": self.alpha, "labelled_share": self.labelled_share}
        return M2(classifier=self._classifier(data), **m2, **parts)

    def _condition(self, data: Data) -> dict:
        """Returns how the model is told what its condition is, and the prior that goes with it."""
        if data.num_classes is not None:
            found = {"num_classes": data.num_classes}
            if self.class_prior:
                found["prior"] = priors.ClassNormal(self.latent_dim, data.num_classes)
            return found
        if data.task is None:
            raise ValueError(
                "A conditional model needs a condition. Expected data with labels or targets. "
                f"Received {data!r} with neither."
            )
        targets = data.train.targets
        network = networks.mlp(self.hidden, self.activation)
        return {
            "condition_dim": targets.reshape(len(targets), -1).shape[1],
            "prior": priors.ConditionalNormal(network, self.latent_dim),
        }

    def _decoding(self, data: Data) -> keras.Sequential:
        """Returns the network of the decoder, the mirror of the encoder's."""
        if self.bayesian_decoder:
            dense = layers.DenseLocalReparameterization
            return keras.Sequential([dense(n, self.activation) for n in self.hidden[::-1]])
        return VAE_NETWORKS[self.network]().decoding(self, data.shape)

    def _classifier(self, data: Data) -> keras.Sequential:
        if self.classifier == "mlp":
            network = networks.mlp(self.hidden, self.activation)
            return keras.Sequential([network, keras.layers.Dense(data.num_classes)])
        width = dense_width(self, data.shape)
        return networks.conv_classifier(data.num_classes, self.filters, width, self.activation)
