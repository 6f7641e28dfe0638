"""The conditional VAE against linear discriminant analysis and normal conditionals."""

import math

import keras
import numpy as np
import pytest
import tensorflow_probability as tfp
from scipy import special, stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import tfp_vae as tv
from tfp_vae import evaluation
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.base import SCALE_FLOOR, inverse_positive

FEATURES, CLASSES, NOISE = 3, 4, 0.3


class Linear:
    """Discriminant analysis of normal classes, and the conditional VAE that is the same model.

    x = mean + W z + noise with z ~ N(loc_y, I): the class mean is mean + W loc_y, the covariance of
    every class W W^T + noise^2 I, and q(z|x, y) = N(M^-1 (W^T (x - mean) / noise^2 + loc_y), M^-1)
    with M = I + W^T W / noise^2 is the exact posterior.
    """

    def __init__(self, seed):
        rng = np.random.default_rng([seed, 5])
        self.labels = rng.choice(CLASSES, 400, p=[0.4, 0.3, 0.2, 0.1])
        centres = rng.normal(size=(CLASSES, FEATURES)) * 1.5
        mixing = rng.normal(size=(FEATURES, FEATURES)) + 2 * np.eye(FEATURES)
        self.x = (centres[self.labels] + rng.normal(size=(400, FEATURES)) @ mixing).astype("f4")
        self.split = Split(self.x, Kind.REAL, self.labels, name="train")
        self.lda = LinearDiscriminantAnalysis(solver="lsqr", store_covariance=True)
        self.lda.fit(np.float64(self.x), self.labels)
        loadings = np.linalg.cholesky(self.lda.covariance_ - NOISE**2 * np.eye(FEATURES))  # W
        mean = self.lda.means_.mean(axis=0)
        loc = np.linalg.solve(loadings, (self.lda.means_ - mean).T).T  # [K, D]
        covariance = np.linalg.inv(np.eye(FEATURES) + loadings.T @ loadings / NOISE**2)
        from_x = loadings @ covariance / NOISE**2  # [D, D], for rows
        factor = np.linalg.cholesky(covariance)
        raw = np.tril(factor, -1) + np.diag(
            [inverse_positive(s, SCALE_FLOOR) for s in np.diag(factor)]
        )
        self.model = tv.ConditionalVAE(
            prior=tv.priors.ClassNormal(FEATURES, CLASSES, learned_scale=False),
            encoder=tv.encoders.FullGaussian(tv.networks.mlp([]), FEATURES),
            decoder=tv.decoders.Normal(tv.networks.mlp([]), (FEATURES,), scale=NOISE),
            num_classes=CLASSES,
            decoder_sees_condition=False,
        )
        self.model.prior.loc.assign(loc)
        triangle = _fill_triangular_inverse(raw)
        kernel = np.zeros((FEATURES + CLASSES, FEATURES + len(triangle)))
        kernel[:FEATURES, :FEATURES] = from_x
        kernel[FEATURES:, :FEATURES] = loc @ covariance
        bias = np.concatenate([-mean @ from_x, triangle])
        self.model.encoder.projection.set_weights([kernel, bias])
        self.model.decoder.projection.set_weights([loadings.T, mean])
        self.model.log_class_prior.assign(np.log(self.lda.priors_))

    def log_prob(self, label):
        """Returns log p(x|y), [N]."""
        normal = stats.multivariate_normal(self.lda.means_[label], self.lda.covariance_)
        return normal.logpdf(np.float64(self.x))


def _fill_triangular_inverse(matrix):
    return tfp.math.fill_triangular_inverse(matrix).numpy()


@pytest.fixture
def linear(base_seed):
    return Linear(base_seed)


