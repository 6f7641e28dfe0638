"""What the latents of a VAE carry, and if it is little, why.

    found = evaluation.diagnose(vae, data.train)
    found["findings"]       # such as ["scale_too_large"]; [] of a healthy model

The mutual information of x and z and the KL of the aggregate posterior q(z) = mean_n q(z|x_n) have
the sum over all examples in the place of q(z). One over a batch has log B as its largest value.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.arguments import check_count, check_type
from tfp_vae.data import Data, Split
from tfp_vae.distributions import draws
from tfp_vae.evaluation.gap import inference_gap
from tfp_vae.layers.noise import MEAN
from tfp_vae.models import VAE
from tfp_vae.models.memory import in_batches
from tfp_vae.models.metrics import ACTIVE_UNIT_THRESHOLD
from tfp_vae.randomness import fold_in

# Collapsed is a model whose latents know less of x than this, nats.
COLLAPSED = 0.1
# A decoder reads z if log p(x|z) varies by more than this with z from the prior, nats.
READS = 1.0
# A scale is off if its logarithm is by more than this, and it costs more than the other, nats.
OFF_SCALE, OFF_COST = math.log(1.1), 0.1
FINDINGS = (
    "scale_too_large",
    "scale_too_small",
    "heavy_kl",
    "dead_encoder",
    "strong_decoder",
    "early_kl",
    "lagging_encoder",
)
_USUAL_BATCH = 128  # of an estimate by minibatches, for the cap that is shown
_FEW = 64  # examples at which the decoder is differentiated
_CHUNK = 16  # draws of an example at a time
_GAP_SAMPLES = 2000  # of log p(x), for the parts of the gap
_PAIRS = 2**21  # numbers of a block of log q(z_m|x_n)


def diagnose(
    vae: VAE,
    data: "Data | Split | np.ndarray",
    num_samples: int = 100,
    *,
    seed: "int | None" = None,
    most: int = 1000,
    gap_examples: int = 0,
    batch_size: int = 500,
    progress: "Callable[[int, int], None] | None" = None,
) -> dict:
    """Returns what the latents of a model carry, JSON-ready, nats per example, and what is wrong.

    Bayesian weights are at their means.

    Args:
        vae: with one latent; its condition, if any, is known of every example.
        data: the examples that q(z) is the mean over; of a `Data` those for training.
        num_samples: S of `log_evidence`, and so of `gap`.
        seed: fixes the draws; the model's seed by default.
        most: examples, spread over all, that z is drawn for: what grows with N times their number
            is q(z) alone.
        gap_examples: the first of those, for which the gap is told apart into what the family of q
            misses and what the encoder misses of it, see `inference_gap`: a q is fitted to each.
        batch_size: examples at a time.
        progress: called with (examples done, examples in all) of the sum over all.

    Returns:
        "elbo" = -"rate" - "distortion"; "log_evidence", L_S, and "gap", that minus the ELBO;
        "approximation_gap" and "amortisation_gap" of `gap_examples`, None without them or where no
        q can be fitted ("gap_missing" says why);
        "mutual_information" I(x; z) by a draw each, at most "most_information" = log N
        ("most_of_a_batch" says what an estimate by batches of 128 could show), and "aggregate_kl",
        KL(q(z) || p(z)) (None if p(z) differs between examples), whose sum has the rate as its
        expectation; "active_units" with
        "variance_per_dimension", Var_x E[z_d|x]; "kl_per_dimension" (None if q or p does not
        factorise); "sensitivity", the norm of d features / d z_d of the decoder; "decoder_spread",
        by how much log p(x|z) varies with z from the prior; "scale_ratio", the scale of a normal
        decoder over its best one, and "scale_cost" of that (None of other decoders); "kl_weight" of
        the next step and "kl_weight_at_start"; "decoder_depth", layers with weights; "findings",
        names in `FINDINGS`.

    Raises:
        ValueError: for several latents, or data that do not fit.
    """
    check_type("vae", vae, VAE, "diagnose")
    num_samples, most = check_count("num_samples", num_samples), check_count("most", most)
    gap_examples = check_count("gap_examples", gap_examples, least=0)
    batch_size = check_count("batch_size", batch_size)
    if not vae.on_bound:
        vae.bounds()  # which says why not
    if len(vae.latents) > 1:
        raise ValueError(
            "A sum over all data says what one latent carries. Expected a model with one latent. "
            f"Received {len(vae.latents)}."
        )
    split = vae.as_split(data.train if isinstance(data, Data) else data).frozen()
    given, key = vae.given_of(split), vae.caller_key(seed)
    draw = vae.at(key, MEAN)
    index = np.unique(np.linspace(0, len(split) - 1, min(most, len(split))).astype(int))
    some = split.select(index, split.name)
    chosen = None if given is None else given[index]
    rows = _Rows(draw, some, chosen, key, num_samples, vae.rows_at_once)
    log_q, means = _aggregate(draw, split, given, rows.z, batch_size, progress)
    variance = means.astype(np.float64).var(axis=0)
    rate, distortion = float(rows.kl.mean()), -float(rows.log_likelihood.mean())
    information = float(np.mean(rows.log_q - log_q))
    sensitivity, spread = _reading(draw, some, chosen, key)
    ratio = rows.scale_ratio
    weight, at_start = (float(vae.objective.kl_weight(step)) for step in (_step(vae), 0))
    same_prior = draw.prior(None if given is None else chosen[:1]).batch_shape.rank == 0
    inference = _inference(vae, some, min(gap_examples, len(some)), seed)
    found = {
        "num_examples": len(split),
        "num_drawn": len(some),
        "elbo": -rate - distortion,
        "rate": rate,
        "distortion": distortion,
        "log_evidence": float(rows.log_evidence.mean()),
        "num_importance_samples": num_samples,
        "gap": float(np.mean(rows.log_evidence - rows.log_weight)),
        **inference,
        "mutual_information": information,
        "most_information": math.log(len(split)),
        "most_of_a_batch": math.log(min(_USUAL_BATCH, len(split))),
        "aggregate_kl": float(np.mean(log_q - rows.log_p)) if same_prior else None,
        "active_units": int((variance > ACTIVE_UNIT_THRESHOLD).sum()),
        "latent_dim": len(variance),
        "variance_per_dimension": variance.tolist(),
        "kl_per_dimension": rows.kl_per_dimension,
        "sensitivity": sensitivity,
        "decoder_spread": spread,
        "scale_ratio": ratio,
        "scale_cost": None if ratio is None else _cost(ratio, math.prod(split.shape)),
        "kl_weight": weight,
        "kl_weight_at_start": at_start,
        "decoder_depth": _depth(vae.decoder.network),
    }
    alone = hasattr(vae.decoder, "head") and not (given is not None and vae.decoder_sees_condition)
    return found | {"findings": _findings(found, alone)}


def _inference(vae, split, count, seed):
    """Returns the parts of the gap of some examples, each None where there are none."""
    names = ("approximation_gap", "amortisation_gap")
    found = {"num_gap_examples": count, **dict.fromkeys(names), "gap_missing": None}
    if not count:
        return found
    split, options = split.take(count), {"num_importance_samples": _GAP_SAMPLES}
    try:
        each = inference_gap(vae, split, seed=seed, **options).summary()
    except ValueError as error:  # discrete latents, a likelihood without a slope
        return found | {"num_gap_examples": 0, "gap_missing": str(error)}
    return found | {name: each[name] for name in names}


class _Rows:
    """What is known of the examples that z is drawn for, by S draws; z and its terms by the first.

    Attributes are arrays [N], of z [N, D].
    """

    def __init__(self, draw, split, given, key, num_samples, rows_at_once):
        size = max(1, min(len(split), rows_at_once // min(num_samples, _CHUNK)))
        chunk = min(num_samples, _CHUNK)

        def run(start, index):
            x = tf.constant(split.values(index))
            condition = None if given is None else tf.constant(given[index])
            posterior, weights, squares, first = draw.posterior(x, condition), [], [], None
            for begun in range(0, num_samples, chunk):
                count = min(chunk, num_samples - begun)
                here = fold_in(key, start, begun)
                latent = draw.infer(x, count, condition, posterior, here)[0]
                likelihood = draw.likelihood(latent.value, condition)
                log_p = likelihood.log_prob(x)
                weights.append((log_p, log_p + latent.log_p - latent.log_q))
                squares.append(_squares(likelihood, x))
                first = latent if first is None else first
            log_p, log_w = (np.concatenate(each) for each in zip(*weights, strict=True))
            each = first.kl_per_dimension()
            kl = first.log_q - first.log_p if each is None else tf.reduce_sum(each, axis=-1)
            known = None if squares[0] is None else np.concatenate(squares).mean(axis=0)
            found = (first.value[0], first.log_q[0], first.log_p[0], kl[0], log_p.mean(axis=0))
            found = (*found, log_w.mean(axis=0), _log_mean(log_w), known)
            return (*found, None if each is None else each[0])

        parts = []
        for part, count in in_batches(split, size, run):
            parts.append([None if each is None else np.asarray(each)[:count] for each in part])
        found = [None if p[0] is None else np.concatenate(p) for p in zip(*parts, strict=True)]
        self.z, self.log_q, self.log_p, self.kl, self.log_likelihood = found[:5]
        self.log_weight, self.log_evidence, squares, each = found[5:]
        self.kl_per_dimension = None if each is None else each.mean(axis=0).tolist()
        # The best scale is the root of the mean square in the place of 1.
        self.scale_ratio = None if squares is None else float(1 / np.sqrt(squares.mean()))


def _log_mean(log_w):
    """Returns the log of the mean over the first axis of exp(log_w)."""
    return np.logaddexp.reduce(log_w.astype(np.float64), axis=0) - math.log(len(log_w))


def _squares(likelihood, x):
    """Returns the mean of ((x - loc) / scale)^2 over an example, [S, B], or None."""
    head = getattr(likelihood, "head", None)
    if head is None or not head.has("squared_deviations"):
        return None
    squares = head.squared_deviations(head.parameters(likelihood.features), x)
    return tf.reduce_mean(squares, axis=range(2, squares.shape.rank))


def _aggregate(draw, split, given, z, batch_size, progress):
    """Returns log q(z) of every z [M], the mean of q(z|x) over a split, and its centres [N, D]."""
    count = max(1, _PAIRS // (batch_size * z.shape[-1]))
    blocks = [tf.constant(z[start : start + count]) for start in range(0, len(z), count)]
    total, centres = np.full(len(z), -np.inf), []
    encoder = draw.model.encoder

    def run(_, index):
        condition = None if given is None else tf.constant(given[index])
        posterior = draw.posterior(tf.constant(split.values(index)), condition)
        found = [draws.log_prob(posterior, block[:, tf.newaxis]).numpy() for block in blocks]
        return np.concatenate(found), encoder.centre(posterior).numpy()

    for (log_q, centre), size in in_batches(split, batch_size, run, progress):
        own = log_q[:, :size].astype(np.float64)
        total = np.logaddexp(total, np.logaddexp.reduce(own, axis=1))
        centres.append(centre[:size])
    return total - math.log(len(split)), np.concatenate(centres)


def _reading(draw, split, given, key):
    """Returns |d features / d z_d| at posterior centres [D], and how log p(x|z) varies with z."""
    split = split.take(_FEW)
    x = tf.constant(split.values())
    condition = None if given is None else tf.constant(given[: len(split)])
    centre = draw.model.encoder.centre(draw.posterior(x, condition))
    norms = []
    for direction in np.eye(centre.shape[-1], dtype=np.float32):
        with tf.autodiff.ForwardAccumulator(centre, tf.zeros_like(centre) + direction) as forward:
            likelihood = draw.likelihood(centre, condition)
            features = getattr(likelihood, "features", None)
            features = likelihood.mean() if features is None else features
        slope = forward.jvp(features)
        slope = tf.zeros_like(features) if slope is None else slope
        norms.append(float(tf.reduce_mean(tf.norm(tf.reshape(slope, [len(split), -1]), axis=-1))))
    prior = draw.prior(condition)
    shape = [32] if prior.batch_shape.rank else [32, len(split)]
    z = draws.sample(prior, shape, fold_in(key, 1))
    log_p = draw.likelihood(z, condition).log_prob(x)
    return norms, float(tf.reduce_mean(tf.math.reduce_std(log_p, axis=0)))


def _step(vae: VAE) -> Any:
    return tf.convert_to_tensor(vae.training_step)


def _cost(ratio: float, dims: int) -> float:
    """Returns by how many nats the best common factor on the scales would be better."""
    return 0.5 * dims * (ratio**-2 - 1 + 2 * math.log(ratio))


def _depth(network: keras.Layer) -> int:
    """Returns how many layers of a network have weights, the projection behind it among them."""
    layers = [network, *keras_private.all_sublayers(network)]
    return 1 + sum(1 for x in layers if x.weights and not list(keras_private.sublayers(x)))


def _findings(found: dict, alone: bool) -> "list[str]":
    """Returns the causes, of `FINDINGS`: what is wrong with the scale, or why z carries nothing.

    Args:
        found: what was measured.
        alone: whether z is all that the values of an example have in common.
    """
    ratio, cost = found["scale_ratio"], found["scale_cost"]
    if ratio is not None and abs(math.log(ratio)) > OFF_SCALE and cost > OFF_COST:
        return ["scale_too_large" if ratio > 1 else "scale_too_small"]
    if found["mutual_information"] >= COLLAPSED:
        return []
    if found["kl_weight"] > 1:
        return ["heavy_kl"]
    if found["decoder_spread"] > READS:
        return ["dead_encoder"]
    if not alone:
        return ["strong_decoder"]
    constant = found["kl_weight"] <= found["kl_weight_at_start"]
    return ["early_kl" if constant else "lagging_encoder"]
