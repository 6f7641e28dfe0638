"""Small networks on the splits of a table: all in one program, or one after the other."""

import keras
import numpy as np
import worker

import tfp_vae as tv
from tfp_vae import methods
from tfp_vae.studies import uci

ALONE = 4  # of the networks that are trained one after the other; the others take as long


def _together(train, settings):
    """Returns the networks of all splits as `experiments.uci` makes them, and how many."""
    model = uci.untrained(settings.recipe("ensemble", ""), train, settings, seed=0)
    return model, train, model.num_members


def _alone(train, settings, group, jit_compile):
    """Returns one network for one split, the way one writes it."""
    keras.utils.set_random_seed(group)
    x, y = train.values()[:, group], train.targets[:, group]
    own = tv.data.Split(x, train.kind, targets=y, name="train")
    model = methods.make_member(settings.recipe("map", ""), own.shape, None)
    per_epoch = own.num_batches(settings.batch(len(own)))
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, settings.epochs(own) * per_epoch
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        steps_per_execution=per_epoch,
        jit_compile=jit_compile,
    )
    return model, own, 1


def make(item, variant, data):
    """Returns the block of an item; examples count once for every network that learns them.

    U1 makes its models within the block, which so has the time of tracing and compiling. U1c has
    them compiled before, and sets them back to their first weights.
    """
    settings = uci.Settings(steps=int(data["steps"]))
    train, _ = uci.side_by_side(data["x"], data["y"], data["test_index"])

    def made():
        if variant == "together":
            yield _together(train, settings)
            return
        for group in range(ALONE):
            yield _alone(train, settings, group, variant == "alone, XLA")

    kept = list(made()) if item == "U1c" else []
    starts = [[np.array(w) for w in model.trainable_variables] for model, *_ in kept]

    def block():
        for (model, *_), values in zip(kept, starts, strict=True):
            for weight, value in zip(model.trainable_variables, values, strict=True):
                weight.assign(value)
            for state in model.optimizer.variables:  # Adam starts from zeros
                state.assign(np.zeros(state.shape))
        examples, loss, networks = 0, 0.0, 0
        for model, split, count in kept or made():
            epochs, batch_size = settings.epochs(split), settings.batch(len(split))
            history = model.fit(split, epochs=epochs, batch_size=batch_size, verbose=0)
            examples += count * epochs * len(split)
            loss += history.history["loss"][-1]  # of an ensemble: the sum over its members
            networks += count
        return examples, loss / networks

    return block


if __name__ == "__main__":
    worker.serve(make)
