"""Likelihood regret: what an example would gain from a posterior of its own."""

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import objectives
from tfp_vae.arguments import check_count, check_number
from tfp_vae.data import Split
from tfp_vae.evaluation import checks
from tfp_vae.layers.noise import MEAN
from tfp_vae.models import VAE
from tfp_vae.models.graphs import compiled
from tfp_vae.models.memory import in_batches
from tfp_vae.randomness import fold_in

_STEP, _MEASURE = 0, 1


def likelihood_regret(
    vae: VAE,
    x: "Split | np.ndarray",
    *,
    steps: int = 200,
    learning_rate: float = 0.05,
    num_samples: int = 8,
    num_elbo_samples: int = 256,
    seed: int | None = None,
    batch_size: int = 100,
    progress=None,
) -> np.ndarray:
    """Returns max_tau elbo(x; tau) - elbo(x; encoder(x)) of each example, [N] float64, nats.

    Xiao, Yan & Amit, "Likelihood regret", NeurIPS 2020: tau are the parameters of q(z)
    of one example, of several latents those of the top one; the decoder is fixed. An encoder is
    near the optimum for what it was trained on and far for what it was not. The parameters start at
    those of the encoder; Adam with a cosine decay raises the ELBO, and since it works number by
    number the examples of a batch do not touch each other. Both ELBOs are measured with the same
    draws of noise, so that the difference is less noisy than either. It is at least 0 up to that
    noise and to what the optimisation misses.

    Bayesian weights are at their posterior means.

    Args:
        vae: a trained VAE, of any encoder of this package.
        x: a `Split` or an array [N, ...].
        steps: of the optimisation.
        learning_rate: at the first step, in the unit of the encoder's outputs.
        num_samples: draws of z per step and example.
        num_elbo_samples: draws of z to measure with.
        seed: fixes the draws; the model's seed by default.
        batch_size: examples at a time.
        progress: called with (examples done, examples in all) after every batch.

    Raises:
        ValueError: for impossible numbers, or if `x` does not fit the model.
    """
    checks.unconditional(vae, "Likelihood regret")
    check_count("steps", steps)
    check_count("num_samples", num_samples)
    check_count("num_elbo_samples", num_elbo_samples)
    check_count("batch_size", batch_size)
    check_number("learning_rate", learning_rate, above=0)
    split = vae.as_split(x).frozen()
    batch_size = min(batch_size, len(split), max(1, vae.rows_at_once // num_samples))

    encoder = vae.encoders[0]

    def refining(batch_size):
        parameters = keras.Variable(
            tf.zeros([batch_size, encoder.output_size]), dtype="float32", name="posterior"
        )
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        optimizer = keras.optimizers.Adam(rate)
        optimizer.build([parameters])
        chunk = max(1, min(num_elbo_samples, vae.rows_at_once // batch_size))
        num_chunks = -(-num_elbo_samples // chunk)

        def elbo(raw, x, draws, key):
            parameters = encoder.prepared(encoder.split(raw), False)
            posterior = encoder.distribution(*parameters)
            model = vae.at(key, MEAN)
            if encoder.uses_prior:
                posterior = encoder.given_prior(posterior, model.prior())
            latents = model.infer(x, draws, top=posterior)
            likelihood = model.likelihood(vae.code([latent.value for latent in latents]))
            return objectives.elbo(objectives.Terms(likelihood.log_prob(x), latents))

        def step(number, x, key):
            with tf.GradientTape() as tape:
                # A sum: every example follows its own gradient, whatever the size of the batch.
                bound = elbo(parameters.value, x, num_samples, fold_in(key, _STEP, number))
                loss = -tf.reduce_sum(bound)
            optimizer.apply([tape.gradient(loss, parameters.value)], [parameters])
            return number + 1

        def measure(raw, x, key):
            total = tf.zeros(tf.shape(x)[:1])
            _, total = tf.while_loop(
                lambda i, _: i < num_chunks,
                lambda i, sum_: (i + 1, sum_ + elbo(raw, x, chunk, fold_in(key, _MEASURE, i))),
                (tf.constant(0), total),
            )
            return total / num_chunks

        def gain(x, key):
            features = vae.at(key, MEAN).features(x)
            with vae.at(key, MEAN):
                start = tf.cast(encoder.projection(encoder.network(features)), tf.float32)
            parameters.assign(start)
            for variable in optimizer.variables:
                variable.assign(tf.zeros_like(variable.value))
            before = measure(start, x, key)
            tf.while_loop(lambda i: i < steps, lambda i: (step(i, x, key),), (tf.constant(0),))
            return measure(tf.convert_to_tensor(parameters.value), x, key) - before

        return gain

    key, options = vae.caller_key(seed), (steps, learning_rate, num_samples, num_elbo_samples)

    def run(start, index):
        gain = compiled(vae, "regret", (len(index), *options), refining, len(index))
        return gain(tf.constant(split.values(index)), fold_in(key, start)).numpy()

    parts = [regret[:size] for regret, size in in_batches(split, batch_size, run, progress)]
    return np.concatenate(parts).astype(np.float64)
