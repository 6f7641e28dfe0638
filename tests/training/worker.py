"""One process of a training that several share; the tests start it.

    python worker.py KINDS STRATEGY FOLDER [STEP]

Trains kinds of models, between commas, and writes {kind: (weights, history, replicas)} to
FOLDER/RANK.pickle; kills itself after STEP batches if this is the first start of worker 1.
"""

import json
import os
import pathlib
import pickle
import signal
import sys

import tensorflow as tf

from tfp_vae import training

kinds, name, folder = sys.argv[1].split(","), sys.argv[2], pathlib.Path(sys.argv[3])
if name == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = training.strategy(name)  # before anything is computed

import keras  # noqa: E402
from training_cases import BATCH_SIZE, data, model  # noqa: E402

from tfp_vae.data import Kind  # noqa: E402

rank = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0)
begun = folder / f"{rank}.begun"
first = not begun.exists()
begun.touch()


def die(batch, logs):
    """Is what a machine that loses its power does."""
    if first and rank == 1 and made.training_step >= int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)


done = {}
for kind in kinds:
    found = data(Kind.UNIT_INTERVAL if kind == "grey" else Kind.DYNAMIC)
    with strategy.scope():
        made = model(kind, found)
        history = made.fit(
            found.train,
            None,
            BATCH_SIZE,
            3,
            0,
            [
                training.StopOnNaN(),
                *([keras.callbacks.LambdaCallback(on_train_batch_end=die)] if sys.argv[4:] else []),
                training.Checkpoints(folder / kind, steps=4),
            ],
            validation_data=found.validation,
        ).history
    done[kind] = made.get_weights(), history, strategy.num_replicas_in_sync
(folder / f"{rank}.pickle").write_bytes(pickle.dumps(done))
