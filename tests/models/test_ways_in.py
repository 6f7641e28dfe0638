"""One look, one scale and one order of columns on every way into a model."""

import collections
import pickle

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import tfp_vae as tv

RNG = np.random.default_rng(0)
GREY = RNG.random((40, 6)).astype(np.float32)
BLACK = (GREY > 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def vae():
    """A Bernoulli VAE that runs eagerly: no way in needs a graph of its own."""
    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (6,)),
    )
    model.compile("sgd", run_eagerly=True)
    return model


def dense(head, width, *before, **options):
    network = keras.Sequential([*before, keras.layers.Dense(width)])
    model = tv.BayesianNetwork(network, head, **options)
    model.compile("sgd", run_eagerly=True)
    return model


class Batches(keras.utils.PyDataset):
    """Black images first, then grey ones."""

    def __init__(self, first, rest):
        super().__init__()
        self.parts = [first, rest]

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (self.parts[index],)


def late(first=BLACK, rest=GREY):
    return tf.data.Dataset.from_tensor_slices(np.concatenate([first, rest])).batch(40)


def generator(values):
    yield (values,)


class Frame:
    """What a DataFrame is to a model: columns and `to_numpy`."""

    def __init__(self, values, columns):
        self.values, self.columns = values, list(columns)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, name):
        return Series(self.values[:, self.columns.index(name)])

    def to_numpy(self):
        return self.values


class Series:
    """What a Series is to a model."""

    def __init__(self, values):
        self.values, self.dtype = values, values.dtype

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def to_numpy(self):
        return self.values


GREY_IN = {
    "fit(generator)": lambda m: m.fit(generator(GREY), steps_per_epoch=1, verbose=0),
    "fit(PyDataset), second batch": lambda m: m.fit(Batches(BLACK, GREY), shuffle=False, verbose=0),
    "fit(tf.data), second batch": lambda m: m.fit(late(), verbose=0),
    "fit(frame)": lambda m: m.fit(Frame(GREY, "abcdef"), verbose=0),
    "train_on_batch": lambda m: m.train_on_batch(GREY),
    "test_on_batch": lambda m: m.test_on_batch(GREY),
    "predict_on_batch": lambda m: m.predict_on_batch(GREY),
    "predict(tf.data), second batch": lambda m: m.predict(late(), verbose=0),
    "evaluate(generator)": lambda m: m.evaluate(generator(GREY), verbose=0),
    "validation": lambda m: m.fit(BLACK, validation_data=late(GREY), verbose=0),
}


@pytest.mark.parametrize("way", list(GREY_IN))
def test_a_bernoulli_refuses_grey_on_every_way_in(vae, way):
    with pytest.raises(ValueError, match=r"Expected.*Received"):
        GREY_IN[way](vae)


def test_bytes_have_one_scale_on_every_way_in(vae):
    image = (BLACK * 255).astype(np.uint8)
    expected = vae.predict(BLACK, verbose=0)
    data = tf.data.Dataset.from_tensors(image)
    for found in (
        vae.predict(image, verbose=0),
        vae.predict(image.astype(np.int64), verbose=0),
        vae.predict_on_batch(image),
        vae.predict(data, verbose=0),
        vae.predict(generator(image), steps=1, verbose=0),
    ):
        np.testing.assert_array_equal(found, expected)
    for score in (  # of the same noise, from the same weights
        lambda x: vae.evaluate(x, verbose=0),
        lambda x: vae.test_on_batch(x),
        lambda x: vae.evaluate(generator(x), steps=1, verbose=0),
        lambda x: vae.evaluate(tf.data.Dataset.from_tensors(x), verbose=0),
    ):
        np.testing.assert_array_equal(score(image), score(BLACK))
    np.testing.assert_array_equal(
        vae(image, seed=1).posterior.mean(), vae(BLACK, seed=1).posterior.mean()
    )


CALLED_BY_HAND = {
    "bytes as floats": (255 * BLACK, r"another scale.*\[0, 1\].*0 to 255"),
    "centred": (2 * BLACK - 1, "another scale.*-1 to 1"),
    "NaN": (np.where(BLACK > 0, np.nan, BLACK), "not finite"),
    "infinite": (tf.constant(BLACK) / 0.0, "not finite"),
    "text": (BLACK.astype(str), "not numbers"),
    "complex": (tf.constant(BLACK + 1j), "not numbers"),
    "another shape": (BLACK[:, :4], r"wrong shape.*\(N, 6\).*\(40, 4\)"),
    "one example": (BLACK[0], "wrong shape"),
    "masked": (np.ma.masked_array(BLACK, BLACK > 0), "masked ones"),
}


