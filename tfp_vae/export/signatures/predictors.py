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

import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.export.signatures.base import Signature, Value, entropy, log_mean_exp
from tfp_vae.models import Ensemble, Predictor


def predictor_signatures(predictor: Predictor, num_samples: int) -> list[Signature]:
    """Returns predict.

    Args:
        predictor: trained: a `BayesianNetwork`, an `Ensemble`, a `WeightPosterior`.
        num_samples: S, draws of the weights.

    Raises:
        ValueError: for an ensemble with groups, which is many models of many data sets.
    """
    model = predictor.trained_model()
    if isinstance(model, Ensemble) and model.groups is not None:
        raise ValueError(
            "An ensemble with groups is many models. Expected its members exported one by one "
            f"(`member(index)`). Received one with groups={model.groups}."
        )
    x = Value("x", ("B", *model.event_shape), "example, as the model was trained on them")
    key = model.caller_key(None)

    def predict(x):
        return uncertainty(model, predictor.frozen_parameters(x, num_samples, key))

    def draw_predict(seed, x):
        return uncertainty(model, predictor.draw_parameters(x, num_samples, seed))

    random = predictor.is_random
    meaning = (
        f"posterior predictive over {num_samples} draws of the weights"
        if random
        else (
            f"mean over {model.num_members} members"
            if isinstance(model, Ensemble)
            else "prediction of the network, whose weights are points"
        )
    )
    return [
        Signature(
            "predict",
            meaning,
            (x,),
            _outputs(model),
            predict,
            draw_predict if random else None,
            num_samples if random else None,
        )
    ]


def _outputs(model) -> "tuple[Value, ...]":
    if model.task == "classification":
        classes = getattr(model, "pattern", model).likelihood.num_classes
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


def uncertainty(model, parameters: tf.Tensor) -> "dict[str, tf.Tensor]":
    """Returns what `predict` answers, from parameters of the likelihood under draws, [S, B, Q].

    The same numbers as `models.Predictive`, by operations that every format has.
    """
    if model.task == "classification":
        log_probs = tf.nn.log_softmax(parameters)
        mean = log_mean_exp(log_probs)
        total = entropy(mean)
        known = tf.reduce_mean(entropy(log_probs), axis=0)
        information = tf.maximum(total - known, 0.0)  # rounding
        return {"probs": tf.exp(mean), "entropy": total, "mutual_information": information}
    each: tfd.Distribution = model.distribution(parameters)
    locs = each.mean()
    mean = tf.reduce_mean(locs, axis=0)
    epistemic = tf.reduce_mean(tf.square(locs - mean), axis=0)
    aleatoric = tf.reduce_mean(each.variance(), axis=0)
    return {
        "mean": mean,
        "scale": tf.sqrt(epistemic + aleatoric),
        "epistemic_variance": epistemic,
        "aleatoric_variance": aleatoric,
    }
