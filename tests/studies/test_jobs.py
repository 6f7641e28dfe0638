"""Work in several processes: chains keep their order, a dead process takes only its own along."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfp_vae.studies.jobs import in_turns, processes

_told = []


def _begin(*words):
    _told[:] = words


def _do(item):
    name, number = item
    if name == "dies" and number == 1:
        os._exit(1)
    return f"{_told[0]} {name} {number}"


def _cores(item):
    time.sleep(1)  # so that the other process takes the other item
    return os.sched_getaffinity(0)


def _fails():
    raise ValueError("no start")


ITEMS = [(name, number) for number in range(3) for name in ("one", "other", "dies")]


def test_a_chain_keeps_its_order_and_chains_go_on_beside_each_other():
    order = []
    found = dict(
        in_turns(
            ITEMS, lambda item: item[0], order.append, 2, lambda: ThreadPoolExecutor(max_workers=2)
        )
    )
    assert found == dict.fromkeys(ITEMS)
    for name in ("one", "other", "dies"):
        assert [number for each, number in order if each == name] == [0, 1, 2]
    assert order != sorted(order)


def test_a_process_that_dies_is_told_and_the_others_go_on():
    found = dict(in_turns(ITEMS, lambda item: item[0], _do, 1, processes(1, _begin, "hello")))
    assert list(found) == ITEMS
    for item, value in found.items():
        if item == ("dies", 1):
            assert "terminated abruptly" in str(value)
        else:
            assert value == f"hello {item[0]} {item[1]}"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_processes_share_the_cores_and_none_has_those_of_another():
    all_cores = os.sched_getaffinity(0)
    items = [(i, i) for i in range(2)]
    found = dict(in_turns(items, lambda item: item[0], _cores, 2, processes(2, _begin)))
    one, other = found.values()
    if len(all_cores) > 1:
        assert not one & other
    assert one | other <= all_cores


@pytest.mark.all_only
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_where_no_process_can_start_everything_is_told_and_nothing_hangs():
    found = list(in_turns(ITEMS, lambda item: item[0], _do, 2, processes(2, _fails)))
    assert sorted(item for item, _ in found) == sorted(ITEMS)
    assert all(isinstance(value, Exception) for _, value in found)
