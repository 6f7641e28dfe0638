"""What goes around fit: schedules, progress, early stopping."""

import io
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_vae import training
from tfp_vae.data import Kind, Split


def test_constant_learning_rate_is_a_number():
    assert training.learning_rate("constant", 0.1, 50) == 0.1


def test_cosine_learning_rate_ends_at_zero():
    rate = training.learning_rate("cosine", 0.1, 50)
    assert float(rate(0)) == pytest.approx(0.1)
    assert float(rate(25)) == pytest.approx(0.05)
    assert float(rate(50)) == pytest.approx(0, abs=1e-8)


def test_step_learning_rate_has_eight_stages_each_three_times_as_long():
    rate = training.learning_rate("step", 1e-3, 3280)
    every = tf.function(lambda: tf.map_fn(rate, tf.range(3280), fn_output_signature=tf.float32))
    rates = every().numpy()
    values, counts = np.unique(rates.round(9), return_counts=True)
    np.testing.assert_allclose(
        sorted(values), [1e-3 * 10 ** (-i / 7) for i in range(7, -1, -1)], rtol=1e-4
    )
    assert np.all(np.abs(counts[::-1] - 3 ** np.arange(8)) <= 1)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_impossible_learning_rate_is_refused(rate):
    with pytest.raises(ValueError, match=r"Expected a number > 0.*Received"):
        training.learning_rate("constant", rate, 10)


def test_training_that_ends_in_nan_is_an_error_that_names_the_epoch():
    history = keras.callbacks.History()
    history.epoch, history.history = [0, 1], {"elbo": [-3.0, math.nan]}
    with pytest.raises(FloatingPointError, match=r"epoch 2.*Expected a finite elbo.*Received nan"):
        training.check_finished(history)


def test_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match=r"Expected one of.*Received 'linear'"):
        training.learning_rate("linear", 0.1, 10)


def test_steps_per_execution_is_an_epoch_at_most():
    split = Split(np.zeros((50, 3)), Kind.STATIC)
    assert training.steps_per_execution(split, 16) == 4
    assert training.steps_per_execution(split, 1, most=20) == 20


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_duration_is_in_words(seconds, words):
    assert training.duration(seconds) == words


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_in_a_log_is_first_and_last_and_few_between(monkeypatch):
    clock = iter(np.arange(0.0, 1000.0, 1.0))
    monkeypatch.setattr(training.progress.time, "monotonic", lambda: float(next(clock)))
    log = io.StringIO()
    progress = training.Progress("epoch", seconds=10, stream=log)
    for done in range(1, 41):
        progress(done, 40)
    lines = log.getvalue().splitlines()
    assert lines[0] == "epoch 1/40"  # a first step that compiles says nothing about the others
    assert lines[1] == "epoch 11/40  29 s left"
    assert lines[-1] == "epoch 40/40  0 s left"
    assert len(lines) == 5


def test_progress_of_a_continued_training_counts_its_own_epochs_only(monkeypatch):
    clock = iter([100.0, 103.0])
    monkeypatch.setattr(training.progress.time, "monotonic", lambda: next(clock))
    log = io.StringIO()
    progress = training.Progress("epoch", seconds=0, stream=log)
    progress(11, 14)
    progress(12, 14)
    assert log.getvalue() == "epoch 11/14\nepoch 12/14  6 s left\n"


def test_progress_on_a_terminal_is_one_line():
    terminal = _Terminal()
    progress = training.Progress("epoch", stream=terminal)
    for done in range(1, 6):
        progress(done, 5, "elbo -1.00  ")
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 5


def test_progress_in_a_notebook_is_one_line_that_covers_the_one_before():
    cell = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    progress = training.Progress("epoch", stream=cell)
    progress(1, 3, "a long note  ")
    progress(3, 3)
    first, second = cell.getvalue().split("\r")[1:]
    assert first == "epoch 1/3  a long note" and second.startswith("epoch 3/3")
    assert len(second) == len(first) + 1 and cell.getvalue().count("\n") == 1


def test_early_stopping_watches_the_unweighted_bound_and_restores_the_best(
    make_vae, binary_images, capsys
):
    x = binary_images(40)
    vae = make_vae()
    vae.compile(optimizer=keras.optimizers.Adam(0.5))  # so large that it gets worse
    stop = training.early_stopping(2)
    history = vae.fit(
        x, batch_size=20, validation_data=x[:20], epochs=50, verbose=0,
        callbacks=[stop, training.ShowProgress()],
    ).history  # fmt: skip
    assert len(history["elbo"]) < 50
    best = vae.evaluate(x[:20], batch_size=20, verbose=0, return_dict=True)["elbo"]
    assert best == pytest.approx(max(history["val_elbo"]), rel=1e-5)
    assert math.isfinite(best)
    assert "epoch 1/50  elbo" in capsys.readouterr().out


def test_tensorboard_without_its_package_names_the_command(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r'pip install "tfp_vae\[tensorboard\]"'):
        training.tensorboard(tmp_path)
