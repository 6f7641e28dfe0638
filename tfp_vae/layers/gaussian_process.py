"""The head of a spectral-normalized Gaussian process (SNGP), and the bound on kernels before it.

    Phi(h) = sqrt(2/D) cos(h W + b),  f = Phi beta,  beta ~ N(0, I / ridge)

Random features W ~ N(0, 1 / length^2), b ~ U(0, 2 pi), which stay as they are, make f a Gaussian
process with kernel exp(-|h - h'|^2 / (2 length^2)) (Rahimi & Recht, 2007); beta is trained as other
weights are, and its posterior is Laplace's, N(beta, (ridge I + sum_n v_n Phi_n Phi_n')^-1) (Liu et
al., "Simple and principled uncertainty estimation with deterministic deep learning via distance
awareness", NeurIPS 2020). Far from the data f has the variance of its prior, if what lies before
keeps distances: which the bound helps with, and residual connections, that a plain network does not
have, would ensure.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_count, check_number, check_seed
from tfp_vae.distributions.heads import Head
from tfp_vae.layers import noise as noise_sources
from tfp_vae.layers.base import registered
from tfp_vae.layers.noise import MEAN, SHARED

PREDICTIVES = ("sampled", "probit")
_STEPS = 20  # of the power iteration
_TINY = 1e-12


@registered
class SpectralBound(keras.constraints.Constraint):
    """Shrinks a kernel [..., U] whose largest singular value, as [F, U], is above a bound.

    Args:
        bound: c > 0. That of a convolution is of its kernel as a matrix, not of the convolution,
            whose norm may be as much larger as the root of its positions.
    """

    def __init__(self, bound: float):
        self.bound = check_number("bound", bound, above=0)

    def __call__(self, w: tf.Tensor) -> tf.Tensor:
        """Returns the kernel, shrunk if it has to be."""
        w = tf.convert_to_tensor(w)
        matrix = tf.reshape(tf.cast(w, tf.float32), [-1, w.shape[-1]])
        # From one place every time, so that a training that goes on has the same steps.
        size = int(w.shape[-1])
        vector = tf.constant(np.random.default_rng(0).normal(size=(size, 1)), tf.float32)
        for _ in range(_STEPS):
            vector = tf.matmul(matrix, tf.matmul(matrix, vector), transpose_a=True)
            vector /= tf.norm(vector) + _TINY
        norm = tf.norm(tf.matmul(matrix, vector))
        return w * tf.cast(tf.minimum(1.0, self.bound / (norm + _TINY)), w.dtype)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"bound": self.bound}


@registered
class RandomFeatureGaussianProcess(keras.Layer):
    """A last layer whose outputs are Gaussian processes of its inputs, [B, F] -> [B, units].

    In training the outputs are Phi beta, and the curvature sum_n v_n Phi_n Phi_n' adds up over an
    epoch: a model of this package sets it to 0 where an epoch begins, and takes the covariance
    where a training ends. In a training loop of one's own, call `begin` and `finish`. v_n is the
    Fisher information of the likelihood in an output: p (1 - p) of classes, of the class where it
    is largest, so that all outputs share one covariance; 1 / noise variance of real targets.

    Args:
        units: outputs.
        features: D.
        length_scale: of the kernel, in units of the inputs.
        ridge: precision of the prior of beta: the variance of f far from the data is 1 / ridge.
        predictive: of a prediction: "sampled": draws of beta, each one function; "probit", for
            classes: one set of logits, f / sqrt(1 + pi/8 var f), without noise (mean field).
        seed: of the layer's own noise, where no model of this package hands it out.
        **kwargs: of keras.Layer.

    Example:
        >>> layer = tv.layers.RandomFeatureGaussianProcess(3, features=32)
        >>> layer(np.ones((5, 4), np.float32)).shape
        TensorShape([5, 3])
    """

    draws_noise = True  # see `layers.noise`
    collects = True  # over an epoch, see `VariationalModel.collecting_layers`

    def __init__(
        self,
        units: int,
        features: int = 1024,
        length_scale: float = 1.0,
        ridge: float = 1.0,
        predictive: str = "sampled",
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = check_count("units", units)
        self.features = check_count("features", features)
        self.length_scale = check_number("length_scale", length_scale, above=0)
        self.ridge = check_number("ridge", ridge, above=0)
        self.predictive = check_choice("predictive", predictive, PREDICTIVES)
        self.seed = seed if seed is None else check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._likelihood: Callable[[], Head | None] = lambda: None

    @property
    def num_functions(self) -> "int | None":
        """1 where predictions have no noise, else None: as many as there are draws."""
        return 1 if self.predictive == "probit" else None

    def attach(self, likelihood: Head) -> None:
        """Takes the likelihood that the outputs are features of, as a model does.

        Raises:
            ValueError: if it has no Fisher information, or is not of classes with "probit".
        """
        if not likelihood.has("fisher_root"):
            raise likelihood.lacks("fisher_root")
        if self.predictive == "probit" and likelihood.task != "classification":
            raise ValueError(
                "The probit predictive is one of classes. Expected predictive='sampled' for real "
                "targets. Received 'probit'."
            )
        # In a function: Keras would take a layer for a part of this one.
        self._likelihood = lambda: likelihood

    def build(self, input_shape: Any) -> None:
        """Makes the random features, beta, the curvature and the root of the covariance."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"{self.name} got inputs of a wrong shape. Expected (B, F). Received "
                f"{tuple(input_shape)}."
            )
        size, random = self.features, keras.initializers
        fixed = {"trainable": False}
        self.frequencies = self._weight(
            "frequencies", (int(input_shape[-1]), size),
            random.RandomNormal(stddev=1 / self.length_scale), **fixed,
        )  # fmt: skip
        self.phases = self._weight("phases", (size,), random.RandomUniform(0, 2 * np.pi), **fixed)
        self.beta = self._weight("beta", (size, self.units), random.GlorotUniform())
        # Replicas add what they saw of a batch. In float32 the sum of a sharp likelihood has
        # eigenvalues of rounding alone, as large as those of the prior.
        self.curvature = self._weight(
            "curvature", (size, size), "zeros", aggregation="sum", dtype="float64", **fixed
        )
        start = np.eye(size, dtype=np.float32) / math.sqrt(self.ridge)
        self.root = self._weight("root", (size, size), lambda *_, **__: start, **fixed)
        self.built = True

    def _weight(self, name, shape, initializer, **options):
        options = {"initializer": initializer, "dtype": "float32", "autocast": False, **options}
        return self.add_weight(name=name, shape=shape, **options)

    # The curvature of an epoch.

    def begin(self) -> None:
        """Sets the curvature to 0: that of an epoch is of its examples alone."""
        self.curvature.assign(tf.zeros_like(self.curvature))

    def finish(self) -> None:
        """Takes the covariance from the curvature; before, predictions have that of the prior."""
        total = np.asarray(self.curvature) + self.ridge * np.eye(self.features)
        # Of LL' = precision: the covariance is L^-T L^-1.
        self.root.assign(np.linalg.inv(np.linalg.cholesky((total + total.T) / 2)).T)

    def _collect(self, features, outputs):
        weights = tf.stop_gradient(_information(self._likelihood(), outputs))
        weighted = tf.cast(features * tf.sqrt(weights)[:, tf.newaxis], tf.float64)
        self.curvature.assign_add(tf.matmul(weighted, weighted, transpose_a=True))

    # The pass.

    def random_features(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns Phi, float32 [B, F] -> [B, D]."""
        angles = tf.matmul(tf.cast(inputs, tf.float32), tf.convert_to_tensor(self.frequencies))
        return math.sqrt(2 / self.features) * tf.cos(angles + self.phases)

    def variance(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the variance of f, of each output the same, [B, F] -> [B]."""
        return self._variance(self.random_features(inputs))

    def _variance(self, features):
        return tf.reduce_sum(tf.matmul(features, tf.convert_to_tensor(self.root)) ** 2, axis=-1)

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tf.Tensor:
        """Returns f: at beta in training, under the noise of the pass otherwise."""
        noise = noise_sources.of(self)
        features, beta = self.random_features(inputs), tf.convert_to_tensor(self.beta)
        outputs = tf.matmul(features, beta)
        if training:
            self._collect(tf.stop_gradient(features), outputs)
        elif noise.mode == SHARED and self.predictive == "sampled":
            standard = noise.normal(self, 0, [self.features, self.units])
            outputs += tf.matmul(features, tf.matmul(self.root, standard))
        elif noise.mode == SHARED:
            outputs /= tf.sqrt(1 + math.pi / 8 * self._variance(features))[:, tf.newaxis]
        elif noise.mode != MEAN:
            # Independently for every example, as in local reparameterization.
            scale = tf.sqrt(self._variance(features) + _TINY)[:, tf.newaxis]
            outputs += scale * noise.normal(self, 0, tf.shape(outputs), axis=0)
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the outputs."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        names = ("units", "features", "length_scale", "ridge", "predictive", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _information(likelihood: "Head | None", outputs: tf.Tensor) -> tf.Tensor:
    """Returns the Fisher information of targets in the outputs, [B, Q] -> [B].

    Of classes the largest one on the diagonal; else that in the first output, the one that the mean
    is made of.
    """
    if outputs.shape[-1] > 1 and (likelihood is None or likelihood.task == "classification"):
        probs = tf.nn.softmax(outputs)
        return tf.reduce_max(probs * (1 - probs), axis=-1)
    if likelihood is None:
        return tf.ones_like(outputs[:, 0])
    first = tf.concat([tf.ones_like(outputs[:, :1]), tf.zeros_like(outputs[:, 1:])], axis=1)
    with tf.autodiff.ForwardAccumulator(outputs, first) as forward:
        parameters = likelihood(outputs)
    slopes = forward.jvp(parameters)
    return tf.reduce_sum(tf.linalg.matvec(likelihood.fisher_root(parameters), slopes) ** 2, axis=-1)
