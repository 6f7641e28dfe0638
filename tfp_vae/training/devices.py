"""Many devices through `tf.distribute`: which ones, and who of them writes."""

import json
import os

import tensorflow as tf

from tfp_vae.arguments import check_choice

STRATEGIES = ("none", "mirrored", "multiworker")


def strategy(name: str) -> "tf.distribute.Strategy | None":
    """Returns the strategy called `name`, or None for "none".

    To be called before TensorFlow computes anything: "multiworker" connects to the other workers,
    which the environment variable TF_CONFIG names. "mirrored" takes all accelerators of this
    machine, or all its logical CPUs.

    Raises:
        ValueError: for an unknown name, a TF_CONFIG that is missing or no JSON, or a TensorFlow
            that has computed before.
    """
    check_choice("strategy", name, STRATEGIES)
    if name == "none":
        return None
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    _task()
    if "TF_CONFIG" not in os.environ:
        raise ValueError(
            "No workers are named. Expected the environment variable TF_CONFIG, as "
            "scripts/launch_local sets it. Received none."
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            f"The workers cannot be joined. Expected to be asked before any computation. Received: "
            f"{error}"
        ) from error


def is_chief() -> bool:
    """Returns whether this process writes: the only one, or the first of many workers."""
    cluster, task = _task()
    kind = task.get("type", "worker")
    return kind == "chief" or ("chief" not in cluster and not task.get("index", 0))


def any_worker(strategy: "tf.distribute.Strategy", condition: bool) -> bool:
    """Returns whether the condition holds in any worker: the same answer to all, who all ask."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return condition
    each = strategy.run(lambda: tf.constant(float(condition)))
    return float(strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)) > 0


def _task() -> tuple[dict, dict]:
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        config = json.loads(text)
        return config.get("cluster", {}), config.get("task", {})
    except (ValueError, AttributeError):
        raise ValueError(
            "TF_CONFIG is damaged. Expected a JSON object with cluster and task. Received "
            f"{text!r}."
        ) from None