@pytest.mark.parametrize("what", CALLED_BY_HAND)
def test_what_is_called_by_hand_is_looked_at(vae, what):
    x, message = CALLED_BY_HAND[what]
    for way in (vae, vae.encode, vae.reconstruct):
        with pytest.raises(ValueError, match=message):
            way(x)


def test_encodings_have_the_scale_of_training_and_slopes():
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.ContinuousBernoulli(tv.networks.mlp([4]), (2, 3, 1)),
    )
    grey = np.arange(24).reshape(4, 2, 3)
    x = (grey[..., np.newaxis] / 255).astype(np.float32)
    expected = vae.encode(x)
    for given in (grey, grey.astype(np.uint8), x[..., 0], tv.data.Split(x, "unit_interval")):
        np.testing.assert_array_equal(vae.encode(given), expected)
        np.testing.assert_array_equal(vae.reconstruct(given), vae.reconstruct(x))
    for given in (x.tolist(), {"x": x}, (x,), None, "digits"):
        with pytest.raises(ValueError, match=r"cannot be used. Expected a Split or an array"):
            vae.encode(given)
    with tf.GradientTape() as tape:
        image = tf.Variable(x[..., 0])
        loss = tf.reduce_sum(vae.reconstruct(image))
    assert np.any(tape.gradient(loss, image))
    assert vae.at_mean().centre(tf.constant(x + 9)).shape == expected.shape
    vae.compile()
    with pytest.raises(ValueError, match="cannot be used"):
        vae.fit(3)


def test_images_of_one_channel_come_with_or_without_its_axis():
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2))
    model.compile("sgd", run_eagerly=True)
    images = BLACK.reshape(40, 2, 3)
    model.fit(images[..., np.newaxis], np.arange(40) % 2, verbose=0)
    expected = model.predict(images[..., np.newaxis], verbose=0)
    for found in (model.predict(images, verbose=0), model.predict_on_batch(images)):
        np.testing.assert_array_equal(found, expected)


NO_ARRAYS = {
    "masked": (np.ma.masked_array(BLACK, BLACK > 0), "masked ones"),
    "sparse": (tf.sparse.from_dense(BLACK), "no array.*to_dense.*SparseTensor"),
    "ragged": (tf.ragged.constant([[1.0, 0.0], [1.0]]), "no array.*to_tensor.*RaggedTensor"),
    "rounded": (1.7e9 + np.arange(12.0).reshape(2, 6), "would change in float32"),
}


@pytest.mark.parametrize("what", NO_ARRAYS)
def test_what_an_array_of_float32_would_not_hold_is_refused_by_name(vae, what):
    x, message = NO_ARRAYS[what]
    for way in (vae.fit, vae.predict):
        with pytest.raises(ValueError, match=message):
            way(x, verbose=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint16])
def test_a_model_of_numbers_takes_integers_of_any_type_as_they_are(dtype):
    x = np.arange(24).reshape(12, 2)
    model = dense(tv.likelihoods.Normal(), 1)
    model.fit(x.astype(np.float32), x.sum(1).astype(np.float32), verbose=0)
    expected = model.predict(x.astype(np.float32), verbose=0)
    np.testing.assert_array_equal(model.predict(x.astype(dtype), verbose=0), expected)
    np.testing.assert_array_equal(model.predict_on_batch(x.astype(dtype)), expected)
    np.testing.assert_array_equal(
        model(x.astype(dtype)).mean()[0], model(x.astype(np.float32)).mean()[0]
    )


def test_numbers_of_words_are_numbers():
    words = RNG.integers(0, 20, (12, 5))
    layers = [keras.layers.Embedding(20, 3), keras.layers.GlobalAveragePooling1D()]
    model = dense(tv.likelihoods.Categorical(2), 2, *layers)
    split = model.as_split(words, "training", np.arange(12) % 2)
    np.testing.assert_array_equal(split.values(), words)


