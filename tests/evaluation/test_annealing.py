"""Annealed importance sampling, from below and from above, against what is known."""

import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import evaluation
from tfp_vae.data import Split
from tfp_vae.evaluation import annealing
from tfp_vae.evaluation.annealing import simulate, temperatures
from tfp_vae.models.proposals import Joint
from tfp_vae.probability import mcmc, tfd
from tfp_vae.randomness import fold_in
from tfp_vae.studies.exact import EXACT

COUNT = 16


@pytest.fixture(scope="module")
def exact():
    return EXACT["ppca"](latent_dim=2, size=3)


@pytest.fixture(scope="module")
def examples(exact):
    return simulate(exact.vae, COUNT, None, fold_in(1))[1].values()


@pytest.fixture(scope="module")
def coarse(exact):
    return evaluation.bdmc(exact.vae, COUNT, num_steps=4, seed=1)


def test_temperatures_rise_from_zero_to_one_and_a_sigmoid_is_slow_at_both_ends():
    for schedule in ("linear", "sigmoid"):
        found = temperatures(10, schedule)
        assert (found[0], found[-1], len(found)) == (0, 1, 11) and np.all(np.diff(found) > 0)
    steps = np.diff(found)
    assert steps[0] < 0.4 * steps[5] and steps[-1] < 0.4 * steps[5]
    np.testing.assert_array_equal(temperatures(1), [0, 1])


class Bootstrapped(mcmc.TransitionKernel):
    """The cure for TFP's function: what a kernel knows is of the density that it moves in."""

    is_calibrated = True

    def __init__(self, inner):
        self.inner = inner

    def bootstrap_results(self, state):
        return self.inner.bootstrap_results(state)

    def one_step(self, state, _, seed=None):
        return self.inner.one_step(state, self.inner.bootstrap_results(state), seed=seed)


@pytest.mark.all_only
def test_the_chain_of_tfp_is_wrong_with_a_metropolis_kernel_unless_results_are_bootstrapped(
    base_seed,
):
    size, shift, width = 5, 2.0, 0.3
    prior = tfd.MultivariateNormalDiag(tf.zeros(size), tf.ones(size))
    likelihood = tfd.MultivariateNormalDiag(tf.fill([size], shift), tf.fill([size], width))

    def own(target):
        return mcmc.HamiltonianMonteCarlo(target, step_size=0.2, num_leapfrog_steps=2)

    @tf.function(autograph=False)
    def run(seed):
        found = []
        for make in (own, lambda target: Bootstrapped(own(target))):
            _, log_w, results = mcmc.sample_annealed_importance_chain(
                num_steps=300,
                proposal_log_prob_fn=prior.log_prob,
                target_log_prob_fn=lambda z: prior.log_prob(z) + likelihood.log_prob(z),
                current_state=prior.sample(64, seed=seed),
                make_kernel_fn=make,
                seed=seed,
            )
            found.append((log_w, results.inner_results.is_accepted))
        return found

    (wrong, few), (right, many) = run(tf.constant([base_seed, 5]))
    exact = size * tfd.Normal(0.0, np.sqrt(1 + width**2)).log_prob(shift).numpy()
    assert np.mean(few) < 0.6 < 0.8 < np.mean(many)
    # They took the same steps.
    assert np.mean(wrong) < exact - 10 and exact - 5 < np.mean(right) < exact + 1


@pytest.mark.always(reason="annealing against exact evidence")
def test_bounds_hold_log_p_between_them_and_close_with_the_steps(exact, coarse):
    fine = evaluation.bdmc(exact.vae, COUNT, num_steps=64, seed=1)
    np.testing.assert_array_equal(fine.examples.values(), coarse.examples.values())
    truth = exact.log_evidence(fine.examples.values())
    for found in (coarse, fine):
        for part, sign in ((found.lower, 1), (found.upper, -1)):
            off = sign * (truth - part.log_evidence)
            assert off.mean() > -3 * np.sqrt(np.sum(part.standard_error**2)) / COUNT
            assert 0.4 < part.acceptance.mean() < 0.95
            assert np.all((part.effective_sample_size >= 1) & (part.effective_sample_size <= 16))
    assert abs(fine.gap.mean()) < 0.5 * coarse.gap.mean()
    ((_, graph),) = (
        g for (name, _), g in exact.vae.__dict__["_graphs"].items() if name == "annealing"
    )
    assert graph.experimental_get_tracing_count() == 1  # any number of steps, tuning included


