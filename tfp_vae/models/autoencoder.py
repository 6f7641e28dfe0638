"""The plain and the denoising autoencoder: what is left of a VAE without KL, and no bound."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.data import Kind
from tfp_vae.distributions.base import registered
from tfp_vae.models.off_bound import OffBound
from tfp_vae.models.vae import Pass
from tfp_vae.randomness import fold_in, normal

_NOISE = 5  # folded into the key of a batch


@registered
class Autoencoder(OffBound):
    """z = f(x) and p(x|z): loss = -log p(x|z) at the z of x, or at that of x with noise.

    There is no p(z): `generate` needs one that is fitted to codes, `with_prior("mixture", x)`
    (Ghosh et al., "From variational to deterministic autoencoders", ICLR 2020).

    Args:
        prior: `deterministic.Nowhere`, or a prior that was fitted to codes.
        encoder: `deterministic.Deterministic`.
        decoder: p(x|z).
        noise: deviation of normal noise on what the encoder sees in training, >= 0, in the units
            of the values; cut to [0, 1] where all values are there. Above 0 it is a denoising
            autoencoder (Vincent et al., 2008).
        **kwargs: see `VAE`.
    """

    off_bound = (
        "not on the bound: q(z|x) is a point and there is no p(z), so that no number here bounds "
        "log p(x) or can be compared with one that does"
    )
    loss_names = ("distortion",)

    def __init__(
        self,
        prior: Any = None,
        encoder: Any = None,
        decoder: Any = None,
        noise: float = 0.0,
        **kwargs: Any,
    ):
        self.noise = check_number("noise", noise, 0)
        if noise and getattr(decoder, "schema", None) is not None:
            raise ValueError(
                "Noise is added to numbers. Expected noise=0 for a table of mixed columns. Received"
                f" {noise!r}."
            )
        super().__init__(prior, encoder, decoder, **kwargs)
        if not getattr(self.encoder, "is_point", False):
            raise ValueError(
                "The code of an autoencoder is a function of the example. Expected a "
                "deterministic.Deterministic; a VAE has a q(z|x). Received a "
                f"{type(self.encoder).__name__}."
            )

    @property
    def generates(self) -> bool:
        """Whether there is a p(z) to draw from."""
        return not self.prior.is_nowhere

    def call(
        self,
        x: tf.Tensor,
        training: "bool | None" = None,
        num_samples: "int | None" = None,
        seed: "int | None" = None,
    ) -> Pass:
        """Returns the z of each example, in training with noise, and the likelihood given it."""
        if training and self.noise:
            key = self.noise_key(training) if seed is None else self.caller_key(seed)
            x = self.corrupted(tf.cast(x, tf.float32), key)
        return super().call(x, training, num_samples, seed)

    def corrupted(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Returns examples [B, ...] with noise.

        Args:
            x: examples.
            key: stateless seed, int32 [2].
        """
        moved = x + self.noise * normal(tf.shape(x), fold_in(key, _NOISE), 0)
        return moved if Kind.REAL in self.decoder.kinds else tf.clip_by_value(moved, 0.0, 1.0)

    def losses_of(self, x: tf.Tensor, outputs: Pass, key: tf.Tensor) -> "dict[str, tf.Tensor]":
        """Returns distortion, -log p(x|z), [B] nats, which is no bound."""
        del key
        return {"distortion": -outputs.likelihood.log_prob(x)[0]}

    def generate(self, count: int, *args: Any, **kwargs: Any) -> dict:
        """Returns new examples from a prior that was fitted to codes; see `VAE.generate`.

        Raises:
            ValueError: if none was fitted.
        """
        if not self.generates:
            raise ValueError(
                "An autoencoder has no p(z) to draw from. Expected one that is fitted to codes: "
                'with_prior("mixture", data.train), or --fit_prior=mixture. Received none.'
            )
        return super().generate(count, *args, **kwargs)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "noise": self.noise}