def test_batches_of_floats_up_to_255_make_a_model_of_numbers():
    x = RNG.integers(0, 256, (12, 3))
    model = dense(tv.likelihoods.Categorical(2), 2)
    data = tf.data.Dataset.from_tensor_slices((x.astype(np.float32), np.arange(12) % 2)).batch(6)
    model.fit(data, verbose=0)
    assert model.data_kind == "real"
    np.testing.assert_array_equal(
        model.predict(x.astype(np.uint8), verbose=0), model.predict(x.astype(np.float32), verbose=0)
    )


def test_columns_are_put_in_the_order_of_training_and_others_refused(tmp_path):
    model = dense(tv.likelihoods.Categorical(2), 2)
    model.fit(Frame(GREY, "abcdef"), np.arange(40) % 2, verbose=0)
    model.save(tmp_path / "a.keras")
    other = Frame(GREY[:, ::-1], "fedcba")
    for each in (model, keras.models.load_model(tmp_path / "a.keras")):
        expected = each.predict(GREY, verbose=0)
        np.testing.assert_array_equal(each.predict(other, verbose=0), expected)
        np.testing.assert_array_equal(each.predict_on_batch(other), expected)
        with pytest.raises(ValueError, match=r"other columns.*'g'"):
            each.predict(Frame(GREY, "abcdeg"), verbose=0)


@pytest.mark.parametrize(
    "labels",
    [
        (np.arange(12) % 2)[:, None],
        (np.arange(12) % 2).astype(np.float32),
        np.eye(2)[np.arange(12) % 2],
        np.array(["no", "yes"])[np.arange(12) % 2],
        Series(np.arange(12) % 2),
    ],
    ids=["column", "floats", "one-hot", "text", "series"],
)
def test_labels_of_every_usual_form_are_class_numbers(labels):
    model = dense(tv.likelihoods.Categorical(2), 2)
    split = model.as_split(GREY[:12], "training", labels)
    np.testing.assert_array_equal(split.labels, np.arange(12) % 2)


def test_names_of_classes_are_kept_and_stay_those_of_training():
    model = dense(tv.likelihoods.Categorical(2), 2)
    model.fit(GREY[:4], np.array(["a", "b", "a", "b"]), verbose=0)
    assert model.class_names == ("a", "b")
    assert model.get_config()["class_names"] == ["a", "b"]
    np.testing.assert_array_equal(model.as_split(GREY[:2], y=np.array(["b", "b"])).labels, [1, 1])


def test_text_labels_of_parts_are_numbered_by_names_that_are_known_alone():
    names, x = np.array(["a", "b"])[np.arange(40) // 20], GREY  # a class in each batch
    data = tf.data.Dataset.from_tensor_slices((x, names)).batch(20)
    model = dense(tv.likelihoods.Categorical(2), 2)
    for way in (
        lambda: model.fit(data, verbose=0),
        lambda: model.fit(iter_of(data), verbose=0),
        lambda: model.train_on_batch(x[20:], names[20:]),
        lambda: model.test_on_batch(x[20:], names[20:]),
        lambda: model.evaluate(x[20:], names[20:], verbose=0),
        lambda: model.fit(x, np.arange(40) % 2, validation_data=(x[20:], names[20:]), verbose=0),
    ):
        with pytest.raises(ValueError, match=r"labels are text.*class_names=\('a', 'b', ...\)"):
            way()
    known = dense(tv.likelihoods.Categorical(2), 2, class_names=("a", "b"))
    seen = []
    known.intake.batches(data, None, "training", lambda split: seen.append(split.labels))
    assert set(seen[0]) == {0}
    np.testing.assert_array_equal(known.as_split(x[20:], "batch", names[20:]).labels, np.ones(20))
    levels = Frame(np.stack([names == "a", names == "b"], 1)[20:], "ab")
    np.testing.assert_array_equal(model.as_split(x[20:], "batch", levels).labels, np.ones(20))


def test_a_split_that_numbers_its_classes_in_another_way_is_refused():
    model, names = dense(tv.likelihoods.Categorical(2), 2), np.array(["no", "yes"])
    model.fit(GREY, names[np.arange(40) % 2], verbose=0)
    other = tv.data.Split(GREY, "unit_interval", np.full(40, "yes"))  # whose "yes" is 0
    for way in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"other classes.*Expected no, yes.*Received yes"):
            way(other, verbose=0)
    same = tv.data.Split(GREY, "unit_interval", np.full(40, "yes"), class_names=model.class_names)
    assert set(model.as_split(same).labels) == {1}
    assert len(model.predict(other, verbose=0)) == 40  # which looks at no label


