"""A training that was interrupted and goes on ends as if nothing had happened."""

import io
import os
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_cases import (
    BATCH_SIZE,
    EPOCHS,
    MEMBERS,
    Again,
    Interrupt,
    again,
    assert_same,
    data,
    model,
    train,
)

from tfp_vae import training
from tfp_vae.training import states

ALL_ONLY = [
    pytest.mark.all_only,
    pytest.mark.dear(reason="three or four XLA programs, which cannot be shared"),
]


@pytest.fixture(scope="module")
def found():
    return data()


@pytest.fixture(scope="module")
def whole(found, tmp_path_factory):
    """Returns what the training of a VAE ends with if nothing happens to it."""
    return train(again("vae")(), found, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def crashed(found, tmp_path_factory):
    """Returns the folder of a training of the same that a crash ended after nine calls."""
    folder = tmp_path_factory.mktemp("crashed")
    with pytest.raises(KeyboardInterrupt):
        train(again("vae")(), found, folder, Interrupt(9))
    return folder


@pytest.mark.all_only
def test_the_same_training_twice_ends_the_same(whole, found, tmp_path):
    assert_same(whole, train(again("vae")(), found, tmp_path))


@pytest.mark.parametrize(
    ("kind", "jit", "crashes"),
    [
        ("vae", False, (3, 5)),  # into the first pass, then into the second
        ("bnn", False, (5,)),
        ("sngp", False, (5,)),  # whose curvature is that of a whole epoch
        pytest.param("batch_ensemble", False, (5,), marks=pytest.mark.all_only),
        pytest.param("rank1", False, (5,), marks=pytest.mark.all_only),
        pytest.param("vae", True, (3,), marks=ALL_ONLY),
        pytest.param("vae", True, (3, 5), marks=ALL_ONLY),
        pytest.param("bnn", True, (3, 5), marks=ALL_ONLY),
    ],
    ids=[
        "vae-graph",
        "bnn-graph",
        "sngp",
        "batch_ensemble",
        "rank1",
        "vae-xla",
        "vae-xla-twice",
        "bnn-xla",
    ],
)
@pytest.mark.always(reason="the one resumed training")
@pytest.mark.dear(reason="programs that XLA compiles anew after each interruption")
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_last_bit(
    kind, jit, crashes, found, whole, tmp_path
):
    start = again("vae") if (kind, jit) == ("vae", False) else Again(model(kind, found, jit))
    if start is not again("vae"):
        whole = train(start(), found, tmp_path / "whole")
    for calls in crashes:  # into the first pass, then into the second
        with pytest.raises(KeyboardInterrupt):
            train(start(), found, tmp_path / "parts", Interrupt(calls))
    # What goes on is a model that was made anew, as in a new process; under XLA with --all.
    made = start() if crashes == (3,) else model(kind, found, jit)
    assert_same(whole, train(made, found, tmp_path / "parts"))


@pytest.mark.parametrize(
    "kind",
    [
        # What pseudo-inputs know of the data is state of the model.
        pytest.param(
            kind, marks=pytest.mark.all_only if kind == "prior-vamp" else pytest.mark.release_only
        )
        for kind in MEMBERS
    ],
)
@pytest.mark.filterwarnings("ignore:Early stopping conditioned")  # off the bound there is no ELBO
def test_a_resumed_training_of_every_member_equals_an_uninterrupted_one(kind, found, tmp_path):
    tf.config.run_functions_eagerly(True)
    try:
        whole = train(model(kind, found), found, tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            train(model(kind, found), found, tmp_path / "parts", Interrupt(6))
        assert_same(whole, train(model(kind, found), found, tmp_path / "parts"))
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.all_only
def test_a_resumed_training_through_tf_data_equals_an_uninterrupted_one(
    found, tmp_path, monkeypatch
):
    monkeypatch.setattr("tfp_vae.models.fit.MOST_BYTES", 0)
    start = Again(model("vae", found))
    assert not start().stays_in_memory(found.train)
    whole = train(start(), found, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(start(), found, tmp_path / "parts", Interrupt(6))
    assert_same(whole, train(start(), found, tmp_path / "parts"))


def test_epochs_that_are_no_passes_resume_too(found, tmp_path):
    def run(folder, *more):
        made = again("vae")()
        chosen = [*more, training.Checkpoints(folder, steps=1)]
        made.fit(found.train, None, BATCH_SIZE, 3, 0, chosen, steps_per_epoch=5)
        return (made.get_weights(),)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", Interrupt(5))
    assert_same(whole, run(tmp_path / "parts"))


@pytest.mark.all_only
@pytest.mark.parametrize("kind", ["vae", pytest.param("bnn", marks=pytest.mark.all_only)])
def test_early_stopping_goes_on_with_the_best_it_has_seen_and_a_finished_training_rests(
    kind, found, tmp_path
):
    start = Again(model(kind, found, rate=5.0))  # gets worse

    def run(folder, *more):
        return train(start(), found, folder, *more)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", Interrupt(7))
    assert_same(whole, run(tmp_path / "parts"))
    before = {file: file.read_bytes() for file in (tmp_path / "parts").glob("*.npz")}
    assert_same(whole, run(tmp_path / "parts", Interrupt(1)))  # not a single batch
    assert {*before} == {*(tmp_path / "parts").glob("*.npz")}


def test_checkpoints_of_another_configuration_are_refused_and_what_differs_is_named(
    found, tmp_path
):
    save = training.Checkpoints(tmp_path / "a", 3, configuration={"--hidden": 8, "--seed": 1})
    train(again("vae")(), found, tmp_path / "a", save=save)
    other = training.Checkpoints(tmp_path / "a", 3, configuration={"--hidden": 9, "--seed": 1})
    with pytest.raises(ValueError, match=r"Expected --hidden=8, .*Received --hidden=9") as error:
        train(again("vae")(), found, tmp_path / "a", save=other)
    assert "--seed" not in str(error.value)


@pytest.mark.parametrize("what", ["batches", "shapes"])
def test_checkpoints_of_another_training_are_refused(what, found, crashed, tmp_path):
    shutil.copytree(crashed, tmp_path / "a")
    kind, spe = ("vae", 4) if what == "batches" else ("bnn", 2)
    with pytest.raises(ValueError, match=r"The checkpoint is of another.*Expected.*Received"):
        train(model(kind, found, steps_per_execution=spe), found, tmp_path / "a")


def _cut(content):
    return content[: len(content) // 2]


def _flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flip, lambda content: b""], ids=["cut", "flip", "empty"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(
    damage, found, whole, crashed, tmp_path
):
    shutil.copytree(crashed, tmp_path / "parts")
    said = io.StringIO()
    save = training.Checkpoints(tmp_path / "parts", steps=3, stream=said)
    newest, before, *_ = save.files()
    newest.write_bytes(damage(newest.read_bytes()))
    assert_same(whole, train(again("vae")(), found, tmp_path / "parts", save=save))
    assert f"{newest.name} is damaged" in said.getvalue()
    assert f"going on after step {int(before.stem[-10:])} " in said.getvalue()


def test_without_a_checkpoint_that_can_be_read_training_begins_anew_and_says_so(
    found, whole, crashed, tmp_path
):
    shutil.copytree(crashed, tmp_path / "parts")
    said = io.StringIO()
    save = training.Checkpoints(tmp_path / "parts", steps=3, stream=said)
    for file in save.files():
        file.write_bytes(b"")
    assert_same(whole, train(again("vae")(), found, tmp_path / "parts", save=save))
    assert "can be read: beginning anew" in said.getvalue()


def test_what_is_kept_of_the_callbacks_of_keras_are_attributes_that_they_have(tmp_path):
    made = {
        keras.callbacks.EarlyStopping: keras.callbacks.EarlyStopping(),
        keras.callbacks.ReduceLROnPlateau: keras.callbacks.ReduceLROnPlateau(),
        keras.callbacks.ModelCheckpoint: keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"),
    }
    assert made.keys() == states.SEEN.keys()
    for kind, names in states.SEEN.items():
        made[kind].on_train_begin()
        for name in names:
            assert hasattr(made[kind], name), (kind, name)


@pytest.mark.all_only
def test_a_resumed_model_checkpoint_of_keras_saves_at_the_same_steps(found, tmp_path):
    def run(folder, *more):
        folder.mkdir(exist_ok=True)
        best = keras.callbacks.ModelCheckpoint(folder / "{epoch}-{batch}.keras", save_freq=5)
        train(again("vae")(), found, folder / "saved", best, *more)

    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", Interrupt(6))
    run(tmp_path / "parts")
    whole, parts = (
        sorted(file.name for file in (tmp_path / name).glob("*.keras"))
        for name in ("whole", "parts")
    )
    assert parts == whole
    assert whole


def test_only_the_newest_checkpoints_are_kept(found, tmp_path):
    save = training.Checkpoints(tmp_path / "a", steps=2, keep=2)
    train(again("vae")(), found, tmp_path / "a", save=save)
    assert [file.name for file in save.files()] == [
        "checkpoint-0000000024.npz",
        "checkpoint-0000000022.npz",
    ]
    assert save.saves == EPOCHS * 4
    assert 0 < save.seconds_saving < save.seconds_trained


def test_checkpoints_by_seconds_come_when_they_are_due(found, tmp_path, monkeypatch):
    save = training.Checkpoints(tmp_path / "a", seconds=1e6)
    train(again("vae")(), found, tmp_path / "a", save=save)
    assert save.saves == 1  # the end of the training
    often = training.Checkpoints(tmp_path / "b", seconds=1e-9)
    train(again("vae")(), found, tmp_path / "b", save=often)
    assert often.saves == EPOCHS * 4


class _Signal(keras.callbacks.Callback):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def on_train_batch_end(self, batch, logs=None):
        if batch > 3:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_saves_before_it_stops(number, found, whole, tmp_path):
    before = signal.getsignal(number)
    save = training.Checkpoints(tmp_path / "parts", seconds=1e6)
    with (
        pytest.raises(training.Stopped, match=rf"{number.name} after step 6; everything is saved"),
        save.catching_signals(),
    ):
        train(again("vae")(), found, tmp_path / "parts", _Signal(number), save=save)
    assert signal.getsignal(number) is before
    assert_same(whole, train(again("vae")(), found, tmp_path / "parts"))


def test_a_checkpoint_that_cannot_be_written_leaves_training_and_the_old_ones_alone(
    found, whole, tmp_path, monkeypatch
):
    said = io.StringIO()
    save = training.Checkpoints(tmp_path / "a", steps=3, stream=said)
    replace, calls = os.replace, []

    def full(source, target):
        if str(target).endswith(".npz"):
            calls.append(target)
            if len(calls) in (2, 3):
                raise OSError(28, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert_same(whole, train(again("vae")(), found, tmp_path / "a", save=save))
    assert said.getvalue().count("not written: [Errno 28] No space left on device") == 2
    assert not list((tmp_path / "a").glob(".*"))  # no half of a file stays behind


def test_a_dataset_whose_batches_are_no_functions_of_their_number_has_no_checkpoints(
    found, tmp_path
):
    dataset = tf.data.Dataset.from_tensor_slices(found.train.values()).batch(8)
    with pytest.raises(ValueError, match=r"Expected a Split or arrays.*Received something else"):
        again("vae")().fit(dataset, verbose=0, callbacks=[training.Checkpoints(tmp_path, steps=1)])


@pytest.mark.all_only
def test_a_training_with_weights_of_examples_resumes_too(found, tmp_path):
    start = Again(model("vae", found))
    weight = np.linspace(0.5, 1.5, 60).astype(np.float32)

    def run(folder, *more):
        made = start()
        chosen = [*more, training.Checkpoints(folder, steps=1)]
        made.fit(found.train.values(), None, BATCH_SIZE, 2, 0, chosen, sample_weight=weight)
        return (made.get_weights(),)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", Interrupt(5))
    assert_same(whole, run(tmp_path / "parts"))


@pytest.mark.parametrize(
    "plan",
    [{}, {"steps": 0}, {"steps": 1, "seconds": 1.0}, {"seconds": -1.0}, {"steps": 1, "keep": 0}],
)
def test_impossible_plans_are_refused(plan, tmp_path):
    with pytest.raises(ValueError, match=r"Expected steps > 0 or seconds > 0.*Received"):
        training.Checkpoints(tmp_path, **plan)
