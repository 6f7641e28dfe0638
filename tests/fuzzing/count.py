"""Runs many cases of every property and counts what came of them: what `scripts/fuzz` starts."""

import argparse
import collections
import os
import sys
import time
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import keras
import tensorflow as tf

from fuzzing import outcomes
from fuzzing.properties import PROPERTIES

SHARE_OF_HEAVY = 20  # a property whose cases trace graphs has one case where others have so many


def count(name: str, cases: int, seed: int):
    """Runs `cases` cases of a property -> (counts by outcome, {place of a bug: [cases, text]})."""
    counts, bugs = collections.Counter(), {}
    settings = hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[*hypothesis.HealthCheck],
    )

    def attempt(case):
        try:
            counts[outcomes.of(case.run)] += 1
        except Exception as error:
            counts["bugs"] += 1
            where = traceback.extract_tb(error.__traceback__)
            ours = [f for f in where if "/tfp_vae/" in f.filename or "/experiments/" in f.filename]
            last = (ours or where)[-1]
            key = (type(error).__name__, last.filename.rpartition("/")[2], last.lineno)
            found = bugs.setdefault(key, [0, None, None])
            found[0] += 1
            if found[0] == 1:
                print(f"  new: {key}: {str(error)[:300]!r}\n    {case!r}", flush=True)
            if found[1] is None or len(repr(case)) < len(found[1]):
                found[1], found[2] = repr(case), " ".join(str(error).split())[:300]
        if sum(counts.values()) % 50 == 0:
            keras.backend.clear_session(free_memory=False)

    hypothesis.seed(seed)(settings(hypothesis.given(PROPERTIES[name].cases)(attempt)))()
    return counts, bugs


def main() -> int:
    """Counts all or some properties; returns 1 if there are bugs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="of every property")
    parser.add_argument("--seed", type=int, default=0, help="of the cases")
    parser.add_argument("--properties", default=",".join(PROPERTIES), help="names with commas")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.properties.split(",") if name not in PROPERTIES]
    if unknown:
        parser.error(f"--properties: expected some of {', '.join(PROPERTIES)}, received {unknown}")
    tf.config.threading.set_intra_op_parallelism_threads(1)  # tiny operations, one by one
    tf.config.threading.set_inter_op_parallelism_threads(1)
    total = 0
    print(f"{'property':<22}{'worked':>8}{'refused':>9}{'bugs':>6}{'seconds':>9}", flush=True)
    for name in arguments.properties.split(","):
        cases = arguments.cases
        cases = max(1, cases // SHARE_OF_HEAVY) if PROPERTIES[name].heavy else cases
        started = time.monotonic()
        counts, bugs = count(name, cases, arguments.seed)
        seconds = time.monotonic() - started
        total += counts["bugs"]
        found = "".join(
            f"{counts[key]:>{width}}"
            for key, width in ((outcomes.WORKED, 8), (outcomes.REFUSED, 9), ("bugs", 6))
        )
        print(f"{name:<22}{found}{seconds:>9.0f}", flush=True)
        for (kind, file, line), (times, case, text) in sorted(bugs.items()):
            print(f"  {kind} at {file}:{line}, {times} times: {text}\n    {case}", flush=True)
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
