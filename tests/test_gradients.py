"""The table of identities of bounds and their gradients, on models whose answers are known."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.objectives import BOUNDS, GRADIENTS, IWAE, KnownLatent, Terms
from tfp_vae.objectives.tvo import thermodynamic_sum
from tfp_vae.plots import signal_against_draws
from tfp_vae.studies import gradients as study
from tfp_vae.studies.gradients import Binary, LinearNormal, estimates, exact

NORMAL, BINARY = LinearNormal(), Binary()
EXACT = LinearNormal(**LinearNormal.EXACT)  # q(z|x) is p(z|x)
LOG_EVIDENCE = LinearNormal.LOG_EVIDENCE
IWAE_LIKE = ("elbo", "iwae", "renyi", "ciwae", "miwae", "piwae", "tvo")
PATHS, SCORES = ("path", "stl", "dreg"), ("score", "vimco", "loo")
OPTIONS = {"miwae": {"groups": 2}, "piwae": {"groups": 2}}


def _terms(samples, seed, problem=NORMAL, examples=3):
    """Returns terms of draws for equal examples."""
    places = problem.encoder | problem.model
    places = {n: tf.fill([examples], np.float32(v)) for n, v in places.items()}
    return problem.terms(problem.draws(places, np.random.default_rng(seed), samples), places)


def _agree(found, expected):
    """Asserts that the mean of estimates is a number, within 4 standard errors."""
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - expected) < 4 * error + 2e-5
    return error


def test_l_1_is_the_elbo_of_its_sample_and_l_k_rises_to_log_p(base_seed):
    one = _terms(1, base_seed)
    np.testing.assert_allclose(IWAE()(one), one.log_weights()[0], atol=1e-6)
    problem = LinearNormal(shift=0.0, prior=0.0)
    values = [IWAE()(_terms(k, base_seed, problem, 4000)).numpy() for k in (1, 5, 50)]
    means = [value.mean() for value in values]
    errors = [value.std() / math.sqrt(4000) for value in values]
    for low, high, error in zip(means, [*means[1:], LOG_EVIDENCE], errors, strict=True):
        assert low < high + 3 * error
    assert means[0] < LOG_EVIDENCE - 0.05 < means[2]


def test_renyi_goes_from_elbo_over_iwae_to_the_largest_weight_and_falls_with_alpha(base_seed):
    terms = _terms(6, base_seed)
    lw = terms.log_weights().numpy()
    orders = (-math.inf, -1e3, -1, 0, 0.5, 0.9995, 1, 3)
    at = {alpha: BOUNDS["renyi"](alpha)(terms).numpy() for alpha in orders}
    np.testing.assert_allclose(at[1], lw.mean(0), atol=1e-5)
    np.testing.assert_allclose(at[0.9995], at[1], atol=1e-5)
    np.testing.assert_allclose(at[0], IWAE()(terms), atol=1e-5)
    np.testing.assert_allclose(at[-math.inf], lw.max(0), atol=1e-6)
    np.testing.assert_allclose(at[-1e3], lw.max(0), atol=5e-3)
    for high, low in itertools.pairwise(at.values()):
        assert np.all(high >= low - 1e-6)


def test_bounds_of_groups_and_shares_are_elbo_and_iwae_at_their_ends(base_seed):
    terms = _terms(6, base_seed)
    lw = terms.log_weights().numpy().astype(np.float64)
    mean, iwae = lw.mean(0), np.log(np.exp(lw).mean(0))
    for name, options, expected in (
        ("miwae", {"groups": 1}, iwae),
        ("miwae", {"groups": 6}, mean),
        ("miwae", {"groups": 2}, np.log(np.exp(lw).reshape(2, 3, -1).mean(1)).mean(0)),
        ("ciwae", {"share": 1.0}, mean),
        ("ciwae", {"share": 0.0}, iwae),
        ("piwae", {"groups": 1}, iwae),
        ("piwae", {"groups": 3}, iwae),
        ("tvo", {"partitions": 1}, mean),
    ):
        found = BOUNDS[name](**options)(terms)
        np.testing.assert_allclose(found, expected, atol=2e-6, err_msg=f"{name} {options}")


def test_piwae_gives_the_model_gradients_of_iwae_and_the_encoder_those_of_miwae(base_seed):
    for gradient in PATHS:
        whole, parts, ours, one = (
            estimates(NORMAL, bound, 6, 5, base_seed)
            for bound in (
                IWAE(gradient),
                BOUNDS["miwae"](3, gradient),
                BOUNDS["piwae"](3, gradient),
                BOUNDS["piwae"](1, gradient),
            )
        )
        for place in ours:
            expected = parts if place in NORMAL.encoder else whole
            np.testing.assert_allclose(ours[place], expected[place], atol=3e-5)
            np.testing.assert_allclose(one[place], whole[place], atol=3e-5)
        assert np.abs(parts["loc"] - whole["loc"]).max() > 1e-3


def test_every_bound_is_log_p_on_every_draw_where_q_is_exact(base_seed):
    for samples in (1, 6):
        terms = _terms(samples, base_seed, EXACT)
        # The KL of the ELBO is in closed form where there is one, its likelihood is drawn: of its
        # rows, as here, it is the mean of log w.
        for name in BOUNDS:
            np.testing.assert_allclose(
                BOUNDS[name]()(terms), [LOG_EVIDENCE] * 3, atol=3e-6, err_msg=name
            )


def test_stl_and_dreg_are_0_on_every_draw_where_q_is_exact_and_the_plain_gradient_is_not(base_seed):
    for name in ("elbo", "iwae", "renyi", "ciwae", "miwae", "piwae"):
        for gradient in PATHS:
            bound = BOUNDS[name](gradient=gradient, **OPTIONS.get(name, {}))
            found = estimates(EXACT, bound, 6, 20, base_seed)
            largest = max(np.abs(found[place]).max() for place in EXACT.encoder)
            assert largest > 0.3 if gradient == "path" else largest < 5e-6, (name, gradient)


def test_dreg_of_one_draw_is_stl(base_seed):
    expected = estimates(NORMAL, BOUNDS["elbo"](gradient="stl"), 1, 20, base_seed)
    for name in ("elbo", "iwae", "renyi", "ciwae"):
        found = estimates(NORMAL, BOUNDS[name](gradient="dreg"), 1, 20, base_seed)
        for place in found:
            np.testing.assert_allclose(found[place], expected[place], atol=2e-6, err_msg=name)


UNBIASED = [
    (name, options, gradient)
    for name, options in (
        ("elbo", {}),
        ("iwae", {}),
        ("renyi", {"alpha": -1.0}),
        ("renyi", {"alpha": 0.5}),
        ("ciwae", {"share": 0.3}),
        ("miwae", {"groups": 2}),
    )
    for gradient in ("path", "dreg", *SCORES)
]


@pytest.mark.always(reason="gradients against a closed form")
def test_every_estimator_but_stl_has_the_exact_gradient_of_encoder_model_and_prior(base_seed):
    for draws, problem in ((2, NORMAL), (4, BINARY)):
        known = {}
        for name, options, gradient in UNBIASED:
            if problem is BINARY and gradient not in SCORES:
                continue
            key = name, *options.values()
            bound = BOUNDS[name](gradient=gradient, **options)
            if key not in known:
                known[key] = exact(problem, bound, draws)
            found = estimates(problem, bound, draws, 3000, base_seed)
            for place, truth in known[key].items():
                error = _agree(found[place], truth)
                assert error < 0.15, (name, gradient, place, error)


def test_stl_is_biased_for_several_draws_and_not_for_one(base_seed):
    found = estimates(NORMAL, IWAE("stl"), 2, 3000, base_seed)["loc"]
    truth = exact(NORMAL, IWAE(), 2)["loc"]
    assert abs(found.mean() - truth) > 10 * found.std() / math.sqrt(3000)
    one = estimates(NORMAL, IWAE("stl"), 1, 3000, base_seed)["loc"]
    _agree(one, exact(NORMAL, IWAE(), 1)["loc"])


def test_exact_gradients_are_those_of_finite_differences():
    for problem, kind in ((NORMAL, LinearNormal), (BINARY, Binary)):
        values = problem.encoder | problem.model
        step = 1e-2

        def value(place, by, kind=kind, values=values):
            """Returns E[L_2] by nodes, with float64 sums."""
            moved = kind(**(values | {place: values[place] + by}))
            at = {n: tf.fill([1], np.float32(v)) for n, v in (moved.encoder | moved.model).items()}
            z, shares = moved.nodes(at)
            lw = moved.terms(z, at).log_weights().numpy()[:, 0].astype(np.float64)
            share = np.exp(shares.numpy()[:, 0].astype(np.float64))
            pairs = np.logaddexp(lw[:, None], lw) - math.log(2)
            return share @ pairs @ share

        found = exact(problem, IWAE(), 2)
        for place in values:
            slope = (value(place, step) - value(place, -step)) / (2 * step)
            assert found[place] == pytest.approx(slope, abs=2e-3), place


def test_score_functions_vary_less_with_better_baselines(base_seed):
    for problem in (NORMAL, BINARY):
        sd = []
        for gradient in SCORES[::2] + SCORES[1:2]:
            found = estimates(problem, IWAE(gradient), 8, 3000, base_seed)
            sd.append(math.sqrt(sum(found[place].var() for place in problem.encoder)))
        score, loo, vimco = sd
        assert score > 3 * loo
        assert loo >= vimco


def test_signal_to_noise_of_the_encoder_falls_for_iwae_and_rises_for_dreg(base_seed):
    draws = (4, 16, 64)
    for gradient, slope in (("path", -0.5), ("dreg", 0.5)):
        ratios = []
        for count in draws:
            found = estimates(LinearNormal(loc=0.9), IWAE(gradient), count, 20_000, base_seed)
            ratios.append(abs(found["loc"].mean()) / found["loc"].std())
        rise = np.polyfit(np.log(draws), np.log(ratios), 1)[0]
        assert rise == pytest.approx(slope, abs=0.3), (gradient, ratios)


def test_thermodynamic_sums_close_in_on_log_p_from_both_sides_as_points_are_added(base_seed):
    problem = LinearNormal(shift=0.0, prior=0.0)
    terms = _terms(2000, base_seed, problem, 50)
    lw, shares = terms.log_weights(), terms.log_shares()
    sums = {
        right: [
            float(tf.reduce_mean(thermodynamic_sum(lw, shares, np.linspace(0, 1, p + 1), right)))
            for p in (1, 4, 16)
        ]
        for right in (False, True)
    }
    assert sums[False][0] == pytest.approx(float(tf.reduce_mean(lw)), abs=1e-4)
    assert sums[False] == sorted(sums[False])
    assert sums[True] == sorted(sums[True], reverse=True)
    assert sums[False][2] < LOG_EVIDENCE < sums[True][2]
    assert sums[True][2] - sums[False][2] < (sums[True][0] - sums[False][0]) / 8
    # Where q is exact all of them are log p.
    terms = _terms(6, base_seed, EXACT)
    for right in (False, True):
        found = thermodynamic_sum(terms.log_weights(), terms.log_shares(), [0, 0.3, 1], right)
        np.testing.assert_allclose(found, [LOG_EVIDENCE] * 3, atol=3e-6)


def test_the_gradient_of_one_partition_of_tvo_is_the_exact_one_of_the_elbo(base_seed):
    for problem in (NORMAL, BINARY):
        truth = exact(problem, BOUNDS["elbo"](), 1)
        found = estimates(problem, BOUNDS["tvo"](1), 4, 4000, base_seed)
        for place, slope in truth.items():
            assert _agree(found[place], slope) < 0.1


def test_the_gradient_of_tvo_is_that_of_its_sum_where_draws_are_many(base_seed):
    """Of 8 values the sum over q is exact: its derivative is that of the covariances."""
    bound = BOUNDS["tvo"](3, first=0.2)
    places = {n: tf.fill([1], np.float32(v)) for n, v in (BINARY.encoder | BINARY.model).items()}
    with tf.GradientTape() as tape:
        tape.watch(places)
        z, log_q = BINARY.nodes(places)
        value = tf.reduce_sum(bound.local(BINARY.terms(z, places).log_weights(), log_q))
    truth = tape.gradient(value, places)
    found = estimates(BINARY, bound, 4000, 20, base_seed)
    for place, slope in truth.items():
        error = _agree(found[place], float(slope[0]))
        assert error < 0.02


def test_rows_of_classes_have_baselines_of_their_own_class_and_none_where_it_is_known(base_seed):
    """Two draws under each of two classes, one of which may be known: VIMCO by hand."""
    rng = np.random.default_rng(base_seed)
    lw, log_q = rng.normal(size=(2, 4, 2)).astype(np.float32)  # rows: draw 0 y 0, draw 0 y 1, ...
    half = math.log(0.5)
    shares = np.full((4, 2), math.log(0.25), np.float32)
    shares[:, 1] = [half, -math.inf, half, -math.inf]

    class Drawn(KnownLatent):
        is_drawn = True

        def fixed(self):
            return self

        def scale_path(self, ratio):
            pass

    q = tf.constant(log_q)
    with tf.GradientTape() as tape:
        tape.watch(q)
        # log q is watched in the score alone: what a bound does with it is derived elsewhere.
        terms = Terms(tf.constant(lw + log_q), (Drawn("z", q, tf.zeros([4, 2])),),
                      tf.constant(shares), rows_per_draw=2)  # fmt: skip
        loss = IWAE("vimco").loss(terms, 0)
    found = -2 * tape.gradient(loss, q).numpy()

    def bound(rows, b):
        return np.log(np.sum(np.exp(shares[:, b] + rows)))

    for k, b in itertools.product(range(4), range(2)):
        weight = np.exp(shares[k, b] + lw[k, b] - bound(lw[:, b], b))
        replaced = lw[:, b].copy()
        replaced[k] = lw[(k + 2) % 4, b]  # the other draw of the same class
        signal = bound(lw[:, b], b) - bound(replaced, b)
        assert found[k, b] == pytest.approx(signal - weight, abs=1e-5)
    assert np.all(found[[1, 3], 1] == 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BOUNDS["renyi"](math.inf), r"order.*Expected a finite alpha.*Received alpha=inf"),
        (lambda: BOUNDS["renyi"](math.nan), r"order.*Received alpha=nan"),
        (lambda: BOUNDS["ciwae"](1.5), r"Impossible share.*Expected 0 <= share <= 1. Received 1.5"),
        (lambda: BOUNDS["miwae"](0), r"groups.*Expected.*Received 0"),
        (lambda: BOUNDS["tvo"](2, first=1.0), r"first.*Expected.*< 1.*Received 1.0"),
        (lambda: BOUNDS["piwae"](gradient="vimco"), r"piwae.*Expected one of path, stl, dreg"),
        (lambda: BOUNDS["tvo"](gradient="dreg"), r"tvo.*Expected one of score, path.*'dreg'"),
        (lambda: IWAE("dregs"), r"Expected one of path.*Received 'dregs'. Did you mean"),
        (lambda: BOUNDS["elbo"](free_bits=0.1, gradient="stl"), r"free_bits.*Received gradient='s"),
        (lambda: IWAE("dreg").loss(
            Terms(tf.zeros([2, 1]), (KnownLatent("y", *tf.zeros([2, 2, 1])),
                                     _Untapped("z", *tf.zeros([2, 2, 1])))), 0),
         r"draws of z cannot be scaled. Expected draws with a tap"),
    ],
    ids=["inf", "nan", "share", "groups", "first", "piwae", "tvo", "name", "free_bits", "untapped"],
)  # fmt: skip
def test_bounds_and_estimators_that_do_not_exist_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class _Untapped(KnownLatent):
    is_drawn = True


@pytest.mark.all_only
def test_the_study_says_which_estimators_a_model_has_and_puts_its_objective_back(make_vae):
    vae = make_vae((3, 3, 1), hidden=(2,))
    before = vae.objective
    split = tv.data.Split(np.eye(9, dtype=np.float32).reshape(9, 3, 3, 1), tv.data.Kind.STATIC)
    rows = study.table_of_model(vae, split, IWAE, [1], repeats=12)
    assert [row["gradient"] for row in rows] == ["path", "dreg", "score", "stl"]
    assert vae.objective is before and vae.num_samples == 1
    assert rows[0]["encoder_bias"] is None and all(row["encoder_bias"] < 4 for row in rows[1:])
    assert rows[2]["encoder_sd"] > rows[0]["encoder_sd"]
    rows += study.table_of_problem(BINARY, IWAE, [1, 2], repeats=50)
    lines = study.text(rows).splitlines()
    assert len(lines) == len(rows) + 1 + len(study.LEGEND) and lines[-1].startswith("sd: root")
    figure = signal_against_draws(rows, "title")
    assert [axes.get_title() for axes in figure.axes] == ["run", "binary"]
    assert [line.get_label() for line in figure.axes[1].lines] == ["score", "loo", "vimco"]
    with pytest.raises(ValueError, match=r"too many tuples.*Received 8\^9"):
        exact(BINARY, IWAE(), 9)
    with pytest.raises(ValueError, match=r"nothing to draw.*Received none"):
        signal_against_draws([], "title")


@pytest.mark.parametrize("name", sorted({*BOUNDS} - {*IWAE_LIKE}))
def test_the_study_of_a_bound_that_is_no_function_of_log_weights_is_refused(name):
    with pytest.raises(ValueError, match=rf"of log weights. Expected one of elbo.*'{name}'"):
        study.Plan(name)


@pytest.mark.all_only
def test_the_gradient_of_an_encoder_has_that_of_the_pass_that_levels_share():
    levels = [
        tv.LatentVariable(name, tv.priors.StandardNormal(1),
                          tv.encoders.Gaussian(tv.networks.mlp([]), 1))
        for name in ("z2", "z1")
    ]  # fmt: skip
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([]), (3,))
    vae = tv.VAE(latents=levels, decoder=decoder, bottom_up=tv.networks.mlp([2]))
    split = tv.data.Split(np.eye(3, dtype=np.float32), tv.data.Kind.STATIC)
    found = study._moments(vae, split, 2, 2, 0)
    sizes = {part: len(mean) for part, (mean, _) in found.items()}
    # x to 2 features, which two encoders of loc and scale see, the lower one with the latent above.
    assert sizes == {"encoder": (3 * 2 + 2) + (2 * 2 + 2) + (3 * 2 + 2), "model": 3 + 3}


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("bound", "options"),
    [*(("iwae", {"gradient": name}) for name in GRADIENTS), ("piwae", {"groups": 2}), ("tvo", {})],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_xla_derives_every_estimator_as_the_graph_does(bound, options, make_vae, binary_images):
    vae = make_vae((3, 3, 1), hidden=(4,))
    vae.objective, vae.num_samples = BOUNDS[bound](**options), 4
    x, variables = tf.constant(binary_images(5, (3, 3, 1))), vae.trainable_variables

    def slopes():
        with tf.GradientTape() as tape, vae.stepping():
            loss = vae.compute_loss(x=x, y_pred=vae(x, training=True))
        return loss, tape.gradient(loss, variables)

    (loss, found), (known, others) = (
        tf.function(slopes, autograph=False, jit_compile=jit)() for jit in (True, False)
    )
    assert float(loss) == pytest.approx(float(known), rel=1e-5)
    for one, other in zip(found, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
