"""The signatures of models with latents: VAE, ConditionalVAE, M2.

    z = loc(x) + scale(x) noise             # noise [S, B, D], standard normal, an input
    elbo = mean_S log p(x|z) - KL(q(z|x) || p(z))
    log_prob = log mean_S p(x|z) p(z) / q(z|x)

Bayesian weights, which a network may have, are at their posterior means where the answer is a mean
and drawn where it is a bound; the latter needs a runtime that can draw.
"""

import tensorflow as tf

from tfp_vae import objectives
from tfp_vae.data import Kind
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.export.signatures import likelihoods, normals
from tfp_vae.export.signatures.base import (
    NOISE,
    Signature,
    Value,
    entropy,
    log_mean_exp,
    normal_noise,
)
from tfp_vae.layers.noise import MEAN, SHARED
from tfp_vae.models import M2, VAE
from tfp_vae.randomness import fold_in

# Classes under each of which log p(x|y) is computed to classify x, which costs that much more.
MAX_CLASSES = 100
_RANGES = {
    Kind.REAL: "real numbers",
    Kind.UNIT_INTERVAL: "in [0, 1]",
    Kind.EIGHT_BIT: "on the grid 0, 1/255, ..., 1",
}
_CLASSIFIED = (("probs", "p(y|x)"), ("entropy", "of p(y|x), nats"))


def latent_signatures(model: VAE, num_samples: int) -> list[Signature]:
    """Returns encode, decode, reconstruct, sample, elbo, log_prob and, with classes, predict.

    Args:
        model: trained.
        num_samples: S of the signatures that draw.
    """
    return _Latent(model, num_samples).signatures()


