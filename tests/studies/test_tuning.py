"""Searches over flags: what may be typed, what trials are judged by, and how a search goes on."""

import json

import keras_tuner
import pytest

from tfp_vae.studies import search_space, tuning

KINDS = {"learning_rate": "float", "latent_dim": "int", "hidden": "comma separated list of strings"}
SPACE = search_space.parse("learning_rate=log:1e-4:1e-2,latent_dim=2|8|32,hidden=200|400,400")


def test_a_comma_ends_values_only_where_the_next_flag_begins():
    rate, latent, hidden = SPACE
    assert rate == search_space.Range("learning_rate", "log", "1e-4", "1e-2")
    assert latent.values == ("2", "8", "32") and hidden.values == ("200", "400,400")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "NAME=VALUE"),
        ("latent_dim", "NAME=VALUE"),
        ("latent_dim=", "NAME=VALUE"),
        ("a=1|2,a=3|4", "twice"),
        ("a=1", "nothing to choose from"),
        ("a=1|1", "nothing to choose from"),
        ("a=lgo:1:2", "Did you mean log?"),
        ("a=log:0:1", "above 0"),
        ("a=linear:2:1", "the smaller first"),
        ("a=linear:1:nan", "two numbers"),
        ("a=log:1:9:1", "a factor"),
    ],
)
def test_what_is_no_search_is_refused_in_one_line(text, words):
    with pytest.raises(ValueError, match=r"Expected .* Received") as caught:
        search_space.parse(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_every_value_that_is_proposed_is_one_of_the_search():
    space = keras_tuner.HyperParameters()
    for each in search_space.parse("a=log:1e-4:1e-2,b=linear:1:9:4,c=log:2:64,d=3|5,e=x|y"):
        each.declare(space, {"a": "float", "d": "int", "e": "string"}.get(each.name, "int"))
    for seed in range(20):
        drawn = {each.name: each.random_sample(seed) for each in space.space}
        assert 1e-4 <= drawn["a"] <= 1e-2 and drawn["b"] in (1, 5, 9) and 2 <= drawn["c"] <= 64
        assert drawn["d"] in (3, 5) and drawn["e"] in "xy"


def search(method="random", **options):
    given = {"objective": "val_elbo", "direction": "max", "epochs": 9} | options
    return tuning.Search("train-vae", SPACE, KINDS, (), method, **given)


def run(folder, trials, method="random", fails=lambda values: False):
    """Returns what a search of a known function found, and the values that it trained."""
    trained = []

    def train(place, values):
        trained.append(values)
        if fails(values):
            raise tuning.Failed("the loss became NaN")
        place.mkdir()
        score = -abs(int(values["latent_dim"]) - 8) - int(values.get("epochs", 9) == "1")
        (place / "history.csv").write_text(f"epoch,elbo,val_elbo\n0,0,-99\n1,0,{score}\n")

    tuner = tuning.Tuner(search(method), folder, train, trials, show=lambda line: None)
    tuner.search()
    return tuner.write(), trained


def test_a_search_goes_on_and_repeats_no_trial(tmp_path):
    first, trained = run(tmp_path, 3)
    assert len(first) == len(trained) == 3
    found, trained = run(tmp_path, 5)
    assert len(found) == 5 and len(trained) == 2
    assert not any(values in [each.values for each in first] for values in trained)
    assert found[0].value == max(each.value for each in found) == 0
    assert found[0].values["latent_dim"] == "8"
    written = json.loads((tmp_path / tuning.RESULTS).read_text())
    assert written["best"] == found[0].name and len(written["trials"]) == 5
    assert (tmp_path / tuning.TRIALS / found[0].name / "history.csv").is_file()
    with pytest.raises(ValueError, match=r"holds another search.*bayesian"):
        tuning.check_settings(tmp_path, search("bayesian"))


def test_a_trial_in_which_a_search_was_killed_is_tried_again(tmp_path):
    tried = []

    def killed(values):
        tried.append(values)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 3, fails=killed)
    found, trained = run(tmp_path, 3)
    assert [each.state for each in found] == 3 * [tuning.FINISHED]
    assert trained[0] == tried[1] and len(trained) == 2


def test_a_failed_trial_is_reported_and_the_others_go_on(tmp_path):
    found, trained = run(tmp_path, 12, "grid", lambda values: values["latent_dim"] == "2")
    assert len(found) == len(trained) == 12
    failed = [each for each in found if each.state == tuning.FAILED]
    assert failed == found[-4:] and {each.values["latent_dim"] for each in failed} == {"2"}
    text = tuning.table(found, search("grid"))
    assert f"trial {failed[0].name} failed: the loss became NaN" in text
    assert text.splitlines()[1].split()[0] == found[0].name


def test_a_bayesian_search_learns_that_a_trial_failed(tmp_path):
    found, _ = run(tmp_path, 4, "bayesian", lambda values: values["latent_dim"] == "32")
    assert {each.state for each in found} == {tuning.FINISHED, tuning.FAILED}
    tuner = tuning.Tuner(search("bayesian"), tmp_path, None, 4)
    places, scores = tuner.oracle._vectorize_trials()
    assert places.shape == (4, 3)
    failed = [score for place, score in zip(places, scores, strict=True) if place[1] > 0.7]
    assert failed and set(failed) == {max(scores)}


def test_hyperband_gives_the_best_more_epochs(tmp_path):
    found, _ = run(tmp_path, 30, "hyperband")
    assert {each.values["epochs"] for each in found} == {"1", "3", "9"}


@pytest.mark.parametrize(("patience", "value"), [("0", -3.0), ("5", -2.0)])
def test_a_trial_is_judged_by_the_epoch_whose_weights_it_has(tmp_path, patience, value):
    (tmp_path / "history.csv").write_text("epoch,loss,val_elbo\n0,1,-2.0\n1,1,-3.0\n")
    (tmp_path / "flags.txt").write_text(f"--patience={patience}\n")
    assert tuning.judged(tmp_path, "val_elbo") == value
    with pytest.raises(ValueError, match=r"Expected an --objective of val_elbo\. Received"):
        tuning.judged(tmp_path, "val_accuracy")
    (tmp_path / "history.csv").write_text("epoch,val_elbo\n0,nan\n")
    with pytest.raises(tuning.Failed, match="nan"):
        tuning.judged(tmp_path, "val_elbo")
