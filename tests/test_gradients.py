"""The table of identities of bounds and their gradients, on models whose answers are known.

Linear normal: z ~ N(0, I), x|z ~ N(z, 1), so that p(z|x) = N(x/2, 1/2) and p(x) = N(0, 2). Binary:
three latents of two values, all eight of which are summed over.
"""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae.objectives import BOUNDS, GRADIENTS, IWAE, KnownLatent, Latent, Tap, Terms
from tfp_vae.objectives.tvo import thermodynamic_sum

tfd = tfp.distributions
X = np.array([-1.0, 0.5, 2.0], np.float32)
EXACT = -0.25 * X**2 - 0.5 * math.log(4 * math.pi)
PATHS, SCORES = ("path", "stl", "dreg"), ("score", "vimco", "loo")


def _linear(samples, seed, loc=0.3, log_scale=-0.2, shift=0.0, prior=0.0, x=X):
    """Returns terms with q(z|x) = N(loc x, scale^2), p(x|z) = N(z + shift, 1), p(z) = N(prior, 1)."""
    q = tfd.MultivariateNormalDiag(
        tf.constant(x[:, None]) * loc, tf.ones([len(x), 1]) * tf.exp(log_scale)
    )
    p = tfd.MultivariateNormalDiag(tf.ones([1]) * prior, tf.ones([1]))
    noise = np.random.default_rng(seed).standard_normal((samples, len(x), 1)).astype(np.float32)
    tap = Tap()
    z = tap(q.loc + q.stddev() * noise)
    log_likelihood = tfd.Normal(z[..., 0] + shift, 1.0).log_prob(x)
    return Terms(log_likelihood, (Latent("z", z, q, p, tap=tap),))


AT_EXACT = {"loc": 0.5, "log_scale": math.log(math.sqrt(0.5))}


def _slopes(bound, terms, names, **values):
    """Returns d bound / d name of each example, [names, B], where terms is a function of names."""
    places = {name: tf.constant(values[name], tf.float32) for name in names}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(places)
        found = terms(**places)
        # Each example has its own place in the batch: the sum's derivative by x is apart in loc.
        loss = bound.loss(found, 0)
    return {name: -float(tape.gradient(loss, place)) for name, place in places.items()}


def _many(bound, groups, samples, seed, name="loc", at=None, **more):
    """Returns gradients of as many independent batches, [groups], all at once: a place for each."""
    start = {"loc": 0.3, "log_scale": -0.2, "shift": 0.2, "prior": 0.1} | (at or {})
    x = np.repeat(np.float32(2.0), groups)
    place = tf.constant(np.full([groups, 1], start[name], np.float32))
    with tf.GradientTape() as tape:
        tape.watch(place)
        q = tfd.MultivariateNormalDiag(
            x[:, None] * (place if name == "loc" else start["loc"]),
            tf.exp(place if name == "log_scale" else tf.fill([groups, 1], start["log_scale"])),
        )
        prior = place if name == "prior" else tf.fill([groups, 1], start["prior"])
        p = tfd.MultivariateNormalDiag(prior, tf.ones([groups, 1]))
        noise = np.random.default_rng(seed).standard_normal((samples, groups, 1))
        tap = Tap()
        z = tap(q.loc + q.stddev() * noise.astype(np.float32))
        shift = place[:, 0] if name == "shift" else start["shift"]
        terms = Terms(
            tfd.Normal(z[..., 0] + shift, 1.0).log_prob(x), (Latent("z", z, q, p, tap=tap),)
        )
        loss = bound.loss(terms, 0)
    return -groups * tape.gradient(loss, place).numpy()[:, 0].astype(np.float64)


def _agree(first, second, errors=4):
    """Asserts that two samples have one mean, and that the errors say something."""
    error = math.hypot(*(x.std() / math.sqrt(len(x)) for x in (first, second)))
    assert abs(first.mean() - second.mean()) < errors * error + 1e-6
    return error


