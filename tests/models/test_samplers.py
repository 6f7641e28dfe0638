"""Optimizers that are posteriors or chains, and chains from ensembles, against what is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import methods
from tfp_vae.data import Kind, Split
from tfp_vae.layers.base import raw_scale_of
from tfp_vae.models.posteriors.chains import check_some_left, effective_sample_size
from tfp_vae.models.posteriors.microcanonical import walk
from tfp_vae.models.posteriors.swag import around_members
from tfp_vae.optimizers import IVON, CyclicalLangevin, Scaled
from tfp_vae.randomness import fold_in

COUNT, DRAWS = 24, 8


def _steps(optimizer, gradient, variable, count):
    """Takes `count` steps with a gradient that is a function of the weights, in one graph."""
    optimizer.build([variable])

    @tf.function(autograph=False)
    def run():
        def body(step):
            optimizer.apply([gradient(variable.value)], [variable])
            return (step + 1,)

        tf.while_loop(lambda step: step < count, body, (tf.constant(0),))

    run()


def _split(count=COUNT, seed=0):
    rng = np.random.default_rng([seed, 5])
    x = rng.normal(size=(count, 2)).astype(np.float32)
    y = np.tanh(x[:, 0]) + 0.3 * rng.normal(size=count)
    return Split(x, Kind.REAL, targets=y, name="train")


def _member(**options):
    """Returns a network of two layers, 2-2-1, tanh, noise 0.3 in units of the target."""
    options = {"weight_prior": 1.0, "num_data": COUNT, **options}
    network = keras.Sequential([keras.layers.Dense(2, "tanh"), keras.layers.Dense(1)])
    model = tv.BayesianNetwork(network, tv.likelihoods.Normal(0.3), **options)
    model.build((None, 2))
    return model


@pytest.fixture(scope="module")
def ensemble():
    keras.utils.set_random_seed(0)
    found = tv.Ensemble(_member(), 3)
    found.compile("adam", jit_compile=False)
    found.fit(_split(), epochs=1, verbose=0)
    return found


# IVON.


def test_ivon_on_a_quadratic_has_its_curvature_its_minimum_and_the_scale_of_its_posterior():
    curvature = np.repeat([0.1, 1.0, 10.0], 400).astype(np.float32)
    minimum, num_data = np.repeat([1.0, -1.0, 0.5], 400).astype(np.float32), 100.0
    optimizer = IVON(num_data, 0.1, prior_scale=2.0, beta_2=0.999)
    variable = keras.Variable(np.zeros(1200, np.float32))
    _steps(optimizer, lambda w: curvature * (w - minimum), variable, 8000)
    delta = 1 / (4 * num_data)

    def means(values):  # of the 400 weights that are alike
        return np.reshape(values, (3, -1)).mean(1)

    ((mean, scale),) = optimizer.posterior([variable])
    alike = slice(None, None, 400)
    np.testing.assert_allclose(means(optimizer.curvatures[0].numpy()), curvature[alike], rtol=0.02)
    exact = curvature * minimum / (curvature + delta)
    np.testing.assert_allclose(means(mean.numpy()), exact[alike], rtol=0.02)
    exact = 1 / np.sqrt(num_data * (curvature + delta))
    np.testing.assert_allclose(means(scale.numpy()), exact[alike], rtol=0.02)
    # What the optimizer leaves are the means; while it works the weights are draws.
    assert np.abs(variable.numpy() - mean).max() > 0.01
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(variable.numpy(), mean, rtol=1e-6)


def test_clipped_steps_of_ivon_survive_a_start_far_below_the_curvature():
    curvature, minimum = np.full(100, 300.0, np.float32), np.float32(2.0)

    def mean_after(clip_radius):
        optimizer = IVON(100.0, 1.0, beta_2=0.999, clip_radius=clip_radius)
        assert IVON.from_config(optimizer.get_config()).clip_radius == clip_radius
        variable = keras.Variable(np.zeros(100, np.float32))
        _steps(optimizer, lambda w: curvature * (w - minimum), variable, 1500)
        return optimizer.posterior([variable])[0][0].numpy()

    assert np.abs(mean_after(0.1) - minimum).max() < 0.1
    assert not np.abs(mean_after(None) - minimum).max() < 10


@pytest.mark.all_only
def test_ivon_trains_a_stock_network_and_comes_back_with_its_curvature_and_its_steps(tmp_path):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    network.compile(IVON(32, 0.05, seed=3), "mse", jit_compile=False)
    before = network.evaluate(x, x[:, :1], verbose=0)
    network.fit(x, x[:, :1], epochs=30, verbose=0)
    assert network.evaluate(x, x[:, :1], verbose=0) < before
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert int(again.optimizer.iterations) == 30 and again.optimizer.seed == 3
    for old, new in zip(network.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    at = network(x).numpy()
    with network.optimizer.drawn(network.trainable_variables, 1):
        assert np.all(network(x) != at)
    np.testing.assert_array_equal(network(x), at)


class _Killed(Exception):
    pass


def test_ivon_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path):
    def trained(folder, last):
        def watch(step, logs):
            if step == last:
                raise _Killed

        keras.utils.set_random_seed(0)
        model = _member(weight_prior=None)
        model.compile(IVON(COUNT, 0.01, beta_2=0.99), jit_compile=False)
        saved = tv.training.Checkpoints(tmp_path / folder, steps=1)
        watch = keras.callbacks.LambdaCallback(on_train_batch_begin=watch)
        model.fit(_split(), epochs=1, batch_size=6, callbacks=[watch, saved], verbose=0)
        return [np.array(each) for each in (*model.variables, *model.optimizer.variables)]

    whole = trained("whole", None)
    with pytest.raises(_Killed):
        trained("parts", 2)
    for one, other in zip(whole, trained("parts", None), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.all_only
def test_the_bound_of_ivon_is_that_of_layers_with_its_means_and_scales(base_seed):
    split, model = _split(), _member(weight_prior=None)
    model.compile(IVON(COUNT, 0.01, prior_scale=0.7, beta_2=0.9), jit_compile=False)
    model.fit(split, epochs=5, batch_size=12, verbose=0)
    posterior = tv.IVONPosterior(model).fit(split)
    layers = [
        tv.layers.DenseReparameterization(
            units, activation, prior=tv.layers.priors.Normal(0.7), bayesian_bias=True
        )
        for units, activation in ((2, "tanh"), (1, None))
    ]
    bayesian = tv.BayesianNetwork(
        keras.Sequential(layers), tv.likelihoods.Normal(0.3), num_data=COUNT
    )
    bayesian.build((None, 2))
    for own, known in zip(bayesian.likelihood.variables, model.likelihood.variables, strict=True):
        own.assign(known)
    parts = model.optimizer.posterior(model.network.trainable_variables)
    for layer, (kernel, bias) in zip(
        layers, zip(parts[::2], parts[1::2], strict=True), strict=True
    ):
        for number, variable in enumerate((layer.loc, layer.raw_scale)):
            rows = np.concatenate([kernel[number], bias[number][tf.newaxis]])
            variable.assign(np.vectorize(raw_scale_of)(rows) if number else rows)
    assert posterior.kl_divergence() == pytest.approx(float(bayesian.kl_divergence()), rel=1e-4)
    draws = bayesian.predictive(split, 4000, seed=base_seed).components_distribution
    each = draws.log_prob(split.y[:, np.newaxis]).numpy().mean(0)
    error = each.std() / np.sqrt(4000)
    exact = each.mean() - float(bayesian.kl_divergence()) / COUNT
    assert abs(posterior.elbo(split, 4000) - exact) < 6 * error
    summary = posterior.summary()
    assert summary["posterior_temperature"] == 1
    assert summary["posterior_elbo"] == pytest.approx(exact, abs=30 * error)


def test_rates_in_cycles_and_scaled_ones_come_back_from_their_configuration():
    rate = Scaled(keras.optimizers.schedules.CosineDecay(0.1, 10), 3.0)
    again = Scaled.from_config(rate.get_config())
    assert float(again(5)) == pytest.approx(0.15)
    chain = CyclicalLangevin(10, 0.2, cycle=8, sampling=2, friction=0.3, seed=4)
    assert CyclicalLangevin.from_config(chain.get_config()).get_config() == chain.get_config()
    np.testing.assert_allclose(chain.share(np.array([0, 4, 8])), [1, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IVON(0.5), "Impossible effective_sample_size.*>= 1.*Received 0.5"),
        (lambda: IVON(9, weight_decay=0.1), "no weight_decay.*Expected prior_scale"),
        (lambda: IVON(9, beta_2=1.0), "Impossible beta_2"),
        (lambda: IVON(9, clip_radius=0), "Impossible clip_radius"),
        (lambda: IVON(9).posterior([]), "no posterior yet"),
        (
            lambda: IVON(9).build([keras.Variable(np.zeros(2), dtype="bfloat16")]),
            "needs 32 bits.*Expected float32.*Received bfloat16",
        ),
        (lambda: CyclicalLangevin(9, cycle=5, sampling=6), "Impossible sampling.*<= 5"),
        (lambda: tv.IVONPosterior(_member()), "prior would count twice"),
        (lambda: tv.IVONPosterior(_member(weight_prior=None)), "no posterior of this training"),
        (lambda: tv.MILE(_member()), "members of an ensemble.*Expected a trained Ensemble"),
        (lambda: tv.Mixture([]), "at least one.*Received 0"),
        (lambda: tv.reference(_split(), num_samples=3), "Too few samples.*at least 4.*Received 3"),
        (
            lambda: tv.reference(_split(), methods.Recipe("nuts", hidden=(20_000,)), steps=0),
            "too large for a reference.*at most 50,000 weights, or another method",
        ),
    ],
)  # fmt: skip
def test_impossible_optimizers_and_posteriors_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Chains.


@pytest.mark.all_only
def test_microcanonical_chains_on_a_normal_of_100_dimensions_have_its_variances(base_seed):
    scale = np.exp(np.linspace(-1, 1, 100)).astype(np.float32)
    found = walk(
        lambda x: -tf.reduce_sum((x / scale) ** 2, axis=-1) / 2,
        np.random.default_rng(base_seed).normal(size=(16, 100)).astype(np.float32),
        num_samples=600,
        num_burnin=400,
        key=fold_in(base_seed, 3),
        thinning=4,
        energy_variance=(0.5, 5e-4),
    )
    squares = (found.samples / scale) ** 2
    error = np.sqrt(2 / effective_sample_size(squares))
    off = squares.mean((0, 1)) - 1
    assert abs(off.mean()) < 0.02 + 4 * np.sqrt((error**2).mean() / 100)
    assert np.all(np.abs(off) < 0.05 + 5 * error)
    np.testing.assert_allclose(np.linalg.norm(found.momentum, axis=1), 1, atol=1e-6)
    assert not found.diverged.any() and np.all(found.energy_error < 1e-3)


def test_chains_that_start_at_a_sharp_maximum_are_not_thrown_out_of_it(base_seed):
    scale = np.geomspace(1e-6, 1e-3, 100).astype(np.float32)  # the first step is 0.1 long
    found = walk(
        lambda x: -tf.reduce_sum((x / scale) ** 2, axis=-1) / 2,
        np.zeros((8, 100), np.float32),
        num_samples=100,
        num_burnin=500,
        key=fold_in(base_seed, 4),
        thinning=10,
    )
    squares = (found.samples / scale) ** 2
    assert abs(squares.mean() - 1) < 0.2 and squares.max() < 40
    assert not found.diverged.any() and found.taken_back.max() < 0.01


def test_a_chain_that_diverges_is_told_and_the_others_turn_round_at_walls_and_go_on(base_seed):
    def log_prob(x):  # no number on one side of a wall
        inside = tf.reduce_all(x < 1, axis=-1)
        return tf.where(inside, -tf.reduce_sum(x**2, axis=-1) / 2, np.nan)

    start = np.full((3, 4), [[0.5], [30.0], [-0.5]], np.float32)
    found = walk(log_prob, start, 100, 50, fold_in(base_seed))
    np.testing.assert_array_equal(found.diverged, [False, True, False])
    assert np.all(found.samples[:, 1] == start[1]) and np.ptp(found.samples[:, 0]) > 0
    others = found.samples[:, [0, 2]]
    assert np.all(found.taken_back[[0, 2]] > 0) and others.max() < 1 and others.std() > 0.5
    with pytest.raises(FloatingPointError, match=r"Expected chains that stay.*2 that diverged"):
        check_some_left(np.array([True, True]), "MILE")


def test_langevin_on_batches_has_the_variances_of_a_normal_at_temperature_1():
    precision = np.repeat([0.5, 2.0], 2000).astype(np.float32)
    chain = CyclicalLangevin(50, 0.05, cycle=2000, sampling=1900, friction=0.2)
    variable = keras.Variable(np.zeros(4000, np.float32))
    _steps(chain, lambda w: precision * w, variable, 600)
    variance = np.reshape(variable.numpy() ** 2 * 50 * precision, (2, -1)).mean(1)
    np.testing.assert_allclose(variance, 1, atol=5 * np.sqrt(2 / 2000))


@pytest.mark.all_only
def test_chains_from_an_ensemble_say_how_they_mix_and_know_less_where_there_are_few_data(ensemble):
    few, many = _split(6), _split(400, 1)
    broken = tv.Ensemble.from_config(ensemble.get_config())
    for new, old in zip(broken.stacks, ensemble.stacks, strict=True):
        values = np.array(old)
        values[1] = np.nan if old.trainable else values[1]
        new.assign(values)
    chains = tv.SGMCMC(broken, 23, cycles=2).fit(few)
    assert chains.chains.samples.shape == (2, 24, 9)
    summary = chains.chains.summary()
    assert summary["diverged_chains"] == [1] and summary["chains"] == 2
    # The batches are all data, so that nothing heats the chains.
    assert summary["energy_error"] >= 0 and len(summary["kinetic_temperature"]) == 2
    assert all(0.5 < temperature < 2 for temperature in summary["kinetic_temperature"])
    assert {"rhat_max", "effective_sample_size_min"} <= {*summary}
    given, again = (p.predictive(few, DRAWS) for p in (chains, chains.as_ensemble(DRAWS)))
    np.testing.assert_allclose(given.mean(), again.mean(), rtol=1e-4, atol=1e-5)
    sure = tv.SGMCMC(ensemble, 24, cycles=1).fit(many, batch_size=200).predictive(few, 48)
    assert np.mean(sure.epistemic) < np.mean(chains.predictive(few, 48).epistemic) / 2


@pytest.mark.all_only
@pytest.mark.all_only
def test_chains_of_the_splits_of_a_table_are_those_of_each_split_alone():
    splits = [_split(seed=seed) for seed in range(2)]
    values = np.stack([split.values() for split in splits], axis=1)
    targets = np.stack([split.targets for split in splits], axis=1)
    together = Split(values, Kind.REAL, targets=targets, name="train")
    keras.utils.set_random_seed(0)
    model = tv.Ensemble(_member(), 2, groups=2)
    model.compile("adam", jit_compile=False)
    model.fit(together, epochs=1, verbose=0)
    method = methods.Recipe("mile", members=2, posterior_steps=4).weights
    found = method.finish_groups(model, together, 8)
    for group, split in enumerate(splits):
        alone = method.finish(model.group(group), split, group)
        np.testing.assert_array_equal(found[group].chains.samples, alone.chains.samples)
        assert found[group].predictive(split).batch_shape == (COUNT,)
    assert (found[0].chains.samples != found[1].chains.samples).any()


def test_swags_around_members_walk_together_and_take_turns(ensemble, tmp_path):
    swags = around_members(ensemble, _split(), 3, 1e-3, batch_size=COUNT)
    starts = tv.MILE(ensemble, 4).starts()
    for swag, start in zip(swags, starts, strict=True):
        assert np.abs(swag.mean - start).max() < 0.1 < np.abs(swags[0].mean - swags[1].mean).max()
    mixture, key = tv.Mixture(swags), fold_in(1)
    draws = np.stack(mixture.frozen_draws(7, key))
    near = np.argmin(((draws[:, np.newaxis] - starts) ** 2).sum(-1), axis=1)
    np.testing.assert_array_equal(near, [0, 0, 0, 1, 1, 2, 2])
    x = tf.constant(_split().values())
    at_once = mixture.draw_parameters(x, 7, key)
    np.testing.assert_allclose(mixture.frozen_parameters(x, 7, key), at_once, rtol=1e-4, atol=1e-5)
    mixture.as_ensemble(7, seed=1).save(tmp_path / "posterior.keras")
    again = tv.load(tmp_path / "posterior.keras").predictive(x, 7)
    given = mixture.predictive(_split(), 7, seed=1)
    np.testing.assert_allclose(again.mean(), given.mean(), rtol=1e-4, atol=1e-5)


def _hamiltonian(split, scale, count, seed):
    """Returns means of predictions [S, N] by Hamiltonian Monte Carlo in NumPy, 2-2-1 network."""
    rng = np.random.default_rng(seed)
    x, y = np.float64(split.values()), np.float64(split.y)

    def forward(w):
        hidden = np.tanh(x @ w[:4].reshape(2, 2) + w[4:6])
        return hidden, hidden @ w[6:8] + w[8]

    def value_and_slope(w):
        hidden, f = forward(w)
        away = (y - f) / scale**2
        back = away[:, np.newaxis] * w[6:8] * (1 - hidden**2)
        slope = [(x.T @ back).ravel(), back.sum(0), hidden.T @ away, [away.sum()]]
        value = -((y - f) ** 2).sum() / (2 * scale**2) - w @ w / 2
        return value, np.concatenate(slope) - w

    w, found = rng.normal(size=9) * 0.3, []
    value, slope = value_and_slope(w)
    for _ in range(count):
        p, at, v, s = rng.normal(size=9), w, value, slope
        energy, step = value - p @ p / 2, 0.08 * rng.uniform(0.5, 1)
        for _ in range(12):
            p = p + step / 2 * s
            at = at + step * p
            v, s = value_and_slope(at)
            p = p + step / 2 * s
        if np.log(rng.uniform()) < v - p @ p / 2 - energy:
            w, value, slope = at, v, s
        found.append(forward(w)[1])
    return np.array(found[count // 5 :])


@pytest.mark.all_only
@pytest.mark.dear(reason="two samplers and Hamiltonian Monte Carlo in NumPy, long enough to agree")
def test_the_reference_and_mile_predict_as_hamiltonian_monte_carlo_in_numpy(base_seed):
    split = _split()
    keras.utils.set_random_seed(base_seed)
    many = tv.Ensemble(_member(), 8)
    many.adapt(split)
    likelihood = many.member(0).likelihood
    unit = np.float64(likelihood.target_scale)
    assert float(likelihood.target_mean) == pytest.approx(float(split.y.mean()), rel=1e-5)
    given = Split(
        split.values(), Kind.REAL, targets=(split.y - likelihood.target_mean) / unit, name="train"
    )
    draws = _hamiltonian(given, 0.3 / unit, 4000, base_seed)
    exact = split.y.mean() + unit * draws.mean(0), unit * draws.std(0)
    size = effective_sample_size(np.float32(draws)[:, np.newaxis])
    nuts = tv.reference(
        split, _member(), num_chains=2, num_samples=300, num_burnin=200, max_tree_depth=5, steps=0
    )
    mile = tv.MILE(many, 300, thinning=5).fit(split)
    for chains, bias in ((nuts, 0.05), (mile, 0.15)):
        parts = chains.predictive(split, 10_000).components_distribution.loc.numpy()
        own = chains.chains.effective_sample_size.min()
        error = exact[1] * np.sqrt(1 / own + 1 / size.min())
        assert np.all(np.abs(parts.mean(1) - exact[0]) < bias * exact[1] + 5 * error)
        ratio = parts.std(1) / exact[1]
        assert np.all(np.abs(ratio - 1) < bias + 5 * np.sqrt(1 / own + 1 / size.min()))