class _Latent:
    """A model with latents, its named values, and the functions that its signatures are made of."""

    def __init__(self, model: VAE, num_samples: int):
        self.model, self.num_samples = model, num_samples
        self.random_weights = bool(model.bayesian_layers())
        latent = model.prior.latent_dim
        values = _RANGES.get(model.data_kind, "0 or 1")
        self.x = Value("x", ("B", *model.decoder.event_shape), f"example, {values}")
        self.z = Value("z", ("B", latent), "latent; the prior has unit scale")
        self.one = Value("noise", ("B", latent), "standard normal numbers", role=NOISE)
        self.many = Value("noise", ("S", "B", latent), "standard normal numbers", role=NOISE)
        self.given = ()
        if getattr(model, "num_classes", None) is not None:
            classes = model.num_classes
            self.given = (Value("label", ("B",), "class of the example", "int32", limit=classes),)
        elif model.conditional:
            size = model.condition_dim
            self.given = (Value("condition", ("B", size), "what the example is conditioned on"),)
        self.scale = self._scale()

    def signatures(self) -> list[Signature]:
        mean = Value("mean", self.x.shape, "E[x|z], in the units of the data")
        encoded = (
            Value("loc", self.z.shape, "mean of q(z|x)"),
            self.scale,
        )
        found = [
            Signature("encode", "q(z|x)", (self.x, *self.given), encoded, self.encode),
            Signature("decode", "the mean of p(x|z)", (self.z, *self.given), (mean,), self.decode),
            Signature(
                "reconstruct",
                "the mean of p(x|z) at the mean of q(z|x)",
                (self.x, *self.given),
                (mean,),
                self.reconstruct,
            ),
            Signature(
                "sample",
                "new latents from the prior, and the mean of p(x|z)",
                (*self.given, self.one),
                (self.z, mean),
                None if self.random_weights else self.sample,
                self.draw_sample,
            ),
            self._bound("elbo", "evidence lower bound of log p(x)", self.elbo),
            self._bound("log_prob", "importance-sampled log p(x), at most log p(x)", self.log_prob),
        ]
        if isinstance(self.model, M2):
            outputs = self._classified()
            meaning = "q(y|x)"
            found.append(Signature("predict", meaning, (self.x,), outputs, self.recognize))
        elif getattr(self.model, "num_classes", None) in range(1, MAX_CLASSES + 1):
            log_joint = ("B", self.model.num_classes)
            found.append(
                Signature(
                    "predict",
                    "p(y|x), proportional to p(x|y) p(y), by log_prob under every class",
                    (self.x, self.many),
                    (Value("log_joint", log_joint, "log p(x|y) p(y), nats"), *self._classified()),
                    None if self.random_weights else self.predict,
                    self.draw_predict,
                    self.num_samples,
                )
            )
        return found

    def _scale(self) -> Value:
        size = self.model.prior.latent_dim
        example = tf.zeros([1, *self.model.decoder.event_shape])
        given = [tf.zeros([1, *v.shape[1:]], v.dtype) for v in self.given]
        posterior = self.model.posterior_of(example, given[0] if given else None)
        prior = self.model.prior_of(given[0] if given else None)
        if not (draws.is_supported(posterior) and isinstance(prior, tfd.MultivariateNormalDiag)):
            raise ValueError(
                "These distributions cannot be exported. Expected multivariate normals q(z|x) and "
                f"p(z), the latter diagonal. Received {type(posterior).__name__} and "
                f"{type(prior).__name__}."
            )
        if draws.is_diagonal(posterior):
            return Value("scale", ("B", size), "standard deviations of q(z|x)")
        meaning = "lower triangular factor L of the covariance L L' of q(z|x)"
        return Value("scale_tril", ("B", size, size), meaning)

    def _classified(self) -> "tuple[Value, ...]":
        shapes = ("B", self.model.num_classes), ("B",)
        return tuple(
            Value(name, shape, meaning)
            for (name, meaning), shape in zip(_CLASSIFIED, shapes, strict=True)
        )

    def _bound(self, name, meaning, function) -> Signature:
        weights = ", the KL of the weights / N included" if name == "elbo" else ""
        return Signature(
            name,
            meaning + (weights if self.random_weights else ""),
            (self.x, *self.given, self.many),
            (Value(name, ("B",), "nats per example"),),
            None if self.random_weights else function,
            lambda key, **data: {name: self.draw_bounds(key, **data)[name]},
            self.num_samples,
        )

    # Pure functions of their inputs.

    def _at_mean(self):
        return self.model.weight_noise(self.model.caller_key(None), MEAN)

    def encode(self, x, label=None, condition=None):
        """Returns loc and scale of q(z|x)."""
        with self._at_mean():
            posterior = self.model.posterior_of(x, _given(label, condition))
        return {"loc": draws.loc_of(posterior), self.scale.name: draws.scale_of(posterior)}

    def decode(self, z, label=None, condition=None):
        """Returns E[x|z]."""
        with self._at_mean():
            return {"mean": likelihoods.mean(self.model.likelihood_of(z, _given(label, condition)))}

    def reconstruct(self, x, **given):
        """Returns E[x'|z] at the mean z of q(z|x)."""
        return self.decode(self.encode(x, **given)["loc"], **given)

    def sample(self, noise, **given):
        """Returns z from the prior and E[x|z]."""
        z = self._prior_draw(noise, **given)
        return {"z": z, **self.decode(z, **given)}

    def _prior_draw(self, noise, label=None, condition=None):
        return draws.from_standard(self.model.prior_of(_given(label, condition)), noise)

    def draw_sample(self, key, count=None, **given):
        """Returns `sample` of noise drawn from a key, with weights drawn as well if they can be."""
        batch = count if not given else tf.shape(next(iter(given.values())))[0]
        noise = normal_noise(self.one, fold_in(key, 0), B=batch)
        if not self.random_weights:
            return self.sample(noise, **given)
        z = self._prior_draw(noise, **given)
        with self.model.weight_noise(fold_in(key, 1), SHARED):
            mean = likelihoods.mean(self.model.likelihood_of(z, _given(**given)))
        return {"z": z, "mean": mean}

    def _terms(self, x, noise, given) -> objectives.Terms:
        posterior, prior = self.model.posterior_of(x, given), self.model.prior_of(given)
        z = draws.from_standard(posterior, noise)
        return objectives.Terms(
            self._log_likelihood(x, z, given),
            normals.log_prob(prior, z),
            normals.log_prob_of_noise(posterior, noise),
            normals.kl_divergence(posterior, prior),
        )

    def _log_likelihood(self, x, z, given):
        """Returns log p(x|z), [S, B].

        Sample axes are joined with the batch before the network, which every runtime can do, where
        reshaping with two free axes breaks the optimiser of the ONNX converter.
        """
        samples, batch = tf.shape(z)[0], tf.shape(x)[0]
        rows = tf.reshape(z, [-1, z.shape[-1]])
        given = None if given is None else _repeat(given, samples)
        likelihood = self.model.likelihood_of(rows, given)
        log_prob = likelihoods.log_prob(likelihood, _repeat(x, samples))
        return tf.reshape(log_prob, [-1, batch])

    def elbo(self, x, noise, label=None, condition=None):
        """Returns the evidence lower bound at S draws, [B]."""
        return {"elbo": objectives.elbo(self._terms(x, noise, _given(label, condition)))}

    def log_prob(self, x, noise, label=None, condition=None):
        """Returns the importance-weighted bound of S draws, [B]."""
        terms = self._terms(x, noise, _given(label, condition))
        return {"log_prob": log_mean_exp(objectives.log_weights(terms))}

    def draw_bounds(self, key, x, label=None, condition=None):
        """Returns both bounds from S draws, in chunks that bound the memory."""
        given, count = _given(label, condition), tf.constant(self.num_samples, tf.int32)
        chunk = tf.clip_by_value(self.model.rows_at_once // tf.shape(x)[0], 1, count)
        bounds = self.model.bounds_of_batch(x, given, count, chunk, key)
        return {"elbo": bounds.elbo, "log_prob": bounds.log_likelihood}

    # Classes.

    def _under_every_class(self, x, noise):
        """Returns `x`, `noise` and the class, once per class: [K B, ...], [S, K B, D], [K B]."""
        classes = self.model.num_classes
        label = tf.repeat(tf.range(classes), tf.shape(x)[0])
        # Joined, not tiled: LiteRT's converter takes a product with something tiled for one that
        # broadcasts, and leaves the tiling out. The same noise under every class lets cancel what
        # the classes have in common.
        x, noise = tf.concat([x] * classes, axis=0), tf.concat([noise] * classes, axis=1)
        return {"x": x, "noise": noise, "label": label}

    def _by_class(self, log_prob):
        by_class = tf.reshape(log_prob, [self.model.num_classes, -1])
        log_joint = tf.transpose(by_class) + self.model.log_class_prior
        return {"log_joint": log_joint, **_class_outputs(log_joint)}

    def predict(self, x, noise):
        """Returns p(y|x) and what it is made of, from `log_prob` under every class."""
        return self._by_class(self.log_prob(**self._under_every_class(x, noise))["log_prob"])

    def draw_predict(self, key, x):
        """Returns `predict` of noise drawn from a key, one class after the other."""

        def under(label):
            labels = tf.fill(tf.shape(x)[:1], label)
            return self.draw_bounds(key, x, labels)["log_prob"]  # one key: the same noise

        classes = tf.range(self.model.num_classes)
        return self._by_class(tf.map_fn(under, classes, fn_output_signature=tf.float32))

    def recognize(self, x):
        """Returns q(y|x)."""
        with self._at_mean():
            return _class_outputs(self.model.recognition(x).logits)


def _repeat(values, count):
    """Returns `values` [B, ...] so many times one after the other, [count B, ...]."""
    return tf.tile(values, tf.stack([count, *[1] * (values.shape.rank - 1)]))


def _class_outputs(logits):
    log_probs = tf.nn.log_softmax(logits)
    return {"probs": tf.exp(log_probs), "entropy": entropy(log_probs)}


def _given(label=None, condition=None):
    return condition if label is None else label