class Foreign(Series):
    """An array of another library, whose dtype TensorFlow does not know."""

    shape = GREY.shape

    def __init__(self, values, error=None):
        super().__init__(values)
        self.dtype, self.error = "torch.float32", error

    to_numpy = None

    def __array__(self, dtype=None, copy=None):
        if self.error:
            raise self.error
        return np.asarray(self.values, dtype)

    def __len__(self):
        return len(self.values)


def test_arrays_of_other_libraries_are_taken_or_told_what_to_do():
    model, y = dense(tv.likelihoods.Categorical(2), 2), np.arange(40) % 2
    model.fit(Foreign(GREY), y, verbose=0)
    np.testing.assert_array_equal(model(Foreign(GREY)).logits, model(GREY).logits)
    device = Foreign(GREY, TypeError("can't convert a device tensor"))
    ways = (model, lambda x: model.fit(x, y, verbose=0), lambda x: tv.data.Split(x, "real"))
    for way in (*ways, lambda x: model.fit(GREY, x, verbose=0)):
        with pytest.raises(ValueError, match=r"no array.*detach.*Foreign: can't convert"):
            way(device)
        with pytest.raises(ValueError, match=r"no array.*toarray\(\).*csr_matrix"):
            way(scipy.sparse.csr_matrix(GREY))
    with pytest.raises(ValueError, match=r"no array. Expected numbers of one shape.*list"):
        tv.data.Split([[1.0, 2.0], [3.0]], "real")


def test_what_is_no_data_is_told_before_what_is_asked_beside_it(vae):
    for x, way in (
        (GREY.tolist(), r"cannot be used.*Received list. np.asarray\(x\) is one"),
        ([GREY, GREY], r"cannot be used.*Received list. A network of several inputs"),
        (scipy.sparse.csr_matrix(GREY), r"toarray\(\).*csr_matrix"),
        (tf.RaggedTensor.from_tensor(GREY), r"to_tensor\(\).*RaggedTensor"),
    ):
        with pytest.raises(ValueError, match=way):
            vae.fit(x, batch_size=8, verbose=0)


def test_targets_may_be_a_column():
    model = dense(tv.likelihoods.Normal(), 1)
    assert model.as_split(GREY, "training", GREY[:, :1]).targets.shape == (40,)


ONES = np.ones(40, np.float32)
WRONG_WEIGHTS = {
    "NaN": (np.where(ONES, np.nan, 0), "weight array has .* not finite"),
    "negative": (-ONES, "weights do not fit.*below 0"),
    "several": (np.ones((40, 2)), r"shape \(20,\). Received shape \(20, 2\)"),
    "text": (ONES.astype(str), "weight values are not numbers"),
}


@pytest.mark.parametrize("what", WRONG_WEIGHTS)
def test_weights_in_batches_are_looked_at_as_those_of_arrays(what):
    weights, message = WRONG_WEIGHTS[what]
    model = dense(tv.likelihoods.Categorical(2), 2)
    data = tf.data.Dataset.from_tensor_slices((GREY, np.arange(40) % 2, weights)).batch(20)
    for way in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            way(data, verbose=0)
        with pytest.raises(ValueError, match=message):
            way(iter_of(data), verbose=0)


def iter_of(data):
    yield from (tuple(np.asarray(part) for part in batch) for batch in data)


def test_batches_have_three_parts_at_most_and_may_have_names():
    model, y = dense(tv.likelihoods.Categorical(2), 2), np.arange(40) % 2
    named = collections.namedtuple("Named", "x y w")(GREY, y, ONES[:, np.newaxis])
    model.fit(tf.data.Dataset.from_tensor_slices(named).batch(20), verbose=0)
    assert model.built
    data = tf.data.Dataset.from_tensor_slices((GREY, y, ONES, ONES)).batch(20)
    with pytest.raises(ValueError, match=r"batches of 4 parts\. Expected x, \(x, y\)"):
        model.fit(data, verbose=0)


