"""What a run leaves to the next one, and that each run stays within its budget."""

import types

import durations
import pytest
from durations import PLACES, TIERS, places, seconds


class _Item:
    """A test as pytest collects it, with marks."""

    def __init__(self, nodeid, *marks):
        self.nodeid, self._marks = nodeid, marks

    def get_closest_marker(self, name):
        return types.SimpleNamespace(name=name) if name in self._marks else None


def _places(known, *items):
    known = {name: [took, took] for name, took in known.items()}
    return places([_Item(*item) for item in items], known)


def test_a_dear_test_waits_for_all_and_the_dearest_for_release_unless_they_say_why():
    known = {"f::short": 1.9, "f::long": 2, "f::longest": 6, "f::kept": 60, "f::usual": 60}
    marks = {"f::kept": ["all_too"], "f::usual": ["always"]}
    found = _places(known, *[(name, *marks.get(name, [])) for name in [*known, "f::new"]])
    assert found == {
        **{"f::short": 0, "f::long": 1, "f::longest": 2, "f::kept": 1, "f::usual": 0},
        "f::new": 0,  # what was never measured is tried
    }


def test_of_dear_cases_of_one_claim_the_cheapest_is_tried():
    known = {"f::t[a]": 3.0, "f::t[b]": 2.1, "f::t[c]": 0.7, "f::t[d]": 0.6, "f::t[e]": 0.1}
    found = _places(known, *[(name,) for name in known])
    assert found == {"f::t[a]": 2, "f::t[b]": 2, "f::t[c]": 1, "f::t[d]": 1, "f::t[e]": 0}
    kept = _places(known, ("f::t[a]",), ("f::t[b]",))
    assert kept == {"f::t[a]": 2, "f::t[b]": 1}
    marked = _places(known, ("f::t[b]",), ("f::t[c]", "all_only"))
    assert marked == {"f::t[b]": 1, "f::t[c]": 1}  # not the one that is marked
    each = _places(known, *[(name, "all_too") for name in known])
    assert sorted(each.values()) == [0, 1, 1, 1, 1]  # each case is a claim


def test_a_mark_leaves_a_test_whatever_it_takes():
    found = _places({}, ("f::a", "all_only"), ("f::b", "release_only"), ("f::c[1]", "all_only"))
    assert found == {"f::a": 1, "f::b": 2, "f::c[1]": 1}


@pytest.mark.parametrize("place", [0, 1], ids=["usual", "all"])
def test_what_a_run_tries_fits_its_budget(place, request, known_durations):
    """Of what was collected: the sum is that of the whole suite where all of it is."""
    found = request.config.stash[PLACES]
    total = sum(seconds(node, known_durations) for node, first in found.items() if first <= place)
    assert total <= TIERS[place].budget, (
        f"The run takes too long. Expected at most {TIERS[place].budget:.0f} s of processor time. "
        f"Received {total:.0f} s of {len(found)} tests in {durations.FILE.name}: make the dearest "
        "cheaper, or leave them to the next run (BUILD.md)"
    )
