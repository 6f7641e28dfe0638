"""Dense layers with a distribution over their weights."""

import keras

from tfp_vae.layers.base import (
    BayesianLayer,
    Flipout,
    LocalReparameterization,
    Reparameterization,
    registered,
)


class _Dense(BayesianLayer):
    """[B, ..., I] -> [B, ..., U]."""

    keeps_masks = True

    def kernel_shape(self, input_shape):
        """Returns (I, U)."""
        if input_shape[-1] is None:
            raise ValueError(
                f"{self.name} does not know its inputs. Expected a last axis of known size. "
                f"Received shape {tuple(input_shape)}."
            )
        return (input_shape[-1], self.units)

    def linear(self, inputs, kernel):
        """Returns the matrix product."""
        return keras.ops.matmul(inputs, kernel)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the outputs."""
        return (*input_shape[:-1], self.units)


@registered
class DenseReparameterization(Reparameterization, _Dense):
    """A dense layer with one weight draw per batch; see `BayesianLayer` for the arguments.

    [B, ..., I] -> [B, ..., U].
    """


@registered
class DenseLocalReparameterization(LocalReparameterization, _Dense):
    """A dense layer that draws its pre-activations; see `BayesianLayer` for the arguments.

    [B, ..., I] -> [B, ..., U]. On [B, I] exact; with more axes the positions of one example get
    independent noise, though they share weights.
    """


@registered
class DenseFlipout(Flipout, _Dense):
    """A dense layer with signs of its own per example; see `BayesianLayer` for the arguments.

    [B, ..., I] -> [B, ..., U].
    """