@pytest.mark.all_only
def test_classes_given_some_features_are_those_of_the_analysis_of_these_features(linear, base_seed):
    split, num_samples = linear.split.take(20), 2000
    observed = np.random.default_rng(base_seed).random(split.values().shape) < 0.6
    found = evaluation.class_predictive(linear.model, split, observed, num_samples)
    log_joint = np.zeros((20, CLASSES))
    for row, (x, seen) in enumerate(zip(np.float64(split.values()), observed, strict=True)):
        for label, prior in enumerate(linear.lda.priors_):
            log_joint[row, label] = np.log(prior)
            if seen.any():
                mean = linear.lda.means_[label][seen]
                covariance = linear.lda.covariance_[np.ix_(seen, seen)]
                log_joint[row, label] += stats.multivariate_normal(mean, covariance).logpdf(x[seen])
    expected = special.softmax(log_joint, axis=1)
    # d p = p (1 - p) d(log p(x_obs|y)), with the error of log p from its effective sample size.
    supposed = split.relabelled(np.zeros(20, int))
    marginal = evaluation.marginal(linear.model, supposed, observed, num_samples, impute=False)
    error = np.sqrt(np.maximum(1 / marginal.effective_sample_size - 1 / num_samples, 0))
    assert np.median(error) < 0.05
    bound = 5 * np.sqrt(2) * error.max() * expected * (1 - expected) + 1e-4
    assert (np.abs(found.probs.numpy() - expected) < bound).all()


def test_log_p_of_x_given_a_class_is_that_of_its_normal(linear):
    found = linear.model.class_log_evidence(linear.x, num_samples=3)
    expected = np.stack([linear.log_prob(k) for k in range(CLASSES)], axis=1)
    # With the exact posterior every importance weight is p(x|y): no sampling error is left.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)


def test_class_probabilities_are_those_of_linear_discriminant_analysis(linear):
    predictive = linear.model.predictive(linear.x, num_samples=3)
    expected = linear.lda.predict_proba(np.float64(linear.x))
    np.testing.assert_allclose(predictive.probs, expected, atol=2e-3)
    np.testing.assert_allclose(predictive.epistemic, 0, atol=1e-6)


def test_labels_that_the_data_have_do_not_move_the_class_probabilities(linear):
    some = linear.split.take(20)
    wrong = some.relabelled((some.labels + 1) % CLASSES)
    bare = linear.model.predictive(some.values(), 2).probs.numpy()
    for split in (some, wrong):
        np.testing.assert_array_equal(linear.model.predictive(split, 2).probs, bare)


def test_importance_sampling_with_a_wrong_posterior_still_finds_the_class_likelihoods(linear):
    kernel, bias = linear.model.encoder.projection.get_weights()
    kernel[FEATURES:] = 0  # a posterior that is blind to the class
    linear.model.encoder.projection.set_weights([kernel, bias + 0.1])
    few, count = 40, 4000
    bounds = [
        linear.model.bounds(linear.split.relabelled(np.full(400, k)).take(few), count)
        for k in range(CLASSES)
    ]
    for k, bound in enumerate(bounds):
        size = bound.effective_sample_size
        trusted = size > 200
        assert trusted.mean() > 0.2
        error = np.sqrt(1 / size - 1 / count) + 1e-3
        difference = np.abs(bound.log_evidence - linear.log_prob(k)[:few])[trusted]
        assert np.all(difference < 5 * error[trusted])


@pytest.mark.all_only
@pytest.mark.dear(reason="a training that ends at its optimum")
def test_training_reaches_the_log_likelihood_of_the_discriminant_analysis(linear, base_seed):
    model = tv.ConditionalVAE(
        prior=tv.priors.ClassNormal(FEATURES, CLASSES, learned_scale=False),
        encoder=tv.encoders.FullGaussian(tv.networks.mlp([]), FEATURES),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (FEATURES,), scale=NOISE),
        num_classes=CLASSES,
        decoder_sees_condition=False,
        num_samples=8,
        seed=base_seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(0.05, 1600)
    model.compile(optimizer=keras.optimizers.Adam(rate), steps_per_execution=4)
    model.fit(linear.split, batch_size=100, epochs=400, verbose=0)
    labelled = np.arange(400), linear.labels
    best = np.stack([linear.log_prob(k) for k in range(CLASSES)], axis=1)[labelled].mean()
    found = model.bounds(linear.split, 100)
    # LDA is the maximum-likelihood point of this model (with a fixed part of the noise).
    assert found.log_evidence.mean() <= best + 0.01
    assert found.log_evidence.mean() > best - 0.03
    np.testing.assert_allclose(
        np.exp(model.log_class_prior), (np.bincount(linear.labels) + 1) / 404, rtol=1e-5
    )
    probs = model.predictive(linear.x, 20).probs.numpy()
    assert np.abs(probs - linear.lda.predict_proba(np.float64(linear.x))).mean() < 0.02


