"""The signature of what predicts targets: Bayesian networks of any method, and ensembles.

    predict: x [B, ...] -> mean over S draws of the weights, and how uncertain it is

Where a runtime can draw, the weights are drawn from the seed of the request. For the others they
are drawn once, when the model is exported, and are S sets of constants:
`Predictor.frozen_parameters`. That is the same estimator with the same error as in Python, exact
for every method (mean field, dropout masks, Laplace, chains), with one function for all examples of
all requests; it takes no noise from the client, and costs S times the size of the network. Noise as
an input would need a number for each weight, or for each pre-activation, which is exact for dense
mean-field layers only.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfp_vae.distributions.heads import Head
from tfp_vae.export.signatures.answers import SIGNATURES, Answer, Subject
from tfp_vae.export.signatures.base import Signature, Value, entropy, log_mean_exp
from tfp_vae.models import Ensemble, Predictor
from tfp_vae.models.variational import VariationalModel


class Targets(Subject):
    """What predicts targets: a `BayesianNetwork`, an `Ensemble`, a `WeightPosterior`."""

    def __init__(self, predictor: Predictor, num_samples: int):
        self.predictor, self.num_samples = predictor, num_samples
        self.model = predictor.trained_model()
        if not self.model.built:
            raise ValueError(
                f"This {type(self.model).__name__} has no weights. Expected a trained model. "
                "Received one that was never built."
            )
        if isinstance(self.model, Ensemble) and self.model.groups is not None:
            raise ValueError(
                "An ensemble with groups is many models. Expected its members exported one by one "
                f"(`member(index)`). Received one with groups={self.model.groups}."
            )

    @classmethod
    def of(cls, predictor, num_samples):
        """Returns the subject of what predicts targets."""
        if isinstance(predictor, Predictor) and isinstance(
            predictor.trained_model(), VariationalModel
        ):
            return cls(predictor, num_samples)
        return None

    def recorded(self, split, index):
        """Returns examples."""
        return {"x": split.values(index).astype(np.float32)}

    def signature(
        self,
        name: str,
        meaning: str,
        outputs: "tuple[Value, ...]",
        answer: "Callable[[tf.Tensor], dict[str, tf.Tensor]]",
    ) -> Signature:
        """Returns a signature that is a function of parameters under draws of the weights.

        Args:
            name: of the signature.
            meaning: what it answers.
            outputs: of `answer`.
            answer: parameters of the likelihood, [S, B, Q] -> {name: tensor}.
        """
        predictor, count = self.predictor, self.num_samples
        key = self.model.caller_key(None)
        x = Value("x", ("B", *self.model.event_shape), "example, as the model was trained on them")

        def predict(x):
            return answer(predictor.frozen_parameters(x, count, key))

        def draw_predict(seed, x):
            return answer(predictor.draw_parameters(x, count, seed))

        random = predictor.is_random
        draws = (draw_predict, count) if random else (None, None)
        return Signature(name, meaning, (x,), outputs, predict, *draws)


@SIGNATURES.register("predict_targets", "posterior predictive of the target")
class PredictTargets(Answer):
    """`predict`: the mean over draws of the weights, and how uncertain it is."""

    name = "predict"
    asks = Targets
    subject: Targets

    def signature(self):
        """Returns the signature."""
        return self.subject.signature(self.name, self._meaning(), self.outputs(), self.answer)

    def outputs(self) -> "tuple[Value, ...]":
        """Returns what is answered."""
        return _outputs(self.subject.model.head)

    def answer(self, parameters: tf.Tensor) -> "dict[str, tf.Tensor]":
        """Returns the answer, from parameters of the likelihood under draws, [S, B, Q]."""
        return uncertainty(self.subject.model.head, parameters)

    def _meaning(self) -> str:
        if self.subject.predictor.is_random:
            return f"posterior predictive over {self.subject.num_samples} draws of the weights"
        if isinstance(self.subject.model, Ensemble):
            return f"mean over {self.subject.model.num_members} members"
        return "prediction of the network, whose weights are points"


def _outputs(head: Head) -> "tuple[Value, ...]":
    if head.task == "classification":
        classes = head.num_classes
        return (
            Value("probs", ("B", classes), "mean class probabilities"),
            Value("entropy", ("B",), "of the mean probabilities, nats: total uncertainty"),
            Value("mutual_information", ("B",), "of class and weights, nats: epistemic"),
        )
    return (
        Value("mean", ("B",), "predictive mean, units of the target"),
        Value("scale", ("B",), "predictive standard deviation, units of the target"),
        Value("epistemic_variance", ("B",), "variance of the mean, squared units of the target"),
        Value("aleatoric_variance", ("B",), "mean of the variance, squared units of the target"),
    )


def uncertainty(head: Head, parameters: tf.Tensor) -> "dict[str, tf.Tensor]":
    """Returns what `predict` answers, from parameters of the likelihood under draws, [S, B, Q].

    The same numbers as `models.Predictive`, by operations that every format has.
    """
    if head.task == "classification":
        log_probs = head.log_probs(parameters)
        mean = log_mean_exp(log_probs)
        total = entropy(mean)
        known = tf.reduce_mean(entropy(log_probs), axis=0)
        information = tf.maximum(total - known, 0.0)  # rounding
        return {"probs": tf.exp(mean), "entropy": total, "mutual_information": information}
    locs = head.portable_mean(parameters)
    mean = tf.reduce_mean(locs, axis=0)
    epistemic = tf.reduce_mean(tf.square(locs - mean), axis=0)
    aleatoric = tf.reduce_mean(head.portable_variance(parameters), axis=0)
    return {
        "mean": mean,
        "scale": tf.sqrt(epistemic + aleatoric),
        "epistemic_variance": epistemic,
        "aleatoric_variance": aleatoric,
    }
