"""The conditional variational autoencoder (Sohn et al., 2015), also as a generative classifier."""

from typing import Any

from tfp_vae import objectives
from tfp_vae.arguments import is_count
from tfp_vae.data import Kind
from tfp_vae.distributions.base import ConditionalDistribution, registered
from tfp_vae.distributions.conditions import Classes, Condition, Vector
from tfp_vae.distributions.encoders import Encoder
from tfp_vae.distributions.priors import Prior
from tfp_vae.models.vae import VAE


@registered
class ConditionalVAE(VAE):
    """p(z|c) p(x|z, c) with the approximate posterior q(z|x, c).

    The condition c of an example is its class, or its vector of targets: `fit(data.train)` takes
    it from the labels or targets of the `Split`, `fit(x, y)` from y. What a network sees is its
    usual input and c beside it.

    With classes it is a generative classifier: p(y|x) is proportional to p(x|y) p(y), with
    importance-sampled log p(x|y) and the class frequencies of the training data as p(y).

    Args:
        prior: p(z) or p(z|c), from `tfp_vae.priors`.
        encoder: q(z|x, c); its network gets [B, X + C] or [B, H, W, channels + C], see `join`.
        decoder: p(x|z, c); its network gets [B, D + C], or [B, D] (see below).
        num_classes: K, if the condition is a class; C = K, one-hot.
        condition_dim: C, if the condition is a vector of targets.
        decoder_sees_condition: False for p(x|z): then c acts through p(z|c) alone.
        join: "flat" puts x, flattened, and c side by side; "planes" adds C constant planes to an
            image, for convolutions.
        objective: see `VAE`.
        num_samples: see `VAE`.
        seed: see `VariationalModel`.
        data_kind: see `VariationalModel`.
        num_data: see `VariationalModel`.
        condition: an object of `tfp_vae.distributions.conditions` in the place of the two sizes.
        **kwargs: see `VAE`.
    """

    def __init__(
        self,
        prior: "Prior | None" = None,
        encoder: "Encoder | None" = None,
        decoder: "ConditionalDistribution | None" = None,
        num_classes: "int | None" = None,
        condition_dim: "int | None" = None,
        decoder_sees_condition: bool = True,
        join: str = "flat",
        objective: "objectives.Bound | None" = None,
        num_samples: int = 1,
        seed: int = 0,
        data_kind: "Kind | str | None" = None,
        num_data: "int | None" = None,
        *,
        condition: "Condition | None" = None,
        **kwargs: Any,
    ):
        if condition is None:
            condition = _condition(num_classes, condition_dim)
        super().__init__(
            prior,
            encoder,
            decoder,
            objective,
            num_samples,
            seed,
            data_kind,
            num_data,
            condition=condition,
            join=join,
            decoder_sees_condition=decoder_sees_condition,
            **kwargs,
        )


def _condition(num_classes: Any, condition_dim: Any) -> Condition:
    size = condition_dim if num_classes is None else num_classes
    if (num_classes is None) == (condition_dim is None) or not is_count(size):
        raise ValueError(
            "A condition is a class or a vector. Expected num_classes or condition_dim, one of "
            f"them, an integer >= 1. Received num_classes={num_classes!r}, "
            f"condition_dim={condition_dim!r}."
        )
    return Vector(size) if num_classes is None else Classes(size)
