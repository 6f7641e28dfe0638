"""predict of a model with latents and classes: p(y|x)."""

import tensorflow as tf

from tfp_vae.export.signatures.answers import SIGNATURES
from tfp_vae.export.signatures.base import Signature, Value, entropy
from tfp_vae.export.signatures.latents import LatentAnswer
from tfp_vae.export.signatures.log_evidence import LogEvidence

# Classes under each of which log p(x|y) is computed to classify x, which costs that much more.
MAX_CLASSES = 100


class _ClassAnswer(LatentAnswer):
    name = "predict"

    @classmethod
    def concerns(cls, subject):
        """Whether the condition is a class."""
        given = subject.given if super().concerns(subject) else ()
        return any(value.limit is not None for value in given)

    @property
    def outputs(self) -> "tuple[Value, ...]":
        """`probs` and `entropy`."""
        classes = self.subject.model.condition.size
        return (
            Value("probs", ("B", classes), "p(y|x)"),
            Value("entropy", ("B",), "of p(y|x), nats"),
        )


def _class_outputs(logits):
    log_probs = tf.nn.log_softmax(logits)
    return {"probs": tf.exp(log_probs), "entropy": entropy(log_probs)}


@SIGNATURES.register("predict_by_recognition", "q(y|x)")
class PredictByRecognition(_ClassAnswer):
    """`predict` of a model that has a network for it."""

    @classmethod
    def concerns(cls, subject):
        """Whether the model has q(y|x)."""
        return super().concerns(subject) and hasattr(subject.model, "recognition")

    def signature(self):
        """Returns the signature."""
        model = self.subject.model

        def recognise(x):
            with model.at_mean():
                return _class_outputs(model.recognition(x).logits)

        return Signature(self.name, "q(y|x)", (self.subject.x,), self.outputs, recognise)


@SIGNATURES.register("predict_by_evidence", "p(y|x), proportional to p(x|y) p(y)")
class PredictByEvidence(_ClassAnswer):
    """`predict` of a generative classifier: by `log_evidence` under every class."""

    def __init__(self, subject):
        super().__init__(subject)
        self.evidence = LogEvidence(subject)

    @classmethod
    def concerns(cls, subject):
        """Whether the model has classes and no network that tells them."""
        return super().concerns(subject) and not hasattr(subject.model, "recognition")

    def applies(self):
        """Returns that there are too many classes, or why there is no log_evidence."""
        classes = self.subject.model.condition.size
        if classes > MAX_CLASSES:
            return f"it would ask under each of {classes} classes, more than {MAX_CLASSES}"
        return self.evidence.applies()

    def signature(self):
        """Returns the signature."""
        subject, bound = self.subject, self.evidence.signature()
        joint = Value("log_joint", ("B", subject.model.condition.size), "log p(x|y) p(y), nats")
        inputs = tuple(value for value in bound.inputs if value not in subject.given)
        return Signature(
            self.name,
            "p(y|x), proportional to p(x|y) p(y), by log_evidence under every class",
            inputs,
            (joint, *self.outputs),
            self._predict if bound.portable else None,
            self._draw,
            subject.num_samples,
            bound.reason,
        )

    def _predict(self, x, **noise):
        classes = self.subject.model.condition.size
        label = tf.repeat(tf.range(classes), tf.shape(x)[0])
        # Joined, not tiled: LiteRT's converter takes a product with something tiled for one that
        # broadcasts, and leaves the tiling out. The same noise under every class lets cancel what
        # the classes have in common.
        noise = {name: tf.concat([each] * classes, axis=1) for name, each in noise.items()}
        x = tf.concat([x] * classes, axis=0)
        found = self.evidence.bound(x, label=label, **noise)
        return self._by_class(found["log_evidence"])

    def _by_class(self, log_evidence):
        by_class = tf.reshape(log_evidence, [self.subject.model.condition.size, -1])
        log_joint = tf.transpose(by_class) + self.subject.model.log_class_prior
        return {"log_joint": log_joint, **_class_outputs(log_joint)}

    def _draw(self, key, x):
        """Returns `predict` of noise drawn from a key, one class after the other."""

        def under(label):
            labels = tf.fill(tf.shape(x)[:1], label)
            return self.subject.draw_bounds(key, x, labels).log_evidence  # one key: the same noise

        classes = tf.range(self.subject.model.condition.size)
        return self._by_class(tf.map_fn(under, classes, fn_output_signature=tf.float32))
