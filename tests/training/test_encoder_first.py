"""Steps of the encoder alone: what moves, what does not, and how near q(z|x) comes."""

import keras
import numpy as np
import pytest
from training_cases import BATCH_SIZE, EPOCHS, Interrupt, assert_same, data, model, train

from tfp_vae import training


@pytest.fixture(scope="module")
def found():
    return data()


def _slots(made):
    """Returns what Adam keeps of the decoder."""
    own = {weight.path for weight in made.decoder.trainable_weights}
    return [
        variable.numpy()
        for variable in made.optimizer.variables
        if any(path.replace("/", "_") in variable.path for path in own)
    ]


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_neither_decoder_nor_its_momentum_moves_in_steps_of_the_encoder(jit, found):
    made = model("vae", found, jit=jit)
    start = [part.get_weights() for part in (made.encoder, made.decoder)]
    fitted = {"batch_size": BATCH_SIZE, "verbose": 0, "callbacks": [training.EncoderFirst(2, 1)]}
    made.fit(found.train.take(2 * BATCH_SIZE), epochs=1, **fitted)  # two steps, both the encoder's
    for before, after in zip(start[1], made.decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert all(np.any(a != b) for a, b in zip(start[0], made.encoder.get_weights(), strict=True))
    kept = _slots(made)
    assert len(kept) == 2 * len(start[1]) and not any(np.any(value) for value in kept)
    assert int(made.optimizer.iterations) == 2 and made.encoder_steps == 0
    made.fit(found.train.take(BATCH_SIZE), epochs=1, **fitted)  # the third step is that of all
    assert all(np.any(a != b) for a, b in zip(start[1], made.decoder.get_weights(), strict=True))


@pytest.mark.always(reason="what a step of the encoder moves, and what it does not")
def test_the_steps_are_those_of_a_loop_that_trains_the_encoder_alone(found):
    """Four steps, written out: the encoder, the encoder, all, the encoder."""
    few = found.train.take(4 * BATCH_SIZE).frozen()
    made, other = model("vae", found), model("vae", found)
    for each in (made, other):
        each.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    made.fit(few, batch_size=BATCH_SIZE, callbacks=[training.EncoderFirst(2, 1)], verbose=0)
    kept, step = other.decoder.get_weights(), 0

    class PutBack(keras.callbacks.Callback):
        """Plain gradient descent has no memory: what was trained is what it was."""

        def on_train_batch_end(self, batch, logs=None):
            nonlocal kept, step
            if step % 3 == 2:
                kept = other.decoder.get_weights()
            else:
                other.decoder.set_weights(kept)
            step += 1

    other.fit(few, batch_size=BATCH_SIZE, callbacks=[PutBack()], verbose=0)
    assert step == 4
    for one, two in zip(made.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_training_that_begins_with_the_encoder_resumes_to_the_last_bit(found, tmp_path):
    def run(folder, *more):
        return train(model("vae", found), found, folder, training.EncoderFirst(2, 2), *more)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again", Interrupt(2))
    assert_same(whole, run(tmp_path / "again"))


def test_what_has_no_encoder_of_its_own_is_refused(found):
    vae = model("vae", found)
    with pytest.raises(ValueError, match=rf"at most {EPOCHS} of them.*Received {EPOCHS + 1}"):
        training.EncoderFirst(2, EPOCHS + 1).check(vae, EPOCHS)
    vae.compile(keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2))
    with pytest.raises(ValueError, match=r"without gradient_accumulation_steps. Received 2"):
        training.EncoderFirst(2, 1).check(vae, EPOCHS)
    with pytest.raises(ValueError, match=r"model.*VAE"):
        training.EncoderFirst(2, 1).check(keras.Sequential(), EPOCHS)
    with pytest.raises(ValueError, match=r"steps.*Received 0"):
        training.EncoderFirst(0, 1)