@pytest.mark.parametrize(("steps", "start"), [(1, "prior"), (4, "prior"), (3, "posterior")])
def test_weights_are_unbiased_at_few_steps(exact, examples, base_seed, steps, start):
    """One step is importance sampling from the start."""
    options = {"num_steps": steps, "num_chains": 2000, "start": start, "seed": base_seed}
    found = evaluation.ais(exact.vae, examples[:2], **options)
    off = found.log_evidence - exact.log_evidence(examples[:2])
    np.testing.assert_array_less(np.abs(off), 4 * found.standard_error + 1e-3)
    if steps == 1:
        z = np.random.default_rng(base_seed).normal(size=(20_000, 1, 2)).astype(np.float32)
        log_w = exact.vae.at(0).likelihood(tf.constant(z)).log_prob(examples[:2]).numpy()
        w = np.exp(log_w.astype(np.float64) - log_w.max(axis=0))
        share = w.mean(axis=0) ** 2 / (w**2).mean(axis=0)
        np.testing.assert_allclose(found.effective_sample_size / 2000, share, rtol=0.5)


def test_a_seed_fixes_all_and_time_is_told_in_steps(exact, examples, monkeypatch):
    def run(seed=1, **options):
        options = {"num_steps": 60, "num_chains": 3, **options}
        return evaluation.ais(exact.vae, examples[:2], seed=seed, **options)

    seen = []
    first = run(progress=lambda *counts: seen.append(counts))
    assert seen == [(50, 60), (60, 60)]
    for one, two in zip(first, run(), strict=True):
        np.testing.assert_array_equal(one, two)
    # Chains and examples in parts: other draws of the same.
    monkeypatch.setattr(type(exact.vae), "rows_at_once", 2)
    parts = run(progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (2 * 60 * 2, 2 * 60 * 2)
    assert np.all(parts.log_evidence != first.log_evidence)
    assert abs(np.mean(parts.log_evidence - exact.log_evidence(examples[:2]))) < 1


@pytest.mark.all_only
def test_memory_is_flat_in_the_steps_and_chains_move_in_groups(exact, examples, monkeypatch):
    rows, compiled = 3, annealing.compiled
    monkeypatch.setattr(tv.VAE, "rows_at_once", rows)
    monkeypatch.setattr(annealing, "_BLOCK", 2)
    returned, kept, moved, last = [], [], [], []

    def watched(*args):
        function = compiled(*args)

        def walk(*given):
            found = function(*given)
            returned.extend(weakref.ref(each) for each in tf.nest.flatten(found))
            alive = [each() for each in returned if each() is not None]
            kept.append(sum(each.shape.num_elements() for each in alive))
            moved.append(found[0].z.shape[0] * found[0].z.shape[1])
            last[:] = function, given
            return found

        return walk

    monkeypatch.setattr(annealing, "compiled", watched)
    most, traces = [], []
    for num_steps in (6, 20):
        del kept[:], moved[:]
        evaluation.ais(exact.vae, examples[:2], num_steps=num_steps, num_chains=6, seed=1)
        # Two examples, two groups of chains of each, two steps at a time.
        tuned = annealing._PLACES * annealing._TRIES
        assert len(moved) == tuned + 2 * 2 * num_steps // 2
        assert {*moved} == {rows}
        most.append(max(kept[tuned:]))
        traces.append(last[0].experimental_get_tracing_count())
    assert most[0] == most[1]  # what is kept between calls
    assert traces[0] == traces[1]  # one program, whatever the steps
    function, given = last
    # Within it nothing is stacked up, as a derivative by what was before the steps would have it.
    graph = function.get_concrete_function(*given).graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    assert nodes and not [node.op for node in nodes if node.op.startswith("TensorList")]


@pytest.mark.parametrize("kind", ["conditional", "two latents"])
def test_conditional_models_and_several_latents_agree_with_importance_sampling(
    kind, binary_images, base_seed
):
    images, shape = binary_images(6, (2, 2, 1)), (2, 2, 1)
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([4]), shape)
    normal = tv.priors.StandardNormal(2)
    if kind == "conditional":
        encoder = tv.encoders.Gaussian(tv.networks.mlp([4]), 2)
        vae = tv.ConditionalVAE(normal, encoder, decoder, num_classes=3)
        split = Split(images, "static", np.arange(6) % 3)
    else:
        levels = [
            tv.LatentVariable(name, prior, tv.encoders.Gaussian(tv.networks.mlp([4]), 2))
            for name, prior in (("top", normal), ("low", tv.priors.StandardNormal(2)))
        ]
        vae, split = tv.VAE(latents=levels, decoder=decoder), Split(images, "static")
    options = {"num_steps": 20, "num_chains": 50, "seed": base_seed}
    found = evaluation.ais(vae, split, start="posterior", **options)
    joint = Joint(vae.at(0), tf.constant(images), vae.given_of(split))
    z = joint.sample_posterior(4000, fold_in(base_seed))
    log_w = (joint.log_prob(z) - joint.log_posterior(z)).numpy()
    known = tf.reduce_logsumexp(log_w, axis=0) - np.log(len(log_w))
    error = np.sqrt(found.standard_error**2 + np.exp(log_w - known).var(axis=0) / len(log_w))
    assert np.all(np.abs(found.log_evidence - known) < 4 * error + 1e-3)


