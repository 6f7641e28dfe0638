"""The latent variables of a model, top first: each a prior and a posterior."""

import dataclasses
import re

import keras

from tfp_vae.distributions.base import BOX, REAL, SPHERE
from tfp_vae.distributions.encoders import ENCODERS, Encoder
from tfp_vae.distributions.priors import Prior

_COVERED = {REAL: (REAL,), BOX: (REAL, BOX), SPHERE: (SPHERE,)}
_WORDS = {REAL: "all of R^D", BOX: "the box (-1, 1)^D", SPHERE: "the unit sphere"}


def _in_words(support: str) -> str:
    return _WORDS.get(support, support)


def covers(prior: str, posterior: str) -> bool:
    """Returns whether a density on one support is above zero wherever one on another is."""
    return prior in _COVERED.get(posterior, (posterior,))


@keras.saving.register_keras_serializable(package="tfp_vae")
@dataclasses.dataclass
class LatentVariable:
    """p(z_l | z_>l, c) and q(z_l | x, z_>l, c).

    The network of an encoder below others gets x, flattened, and beside it what lies above.

    Attributes:
        name: such as "z1": letters, digits and underscores; metrics have it.
        prior: p(z), or p(z|above).
        encoder: q(z|x), or q(z|x, above).
    """

    name: str
    prior: Prior
    encoder: Encoder

    def __post_init__(self) -> None:
        # Metrics, inputs of an export and what servers are configured with have it.
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z]\w*", self.name, re.ASCII):
            raise ValueError(
                "Unusable name of a latent. Expected a letter, then letters, digits and "
                f"underscores. Received {self.name!r}."
            )
        for what, value, kind, way_out in (
            (
                "prior",
                self.prior,
                Prior,
                "priors.StandardNormal(D); a subclass of priors.Prior whose `distribution` returns "
                "it makes one of a distribution of TFP",
            ),
            (
                "encoder",
                self.encoder,
                Encoder,
                "encoders.Gaussian(network, D), which makes one of a Keras layer or model",
            ),
        ):
            if not isinstance(value, kind):
                raise ValueError(
                    f"Unusable {what} of the latent {self.name!r}. Expected an object of "
                    f"tfp_vae.{what}s, such as {way_out}. Received {value!r}."
                )
        if self.encoder.event_shape != (self.prior.latent_dim,):
            raise ValueError(
                "Encoder and prior differ in latent size. Expected an encoder with event shape "
                f"({self.prior.latent_dim},), as the prior. Received {self.encoder.event_shape}."
            )
        prior, posterior = self.prior.support, self.encoder.support
        if not covers(prior, posterior):
            ways = [name for name in ENCODERS if covers(prior, ENCODERS[name].support)]
            as_these = f", as {' or '.join(ways)}" if ways else ""
            raise ValueError(
                f"KL(q || p) of the latent {self.name!r} would be infinite: q has draws where p "
                f"has no density. Expected a posterior on {_in_words(prior)}{as_these}. "
                f"Received {type(self.encoder).__name__}, on {_in_words(posterior)}, beside "
                f"{type(self.prior).__name__}."
            )

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.prior.latent_dim

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "prior": serialize(self.prior),
            "encoder": serialize(self.encoder),
        }

    @classmethod
    def from_config(cls, config: dict) -> "LatentVariable":
        """Returns the latent variable of `get_config`."""
        parse = keras.saving.deserialize_keras_object
        return cls(config["name"], parse(config["prior"]), parse(config["encoder"]))