def test_targets_in_batches_of_a_model_without_are_refused_or_told():
    def given(y):
        return tf.data.Dataset.from_tensor_slices((BLACK, y)).batch(40)

    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (6,)),
    )
    model.compile("sgd", run_eagerly=True)
    model.fit(given(BLACK), verbose=0)
    for way in (model.fit, model.evaluate):  # a denoising pair, whose clean half nobody would read
        with pytest.raises(ValueError, match=r"targets that the model has no use for"):
            way(given(1 - BLACK), verbose=0)
        with pytest.warns(UserWarning, match="What stands beside x .* is not read"):
            way(given(np.arange(40)), verbose=0)


def test_variables_and_wide_floats_are_arrays_and_lists_are_none():
    model, y = dense(tv.likelihoods.Categorical(2), 2), np.arange(40) % 2
    model.fit(tf.Variable(GREY), y, verbose=0)
    expected = model(GREY).logits
    np.testing.assert_array_equal(model(GREY.astype(np.longdouble)).logits, expected)
    for x in (GREY.tolist(), None, "digits", {"x": GREY}):
        with pytest.raises(ValueError, match=r"cannot be used. Expected an array"):
            model(x)


@pytest.mark.parametrize("seed", [1.5, "a", [1, 2, 3], -1, 2**40])
def test_a_seed_of_a_call_is_one_number(vae, seed):
    with pytest.raises(ValueError, match=r"Unusable seed. Expected an integer"):
        vae.generate(2, seed=seed)


def test_what_cannot_be_looked_at_says_so(vae):
    class Loader:
        def __iter__(self):
            return iter([(BLACK,)])

    with pytest.warns(UserWarning, match="Loader are not looked at"):
        assert isinstance(vae.intake.inputs(Loader(), "prediction"), Loader)


def test_a_figure_that_was_renamed_answers_with_a_warning(vae):
    network = dense(tv.likelihoods.Normal(), 1)
    network.fit(BLACK, BLACK[:, :1], verbose=0)
    for found, now in (
        (vae.evaluate(BLACK, return_dict=True, verbose=0), "reconstruction"),
        (vae.test_on_batch(BLACK, return_dict=True), "reconstruction"),
        (network.test_on_batch(BLACK, BLACK[:, :1], return_dict=True), "expected_log_likelihood"),
    ):
        assert "log_likelihood" not in found and pickle.loads(pickle.dumps(found)) == found
        with pytest.warns(DeprecationWarning, match=f"Expected '{now}'"):
            assert found["log_likelihood"] == found[now]
        with pytest.raises(KeyError, match="test_elbo"):
            found["test_elbo"]


def test_train_on_batch_takes_the_condition_as_y():
    model = tv.ConditionalVAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (6,)),
        num_classes=2,
    )
    model.compile("sgd", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(BLACK, np.arange(40) % 2, return_dict=True)["elbo"])


def test_a_line_between_two_examples_starts_and_ends_at_their_reconstructions(vae):
    line = vae.interpolate(BLACK[:3], BLACK[3:6], count=4)
    assert line.shape == (4, 3, 6)
    np.testing.assert_allclose(line[0], vae.predict(BLACK[:3], verbose=0), rtol=1e-5)
    np.testing.assert_allclose(line[-1], vae.predict(BLACK[3:6], verbose=0), rtol=1e-5)


class ByWorkers(keras.utils.PyDataset):
    """Batches of zeros and ones, then one of other numbers, made in other processes."""

    def __init__(self, last):
        super().__init__(workers=2, use_multiprocessing=True, max_queue_size=4)
        self.last = np.float32(last)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        x = np.tile(np.float32([[0, 1, 1], [1, 0, 0]]), (4, 1))
        return (x * self.last if index == 5 else x), np.arange(8) % 2


@pytest.mark.all_only  # workers start in seconds
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_workers_in_other_processes_tell_the_model_what_they_saw_and_hand_on_errors():
    model = dense(tv.likelihoods.Categorical(2), 2, weight_prior=1.0, num_data=48)
    model.fit(ByWorkers(-1.5), epochs=1, verbose=0, shuffle=False)
    assert model.data_kind == "real"
    with pytest.raises(ValueError, match="not finite"):
        model.fit(ByWorkers(np.nan), epochs=1, verbose=0)