@pytest.mark.all_only
def test_xla_moves_the_chains_of_the_graph(exact, examples):
    options = {"num_steps": 10, "num_chains": 8, "seed": 3}
    graph = evaluation.ais(exact.vae, examples, **options)
    exact.vae.compile("adam", jit_compile=True)
    xla = evaluation.ais(exact.vae, examples, **options)
    exact.vae.compile("adam", jit_compile=False)
    np.testing.assert_allclose(xla.acceptance, graph.acceptance)
    assert 0.4 < xla.acceptance.mean() < 0.95
    np.testing.assert_allclose(xla.log_evidence, graph.log_evidence, rtol=1e-3)


def test_what_chains_cannot_do_is_one_line_before_work(exact, examples, make_vae, binary_images):
    class Rounded(keras.layers.Layer):
        def call(self, x):
            return tf.round(x)

    vae = make_vae((2, 2, 1))
    flat = tv.decoders.Bernoulli(Rounded(), (2, 2, 1))
    flat = tv.VAE(tv.priors.StandardNormal(2), vae.encoder, flat)
    vector = tv.ConditionalVAE(
        tv.priors.StandardNormal(2),
        tv.encoders.Gaussian(tv.networks.mlp([2]), 2),
        tv.decoders.Bernoulli(tv.networks.mlp([2]), (2, 2, 1)),
        condition_dim=3,
    )
    images = binary_images(2, (2, 2, 1))
    bits = EXACT["enumeration"]().vae
    for call, words in (
        (lambda: evaluation.ais(exact.vae, examples, num_steps=0), "num_steps.*Received 0"),
        (lambda: evaluation.ais(exact.vae, examples, num_chains=0), "num_chains"),
        (lambda: evaluation.ais(exact.vae, examples, num_leapfrogs=0), "num_leapfrogs"),
        (lambda: evaluation.bdmc(exact.vae, 0), "num_examples"),
        (lambda: evaluation.bdmc(exact.vae, 3, schedule="sigmoidal"), "Did you mean sigmoid"),
        (lambda: evaluation.ais(exact.vae, examples, start="encoder"), "prior, posterior"),
        (lambda: evaluation.ais(flat, images), "Received a Decoder without one"),
        (lambda: evaluation.bdmc(bits, 3), "Received a discrete z"),
        (lambda: bits.fit_posterior(np.zeros((1, 10), np.float32)), "Received a discrete z"),
        (lambda: evaluation.bdmc(vector, 3), "Expected 3 of them as `given`. Received none"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.all_only
def test_importance_sampling_is_inside_the_sandwich_of_a_trained_vae(make_vae, binary_images):
    vae = make_vae(hidden=(16,), latent_dim=3)
    vae.compile("adam", jit_compile=True)
    vae.fit(Split(binary_images(500), "static"), epochs=30, batch_size=50, verbose=0)
    both = evaluation.bdmc(vae, 50, num_steps=300)
    bounds = vae.bounds(Split(both.examples.values(), "static"), 5000)
    error = 3 * np.sqrt(np.sum(both.lower.standard_error**2)) / 50
    assert both.lower.log_evidence.mean() < bounds.log_evidence.mean() + error
    assert bounds.log_evidence.mean() < both.upper.log_evidence.mean() + error
    assert both.gap.mean() < 0.5
