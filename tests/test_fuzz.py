"""Random input: each case works, or one of our errors says what was wrong.

A few cases of every property, the same ones in every run; `scripts/fuzz` runs thousands. Examples
are what was found so.
"""

import hypothesis
import pytest
from fuzzing import models, outcomes, programs
from fuzzing.files import CsvCase, FolderCase, NpzCase, SavedCase
from fuzzing.models import Layer, NetworkCase, VAECase, Values
from fuzzing.programs import FlagsCase
from fuzzing.properties import PROPERTIES
from hypothesis import given


def few(cases):
    return hypothesis.settings(
        max_examples=cases,
        derandomize=True,
        deadline=None,
        database=None,
        # Not made smaller: a case names what it changes of the defaults, and is small as it is.
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=[*hypothesis.HealthCheck],
    )


def works_or_is_refused(case):
    outcomes.of(case.run)


CASES = {
    "vaes": 12,
    "networks": 12,
    "npz_files": 60,
    "csv_files": 100,
    "image_folders": 30,
    "saved_models": 60,
    **{f"flags_of_{name}": 4 for name in programs.PROGRAMS},
}


@pytest.mark.parametrize("name", CASES)
def test_random_input_works_or_one_of_our_errors_says_what_was_wrong(name, request):
    cases = CASES[name] if request.config.getoption("whole") else max(3, CASES[name] // 6)
    few(cases)(given(PROPERTIES[name].cases)(works_or_is_refused))()


def test_cases_that_should_work_do():
    for case in (VAECase(), NetworkCase(), NpzCase(), CsvCase(), FolderCase(), SavedCase()):
        assert outcomes.of(case.run) == outcomes.WORKED, case


@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_a_program_gets_to_its_work_with_flags_that_fit(name):
    places = {"uci": ("--data_dir=uci", "--sets=yacht"), "export": ("--run_dir=run",)}
    places["generate"] = places["export"]
    places["evaluate"] = ("--run_dir=run", "--dataset=data.npz")
    for reader in ("bounds", "diagnose", "explore", "export", "gradients"):
        places[reader] = places["evaluate"]
    case = FlagsCase(name, places.get(name, ()))
    assert outcomes.of(case.run) == outcomes.WORKED


# What was found: each was another error than one of ours, or none.


@pytest.mark.parametrize(
    "case",
    [
        # Numbers that are none, where a comparison or int() failed in the place of our check.
        *(
            VAECase(**{name: value})
            for name in ("latent_dim", "num_samples", "seed", "num_data", "batch_size")
            for value in ("two", models.NAN, models.INF, 2**70)
        ),
        VAECase(latent_dim=None),
        VAECase(batch_size=1.5),
        VAECase(beta=2**1100),
        VAECase(beta=("cyclical", 3, "wide")),
        VAECase(beta=("linear", None)),
        VAECase(beta=("linear", 3, models.NAN, 1.0)),
        VAECase(hidden=("two",)),
        VAECase(hidden=3),
        VAECase(event_shape=3),
        VAECase(event_shape=("a",)),
        VAECase(event_shape=(models.NAN,)),
        VAECase(event_shape=None, network="conv"),
        VAECase(decoder="normal", scale_floor="wide"),
        VAECase(decoder="normal", scale_floor=models.INF),
        VAECase(sort="m2", y=Values((5,), "labels"), labelled_share=None),
        VAECase(sort="m2", y=Values((5,), "labels"), alpha=2**1100),
        NetworkCase(given="two"),
        NetworkCase(given=None),
        NetworkCase(likelihood="normal", y=Values((5,), "real"), given=2**1100),
        NetworkCase(members="two"),
        NetworkCase(members=models.NAN),
        NetworkCase(weight_prior={}),
        NetworkCase(weight_prior=2**1100),
        NetworkCase(layers=(Layer("MonteCarloDropout", "wide"),)),
        NetworkCase(layers=(Layer(options=(("initial_scale", "wide"),)),)),
        NetworkCase(layers=(Layer(options=(("covariance", 2**40),)),)),
        NetworkCase(layers=(Layer(options=(("activation", "relux"),)),)),
        NetworkCase(layers=(Layer(options=(("kernel_initializer", "nothing"),)),)),
        NetworkCase(layers=(Layer(options=(("seed", "two"),)),)),
        NetworkCase(layers=(Layer(options=(("padding", "same"),)),)),
        NetworkCase(layers=(Layer(options=(("prior", ("student_t", (("df", models.INF),))),)),)),
        NetworkCase(layers=(Layer(options=(("prior", ("scale_mixture", (("ratio", "x"),))),)),)),
        NetworkCase(
            x=Values((5, 4, 4, 1)),
            layers=(Layer("Conv2DReparameterization", 2, (("kernel_size", None),)),),
        ),
        # Values that are not numbers, or that float32 cannot hold.
        *(
            kind(x=Values((5, 3), content), form=form)
            for kind in (VAECase, NetworkCase)
            for form in ("array", "split")
            for content in ("text", "complex", "objects")
        ),
        VAECase(x=Values((5, 3), "huge"), form="array", decoder="normal"),
        NetworkCase(x=Values((5, 3), "huge"), form="array"),
        VAECase(kind="grey"),
        # Containers that Keras took for something else, and datasets without a batch.
        *(
            kind(form=form)
            for kind in (VAECase, NetworkCase)
            for form in ("list", "none", "text", "tuple", "empty_dataset", "iterator")
        ),
        # Arguments of fit that do not fit the data.
        VAECase(form="array", validation_split=-1),
        VAECase(form="array", validation_split="half"),
        VAECase(form="array", sample_weight=Values((4,), "unit")),
        VAECase(form="array", sample_weight=Values((5,), "nan")),
        VAECase(form="dataset", sample_weight=Values((5,), "unit")),
        # Statistics that are those of other values.
        NetworkCase(layers=(Layer("DenseFlipout", 2), Layer("Standardize"))),
        NetworkCase(layers=(Layer("DenseFlipout", 3), Layer("Standardize"))),
        # Convolutions that are given an image as a vector.
        VAECase(
            x=Values((5, 3, 5, 1)),
            y=Values((5,), "labels"),
            sort="conditional",
            event_shape=(3, 5, 1),
            network="conv",
        ),
        NetworkCase(layers=(Layer("Conv2DReparameterization", 2),)),
        # A name that the system refuses.
        FlagsCase(arguments=("--run_dir=" + "é" * 300,)),
        FlagsCase(arguments=("--dataset=" + "é" * 300 + ".csv",)),
    ],
    ids=repr,
)
def test_what_cannot_be_trained_is_refused(case):
    assert outcomes.of(case.run) == outcomes.REFUSED