def test_l_1_is_the_elbo_of_its_sample_and_l_k_rises_to_log_p(base_seed):
    one = _linear(1, base_seed)
    np.testing.assert_allclose(IWAE()(one), one.log_weights()[0], atol=1e-6)
    x = np.tile(X, 2000)
    values = [IWAE()(_linear(k, base_seed, x=x)).numpy().reshape(2000, -1) for k in (1, 5, 50)]
    means, errors = (
        [f(v, axis=0) for v in values] for f in (np.mean, lambda v, axis: v.std(axis) / 44.7)
    )
    for lower, upper, error in zip(means, [*means[1:], EXACT], errors, strict=True):
        assert np.all(lower < upper + 3 * error)


def test_renyi_goes_from_elbo_over_iwae_to_the_largest_weight_and_falls_with_alpha(base_seed):
    terms = _linear(6, base_seed)
    lw = terms.log_weights().numpy()
    at = {a: BOUNDS["renyi"](a)(terms).numpy() for a in (-math.inf, -1e3, -1, 0, 0.5, 0.9995, 1, 3)}
    np.testing.assert_allclose(at[1], lw.mean(0), atol=1e-5)
    np.testing.assert_allclose(at[0.9995], at[1], atol=1e-5)
    np.testing.assert_allclose(at[0], IWAE()(terms), atol=1e-5)
    np.testing.assert_allclose(at[-math.inf], lw.max(0), atol=1e-6)
    np.testing.assert_allclose(at[-1e3], lw.max(0), atol=5e-3)
    for lower, upper in itertools.pairwise(at.values()):  # in the order of alpha
        assert np.all(lower >= upper - 1e-6)


def test_bounds_of_groups_and_shares_are_elbo_and_iwae_at_their_ends(base_seed):
    terms = _linear(6, base_seed)
    mean, iwae = tf.reduce_mean(terms.log_weights(), 0), IWAE()(terms)
    for name, options, expected in (
        ("miwae", {"groups": 1}, iwae),
        ("miwae", {"groups": 6}, mean),
        ("ciwae", {"beta": 1.0}, mean),
        ("ciwae", {"beta": 0.0}, iwae),
        ("piwae", {"groups": 1}, iwae),
        ("piwae", {"groups": 3}, iwae),
        ("tvo", {"partitions": 1}, mean),
    ):
        found = BOUNDS[name](**options)(terms)
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=f"{name} {options}")
    lw = terms.log_weights().numpy().astype(np.float64)
    each = np.log(np.exp(lw).reshape(2, 3, -1).mean(1)).mean(0)
    np.testing.assert_allclose(BOUNDS["miwae"](groups=2)(terms), each, atol=1e-6)


def test_piwae_of_one_group_has_the_gradients_of_iwae(base_seed):
    places = {"loc": 0.3, "log_scale": -0.2, "shift": 0.2, "prior": 0.1}
    terms = lambda **at: _linear(6, base_seed, **at)  # noqa: E731
    for gradient in PATHS:
        ours = _slopes(BOUNDS["piwae"](1, gradient), terms, places, **places)
        assert ours == pytest.approx(_slopes(IWAE(gradient), terms, places, **places), abs=2e-5)


def test_piwae_gives_the_model_those_of_iwae_and_the_encoder_those_of_miwae(base_seed):
    places = {"loc": 0.3, "log_scale": -0.2, "shift": 0.2, "prior": 0.1}
    terms = lambda **at: _linear(6, base_seed, **at)  # noqa: E731
    for gradient in PATHS:
        ours = _slopes(BOUNDS["piwae"](3, gradient), terms, places, **places)
        whole = _slopes(IWAE(gradient), terms, places, **places)
        parts = _slopes(BOUNDS["miwae"](3, gradient), terms, places, **places)
        expected = {n: (parts if n in AT_EXACT else whole)[n] for n in places}
        assert ours == pytest.approx(expected, abs=2e-5), gradient
        assert abs(parts["loc"] - whole["loc"]) > 1e-3


