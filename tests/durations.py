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
from typing import NamedTuple

import pytest

FILE = pathlib.Path(__file__).with_name("durations.json")
DEAR = 20.0  # seconds of processor time from which a test needs a reason
LEAST = 0.5  # seconds below which a test is not worth a line
SHORT = 0.06  # seconds that a test without a line takes in the mean


class Tier(NamedTuple):
    """What a run leaves to the next one, which has all that this one has.

    Args:
        long: seconds from which it leaves a test, unless its mark says why it stays.
        again: seconds from which it leaves the cases of a parametrized test, but for the cheapest.
        beyond: mark of what it leaves whatever it takes.
        stays: marks, with a reason, of what it does not leave because it is long.
        each: the same of tests each case of which is a claim.
        budget: seconds that all it tries may take.
    """

    long: float
    again: float
    beyond: str
    stays: tuple[str, ...]
    each: tuple[str, ...]
    budget: float


# The usual run and --all; --release has everything.
TIERS = (
    Tier(2.0, 0.5, "all_only", ("always",), (), 900.0),
    Tier(3.0, 0.8, "release_only", ("always", "all_too"), ("all_too",), 1600.0),
)
PLACES = pytest.StashKey[dict]()  # of a collection: node -> the first run that tries it, 0 to 2

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
        "--release",
        action="store_true",
        help="Run everything: also the dearest of what `--all` adds (`release_only`).",
    )
    parser.addoption(
        "--write-durations",
        action="store_true",
        help="Write what the tests of this run took to tests/durations.json.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Makes --release what it says, --all and more.

    The option `whole` is for tests and graphs that take longer then. It is off where durations are
    written: what the other runs leave out is told by what it takes there.
    """
    config.option.all = config.option.all or config.option.release
    config.option.whole = config.option.release and not config.option.write_durations


def _file(node):
    return node.split("::")[0]


def seconds(node, known):
    """Returns the processor seconds of a test, or its wall time where only that is known."""
    processor, wall = known.get(node, (None, None))
    return (SHORT if wall is None else wall) if processor is None else processor


def _has(item, marks):
    return any(item.get_closest_marker(name) for name in marks)


def _left(items, known, tier):
    """Returns the ids of the items that the run of a tier leaves to the next one.

    What was never measured is always tried.
    """
    left = {id(item) for item in items if item.get_closest_marker(tier.beyond)}
    cases = collections.defaultdict(list)
    for item in items:
        if id(item) not in left:
            cases[item.nodeid.split("[")[0]].append((seconds(item.nodeid, known), item))
    for found in cases.values():
        # The cheapest of those that the usual run may try.
        found.sort(key=lambda case: (_has(case[1], ("all_only",)), case[0]))
        for place, (took, item) in enumerate(found):
            long = took >= tier.long and not _has(item, tier.stays)
            if long or (place and took >= tier.again and not _has(item, tier.each)):
                left.add(id(item))
    return left


def places(items, known):
    """Returns {node: the first run that tries it}: 0 the usual one, 1 `--all`, 2 `--release`."""
    found = dict.fromkeys((item.nodeid for item in items), 0)
    rest = items
    for place, tier in reversed([*enumerate(TIERS, 1)]):
        # From above, so that the usual run is a part of --all.
        left = _left(rest, known, tier)
        found |= {item.nodeid: place for item in rest if id(item) in left}
        rest = [item for item in rest if id(item) not in left]
    return found


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leaves out what --all and --release are for, puts dear files first."""
    known = recorded()
    found = config.stash[PLACES] = places(items, known)
    most = 2 if config.getoption("--release") else int(config.getoption("--all"))
    left = [item for item in items if found[item.nodeid] > most]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if found[item.nodeid] <= most]
    files = collections.Counter()
    for item in items:
        files[_file(item.nodeid)] += seconds(item.nodeid, known)
    # Files stay whole, so that what a module shares is made once; the sort is stable.
    items.sort(key=lambda item: -files[_file(item.nodeid)])


def pytest_report_collectionfinish(config):
    """Says what each run would take of what was collected."""
    if PLACES not in config.stash:
        return None  # its workers collect
    known, found, said = recorded(), config.stash[PLACES], []
    for most, name in enumerate(("usual", "--all", "--release")):
        nodes = [node for node, place in found.items() if place <= most]
        said.append(f"{name} {len(nodes)}, {sum(seconds(node, known) for node in nodes):.0f} s")
    return f"tests and processor time: {'; '.join(said)}"


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


def pytest_sessionfinish(session, exitstatus):
    """Writes the file, in the process that hears of all tests."""
    if not session.config.getoption("--write-durations") or hasattr(session.config, "workerinput"):
        return
    root, option = FILE.parents[1], session.config.option
    # A test that a whole run of its file did not come by is no longer there.
    is_whole = option.release and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    parts = option.keyword, option.markexpr, option.deselect, option.maxfail
    is_whole = is_whole and not any(parts) and not any("::" in str(a) for a in session.config.args)
    ran = {_file(node) for node in _found} if is_whole else ()
    kept = {
        node: took
        for node, took in recorded().items()
        if node not in _found and (root / _file(node)).exists() and _file(node) not in ran
    }
    kept |= {
        node: [round(seconds, 1) for seconds in took]
        for node, took in _found.items()
        if took[0] >= LEAST or took[1] >= 1
    }
    lines = [f"  {json.dumps(node)}: {json.dumps(kept[node])}" for node in sorted(kept)]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