@pytest.mark.all_only
def test_a_single_class_reduces_to_the_plain_vae(base_seed):
    x = np.random.default_rng(base_seed).normal(size=(30, FEATURES)).astype(np.float32)
    plain = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([5], "tanh"), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([5], "tanh"), (FEATURES,)),
    )
    single = tv.ConditionalVAE(
        prior=tv.priors.ClassNormal(2, 1),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([5], "tanh"), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([5], "tanh"), (FEATURES,)),
        num_classes=1,
        decoder_sees_condition=False,
    )
    single.decoder.set_weights(plain.decoder.get_weights())
    kernel, *rest = plain.encoder.get_weights()
    single.encoder.set_weights([np.concatenate([kernel, np.zeros((1, 5), "f4")]), *rest])
    split = Split(x, Kind.REAL, np.zeros(30, int), name="train")
    for one, other in zip(plain.bounds(x, 7)[:3], single.bounds(split, 7)[:3], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(single.predictive(x, 2).probs, 1.0)


@pytest.mark.all_only
def test_a_prior_network_and_a_vector_condition_reach_the_conditional_normal(base_seed):
    """p(x|c) of a regression x = A c + W z + noise, learned, against its maximum likelihood."""
    rng = np.random.default_rng([base_seed, 9])
    condition = rng.normal(size=(500, 2))
    x = condition @ [[1.0, 0.5, 0.0], [0.0, -1.0, 2.0]] + rng.normal(size=(500, 1)) @ [
        [1.0, 1.0, 1.0]
    ]
    x = (x + 0.5 * rng.normal(size=x.shape)).astype(np.float32)
    split = Split(x, Kind.REAL, targets=condition, name="train")
    model = tv.ConditionalVAE(
        prior=tv.priors.ConditionalNormal(tv.networks.mlp([]), 1),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([]), 1),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (3,), scale=0.5),
        condition_dim=2,
        num_samples=4,
        seed=base_seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(0.05, 500)
    model.compile(optimizer=keras.optimizers.Adam(rate), steps_per_execution=5)
    model.fit(split, batch_size=100, epochs=100, verbose=0)
    design = np.concatenate([condition, np.ones((500, 1))], axis=1)
    residual = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
    # Maximum likelihood given the noise: one factor, as in probabilistic PCA.
    values, vectors = np.linalg.eigh(residual.T @ residual / 500)
    covariance = 0.25 * np.eye(3) + (values[-1] - 0.25) * np.outer(vectors[:, -1], vectors[:, -1])
    best = stats.multivariate_normal(np.zeros(3), covariance).logpdf(residual).mean()
    found = model.log_evidence(split, 200).mean()
    assert best - 0.03 < found < best + 0.01
    assert math.isfinite(best)


def test_the_bound_of_m2_without_labels_is_log_p_of_x_when_recognition_is_exact(linear):
    model = tv.M2(
        prior=linear.model.prior,
        encoder=linear.model.encoder,
        decoder=linear.model.decoder,
        classifier=keras.Sequential([keras.layers.Dense(CLASSES)]),
        num_classes=CLASSES,
        decoder_sees_condition=False,
        num_samples=50,
    )
    model.log_class_prior.assign(linear.model.log_class_prior)
    model.classifier.layers[0].set_weights([linear.lda.coef_.T, linear.lda.intercept_])
    np.testing.assert_allclose(
        model.classify(linear.x).probs, linear.lda.predict_proba(np.float64(linear.x)), atol=1e-4
    )
    joint = np.stack([linear.log_prob(k) for k in range(CLASSES)], 1) + np.log(linear.lda.priors_)
    for labels, expected in (
        (np.full(400, -1), np.logaddexp.reduce(joint, axis=1)),
        (linear.labels, joint[np.arange(400), linear.labels]),
    ):
        terms = model.terms((linear.x, labels), labels, model((linear.x, labels), seed=1))
        # Per example the only noise left is that of E_q[log p(x|z)] from 50 draws.
        by_class = np.reshape(terms.log_likelihood, [50, CLASSES, 400])
        error = np.std(by_class, axis=0).mean() / np.sqrt(50 * 400)
        difference = tv.objectives.elbo(terms) - expected
        assert abs(float(np.mean(difference))) < 5 * error + 1e-3