def _all_bounds():
    yield from ((name, BOUNDS[name]) for name in BOUNDS if name not in ("tvo",))
    yield "tvo", lambda gradient: BOUNDS["tvo"](3, gradient=gradient)


def test_every_bound_is_log_p_on_every_draw_where_q_is_exact(base_seed):
    for samples in (1, 6):
        terms = _linear(samples, base_seed, **AT_EXACT)
        for name in BOUNDS:
            if name == "elbo":  # its KL is in closed form, its likelihood is drawn
                found = BOUNDS[name]().local(terms.log_weights(), terms.log_shares())
            else:
                found = BOUNDS[name]()(terms)
            np.testing.assert_allclose(found, EXACT, atol=2e-6, err_msg=name)


def test_stl_and_dreg_are_0_on_every_draw_where_q_is_exact_and_the_plain_gradient_is_not(base_seed):
    terms = lambda **at: _linear(6, base_seed, **at)  # noqa: E731
    for name in ("elbo", "iwae", "renyi", "ciwae", "miwae", "piwae"):
        options = {"groups": 2} if name in ("miwae", "piwae") else {}
        for gradient in PATHS:
            bound = BOUNDS[name](gradient=gradient, **options)
            if name == "elbo" and gradient == "path":
                continue
            slopes = np.abs([*_slopes(bound, terms, AT_EXACT, **AT_EXACT).values()])
            if gradient == "path":
                assert slopes.max() > 0.05, name
            else:
                assert slopes.max() < 2e-6, (name, gradient)


def test_dreg_of_one_draw_is_stl(base_seed):
    terms = lambda **at: _linear(1, base_seed, **at)  # noqa: E731
    places = {"loc": 0.3, "log_scale": -0.2, "shift": 0.2, "prior": 0.1}
    for name in ("elbo", "iwae", "renyi", "ciwae"):
        first, second = (
            _slopes(BOUNDS[name](gradient=g), terms, places, **places) for g in ("stl", "dreg")
        )
        assert first == pytest.approx(second, abs=1e-6)
        assert second == pytest.approx(
            _slopes(IWAE("dreg"), terms, places, **places), abs=1e-6
        )


UNBIASED = [
    ("elbo", {}, "stl"),
    *((name, options, gradient)
      for name, options in (("iwae", {}), ("renyi", {"alpha": -1.0}), ("renyi", {"alpha": 0.5}),
                            ("ciwae", {"beta": 0.3}), ("miwae", {"groups": 2}))
      for gradient in ("dreg", *SCORES)),
    ("piwae", {"groups": 2}, "dreg"),
    *(("elbo", {}, gradient) for gradient in ("dreg", *SCORES)),
]  # fmt: skip


def test_every_unbiased_estimator_has_the_mean_of_the_plain_one_for_encoder_model_and_prior(
    base_seed,
):
    for name, options, gradient in UNBIASED:
        for place in ("loc", "log_scale", "shift", "prior"):
            plain = _many(BOUNDS[name](**options), 4000, 4, base_seed, place)
            ours = _many(BOUNDS[name](gradient=gradient, **options), 4000, 4, base_seed + 1, place)
            error = _agree(plain, ours)
            assert error < 0.25, (name, gradient, place, error)


def test_signal_to_noise_of_the_encoder_falls_for_iwae_and_rises_for_dreg(base_seed):
    draws = (4, 16, 64)
    for gradient, slope in (("path", -0.5), ("dreg", 0.5)):
        ratios = []
        for k in draws:
            found = _many(IWAE(gradient), 6000, k, base_seed, at={"loc": 0.45})
            ratios.append(abs(found.mean()) / found.std())
        found = np.polyfit(np.log(draws), np.log(ratios), 1)[0]
        assert found == pytest.approx(slope, abs=0.25), gradient
