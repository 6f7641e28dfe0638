"""Models of data that lie in files: the same numbers as in memory, and no more at once."""

import keras
import numpy as np
import pytest
from loop_cases import N, small_m2, small_vae
from PIL import Image

import tfp_vae as tv
from tfp_vae.data import Kind, Split
from tfp_vae.data.streams import ImageFiles


def _grey(count=N):
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), np.uint8)


def _fitted(split):
    keras.utils.set_random_seed(0)
    model = small_vae()
    model.compile(optimizer="adam")
    history = model.fit(split, validation_data=split, batch_size=5, epochs=2, verbose=0)
    return model, history.history


LABELS = np.where(np.arange(N) < 8, np.arange(N) % 3, tv.data.UNLABELLED)


@pytest.mark.all_only
def test_training_and_evaluation_from_files_equal_those_from_memory(counting_stream):
    stream = counting_stream(_grey())
    memory, streamed = (Split(x, Kind.DYNAMIC).augmented(0.1) for x in (_grey(), stream))
    model, history = _fitted(memory)
    other, found = _fitted(streamed)
    assert found == history
    for one, same in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(same, one)
    assert stream.most <= 5


def test_batches_of_two_sorts_from_files_equal_those_from_memory(counting_stream):
    memory, streamed = (Split(x, Kind.DYNAMIC, LABELS) for x in (_grey(), counting_stream(_grey())))
    model = small_m2()
    batches = [model.feed(split, 5).dataset(1) for split in (memory, streamed)]
    for one, same in zip(*batches, strict=True):
        for part, other in zip(one, same, strict=True):
            np.testing.assert_array_equal(other, part)


@pytest.mark.all_only
def test_what_is_measured_on_files_is_what_is_measured_in_memory_batch_by_batch(
    make_vae, counting_stream
):
    vae, stream = make_vae(), counting_stream(_grey(40))
    vae.compile()
    memory, streamed = (Split(x, Kind.DYNAMIC) for x in (_grey(40), stream))
    for measure in (
        lambda split: vae.log_evidence(split, 50, batch_size=8),
        lambda split: vae.elbo(split, 50, batch_size=8),
        lambda split: vae.evaluate(split, batch_size=8, verbose=0),
        lambda split: vae.predict(split, batch_size=8, verbose=0),
        lambda split: tv.evaluation.posterior_means(vae, split, batch_size=8),
    ):
        for one, same in zip(
            keras.tree.flatten(measure(memory)), keras.tree.flatten(measure(streamed)), strict=True
        ):
            np.testing.assert_array_equal(same, one)
        assert 0 < stream.most <= 8


def test_a_network_predicts_from_files_what_it_predicts_from_memory(counting_stream):
    stream = counting_stream(_grey())
    memory, streamed = (Split(x, Kind.EIGHT_BIT, np.arange(N) % 3) for x in (_grey(), stream))
    layers = [keras.layers.Flatten(), tv.layers.DenseReparameterization(3)]
    network = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(3))
    one, same = (network.predictive(split, 3, batch_size=5).probs for split in (memory, streamed))
    np.testing.assert_array_equal(same, one)
    assert stream.most == 5


def test_how_files_are_read_is_said(make_vae, counting_stream):
    vae = make_vae()
    vae.compile()
    split = Split(counting_stream(_grey()), Kind.DYNAMIC)
    assert vae.reading(split, 5) == ("batches through tf.data: the examples are read from 7 files")


@pytest.mark.all_only
def test_a_file_that_is_damaged_ends_training_with_an_error_that_names_it(tmp_path, make_vae):
    names = [f"{number}.png" for number in range(6)]
    for name, image in zip(names, _grey(6)[..., 0], strict=True):
        Image.fromarray(image).save(tmp_path / name)
    content = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(content[:-25])
    split = Split(ImageFiles(tmp_path, names), Kind.DYNAMIC)
    vae = make_vae()
    vae.compile(optimizer="adam")
    for use in (vae.fit, vae.evaluate, vae.predict):
        with pytest.raises(
            ValueError, match=r"^.*4\.png could not be read\. Expected.*Received.*$"
        ):
            use(split, batch_size=2, verbose=0)
