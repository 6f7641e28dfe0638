"""What tests cost: counted, kept in durations.json, and used to run the dearest files first.

A plugin of pytest, loaded by conftest.py. Seconds are of processor time (of the process and of the
processes that it waited for), which other work on the machine does not lengthen; wall time stands
beside it. A module's fixtures are counted with the first test that asks for them.
"""

import collections
import json
import os
import pathlib
import time

import pytest

FILE = pathlib.Path(__file__).with_name("durations.json")
DEAR = 20.0  # seconds of processor time from which a test needs a reason
LEAST = 0.5  # seconds below which a test is not worth a line
LONG = 2.0  # seconds from which a test is left to --all, unless it is marked `always`
AGAIN = 0.5  # seconds from which the usual run tries one of the cases of a test, the cheapest

_found = {}  # node -> [processor, wall]
_last = [0.0, 0.0]


def _now():
    return [sum(os.times()[:4]), time.perf_counter()]


def recorded() -> dict[str, list[float | None]]:
    """Returns the kept seconds, {node: [processor or None where not measured, wall]}."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def pytest_addoption(parser):
    """Adds the options of this plugin."""
    parser.addoption(
        "--all",
        action="store_true",
        help="Run also what says again, in a dearer way, what other tests say (`all_only`).",
    )
    parser.addoption(
        "--write-durations",
        action="store_true",
        help="Write what the tests of this run took to tests/durations.json.",
    )


def _file(node):
    return node.split("::")[0]


def _left_to_all(items, known):
    """Returns the ids of the items that the usual run leaves out for what they took.

    A test that took `LONG` or longer is left to --all, unless its mark `always` says why it is not.
    A parametrized test makes one claim of many members: its cases that took `AGAIN` or longer are
    left out too, but for the cheapest. What was never measured is always tried.
    """
    cases = collections.defaultdict(list)
    for item in items:
        processor, wall = known.get(item.nodeid, (None, 0.0))
        cases[item.nodeid.split("[")[0]].append((wall if processor is None else processor, item))
    left = set()
    for found in cases.values():
        found.sort(key=lambda case: case[0])
        for place, (seconds, item) in enumerate(found):
            long = seconds >= LONG and not item.get_closest_marker("always")
            if long or (place and seconds >= AGAIN):
                left.add(id(item))
    return left


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leaves out what --all is for, puts dear files first."""
    known = recorded()
    if not config.getoption("--all"):
        left = {id(item) for item in items if item.get_closest_marker("all_only")}
        left |= _left_to_all([item for item in items if id(item) not in left], known)
        if left:
            config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
            items[:] = [item for item in items if id(item) not in left]
    files = collections.Counter()
    for item in items:
        processor, wall = known.get(item.nodeid, (None, LEAST / 2))
        files[_file(item.nodeid)] += wall if processor is None else processor
    # Files stay whole, so that what a module shares is made once; the sort is stable.
    items.sort(key=lambda item: -files[_file(item.nodeid)])


@pytest.fixture(scope="session")
def known_durations():
    """Returns what is kept, read once."""
    return recorded()


@pytest.fixture(autouse=True)
def reason_of_dear_tests(request, known_durations):
    """Fails a test that took long when it was measured, and does not say why."""
    processor, _ = known_durations.get(request.node.nodeid, (None, None))
    reasons = [mark.kwargs.get("reason") for mark in request.node.iter_markers("dear")]
    measuring = request.config.getoption("--write-durations")
    if (processor or 0) > DEAR and not any(reasons) and not measuring:
        pytest.fail(
            f"The test takes long. Expected at most {DEAR:.0f} s of processor time, or a mark "
            f'@pytest.mark.dear(reason="..."). Received {processor:.0f} s in {FILE.name}'
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Starts the clock of a test."""
    _last[:] = _now()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Notes what a phase of a test took; reports bring it from the worker to the one who writes."""
    report = yield
    now = _now()
    report.took = [end - start for start, end in zip(_last, now, strict=True)]
    _last[:] = now
    return report


def pytest_runtest_logreport(report):
    """Adds up the phases of a test."""
    total = _found.setdefault(report.nodeid, [0.0, 0.0])
    for i, seconds in enumerate(getattr(report, "took", ())):
        total[i] += seconds


def pytest_sessionfinish(session):
    """Writes the file, in the process that hears of all tests."""
    if not session.config.getoption("--write-durations") or hasattr(session.config, "workerinput"):
        return
    ran = {_file(node) for node in _found}
    root = FILE.parents[1]
    kept = {
        node: took
        for node, took in recorded().items()
        if node not in _found and (root / _file(node)).exists() and not _gone(node, ran)
    }
    kept |= {
        node: [round(seconds, 1) for seconds in took]
        for node, took in _found.items()
        if took[0] >= LEAST or took[1] >= 1
    }
    lines = [f"  {json.dumps(node)}: {json.dumps(kept[node])}" for node in sorted(kept)]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _gone(node, ran):
    """Whether a test of a file that ran is no longer there, as far as its name tells."""
    names = {found.split("[")[0] for found in _found}
    return _file(node) in ran and node.split("[")[0] not in names
