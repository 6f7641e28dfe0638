"""The estimators keep scikit-learn's contract, on a tiny budget, and do what their names say."""

import pickle

import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from tfp_vae import sklearn as ours

TINY = {"hidden": (3,), "epochs": 1, "batch_size": 1000, "num_samples": 2}
ESTIMATORS = (
    ours.BayesianClassifier(**TINY),
    ours.BayesianRegressor(**TINY),
    ours.VAEDetector(latent_dim=1, **TINY),
    ours.VAESampler(latent_dim=1, **TINY),
    ours.VAEImputer(latent_dim=1, rounds=1, **TINY),
)
# One step of Adam per epoch.
FITTED = {"epochs": 40, "learning_rate": 0.1, "hidden": (10,)}
# Checks that ask for a good fit: without draws of the weights, whose steps cost several times as
# much, and in a graph, since they are many.
GOOD_FIT = ("check_classifiers_train", "check_regressors_train", "check_classifiers_classes")
# Each of them in a second or so; --all tries the others.
USUAL = {
    "check_estimator_cloneable",
    "check_no_attributes_set_in_init",
    "check_mixin_order",
    "check_estimators_unfitted",
    "check_fit1d",
}


def _checks():
    """Yields checks; one that all estimators have is of two of them in --all, of each in turn."""
    found = [
        [(each, check, getattr(check, "func", check).__name__) for each, check in checks]
        for checks in map(estimator_checks_generator, ESTIMATORS)
    ]
    shared = sorted(set.intersection(*({name for *_, name in checks} for checks in found)))
    for turn, checks in enumerate(found):
        for each, check, name in checks:
            marks = () if name in USUAL else pytest.mark.all_only
            if marks and name in shared and (shared.index(name) - turn) % len(found) > 1:
                marks = pytest.mark.release_only
            yield pytest.param(each, check, name, id=f"{type(each).__name__}-{name}", marks=marks)


@pytest.fixture
def eager():
    """Steps of such models cost less than to trace them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check", "name"), [*_checks()])
@pytest.mark.dear(reason="a check of scikit-learn fits some models of its own")
def test_scikit_learn_accepts_it(estimator, check, name, eager):
    if name in GOOD_FIT:
        tf.config.run_functions_eagerly(False)
        # A copy: the next check is given the same estimator.
        estimator = clone(estimator).set_params(**FITTED, method="ml")
    check(estimator)


@pytest.fixture
def blobs():
    return make_blobs(60, 2, centers=[[-3, -3], [3, 3]], random_state=0)


@pytest.mark.always(reason="the one fit, and the one pickle, of an estimator")
def test_a_classifier_comes_back_from_a_pickle_with_its_labels(blobs, eager):
    x, y = blobs
    names = np.array(["no", "yes"])[y]
    found = ours.BayesianClassifier(**TINY, random_state=0).fit(x, names)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(x), found.predict_proba(x))
    assert again.classes_.tolist() == ["no", "yes"] and set(again.predict(x)) <= {"no", "yes"}
    sets, likeliest = found.predict_set(x, 0.9), found.predict_proba(x).argmax(axis=1)
    assert sets.shape == (60, 2) and sets[np.arange(60), likeliest].all()


@pytest.mark.all_only
def test_a_classifier_works_in_pipelines_and_searches(blobs):
    x, y = blobs
    chosen = ours.BayesianClassifier(**{**TINY, **FITTED, "epochs": 15}, random_state=0)
    pipeline = make_pipeline(StandardScaler(), chosen)
    search = GridSearchCV(pipeline, {"bayesianclassifier__hidden": [(4,)]}, cv=2).fit(x, y)
    assert search.best_score_ > 0.9


def test_intervals_of_a_calibrated_regressor_cover_and_an_unfitted_one_says_so(eager):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    y = 5 * x[:, 0] + rng.standard_t(3, 300)
    regressor = ours.BayesianRegressor(
        **TINY, coverage=0.9, validation_fraction=0.4, random_state=0
    )
    with pytest.raises(NotFittedError):
        regressor.predict(x)
    regressor.fit(x[:200], y[:200])
    low, high = regressor.predict_interval(x[200:]).T
    assert 0.78 <= np.mean((low <= y[200:]) & (y[200:] <= high)) <= 1
    mean, sd = regressor.predict(x[200:], return_std=True)
    assert mean.shape == sd.shape == (100,) and np.all(sd > 0)


@pytest.mark.all_only
@pytest.mark.dear(reason="three estimators, each trained")
def test_detector_density_and_imputer_answer_for_rows(blobs, eager):
    x, _ = blobs
    fitted = {**TINY, **FITTED, "epochs": 30, "num_samples": 16, "random_state": 0}
    detector = ours.VAEDetector(latent_dim=1, false_positive_rate=0.1, **fitted).fit(x)
    assert detector.predict(np.array([[30.0, -30.0]])) == [-1]
    assert np.mean(detector.predict(x) == -1) < 0.4
    p = detector.p_values(x)
    np.testing.assert_array_equal(p <= 0.1, detector.decision_function(x) < 0)
    with pytest.warns(UserWarning, match="takes 99 held-out rows, and there are 60"):
        ours.VAEDetector(false_positive_rate=0.01, **TINY).fit(x)
    sampler = ours.VAESampler(latent_dim=1, **fitted)
    assert np.isfinite(cross_val_score(sampler, x, cv=2)).all()
    assert sampler.fit(x).sample(5, random_state=1).shape == (5, 2)
    assert sampler.score(x) > sampler.score(x + 20)


@pytest.mark.all_only
def test_an_imputer_fills_in_what_goes_with_the_other_cells(blobs):
    x, _ = blobs
    x = x.astype(np.float32)
    gone = np.zeros(x.shape, bool)
    gone[::5, 1] = True
    imputer = ours.VAEImputer(
        latent_dim=1, hidden=(8,), epochs=60, batch_size=60, learning_rate=0.05, num_samples=32,
        rounds=1, random_state=0,
    )  # fmt: skip
    filled = imputer.fit_transform(np.where(gone, np.nan, x))
    np.testing.assert_array_equal(filled[~gone], x[~gone])
    assert np.mean(np.sign(filled[gone]) == np.sign(x[gone])) > 0.8
    with pytest.raises(ValueError, match="Column 1 is empty"):
        imputer.fit(np.array([[1, np.nan], [2, np.nan]]))


def test_one_width_is_a_number_alone_and_arguments_are_looked_at_before_work():
    assert ours.base.widths(4) == (4,) and ours.base.widths([4, 5.0]) == (4, 5)
    x, y = np.zeros((4, 2), np.float32), [0, 1, 0, 1]
    for options in ({"hidden": "50"}, {"hidden": [4, 0]}, {"validation_fraction": 1.0}):
        with pytest.raises(ValueError, match=r"Impossible .*Expected.*Received"):
            ours.BayesianClassifier(**options).fit(x, y)
    with pytest.raises(ValueError, match=r"field in options.*Expected.*Received 'sigma'"):
        ours.BayesianClassifier(options={"sigma": 1}).fit(x, y)
    with pytest.raises(ValueError, match=r"Impossible width.*Received 0"):
        ours.VAESampler(hidden=0).fit(x)
