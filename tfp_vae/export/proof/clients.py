"""Many clients at once on one loaded artefact, and what it says to requests that have no answer.

Part of the program of `runtimes.py`, which does not know the package.
"""

import concurrent.futures
import json
import time

import numpy as np

CLIENTS = (1, 8, 64)
REQUESTS = 1024  # per number of clients


def serve(folder, names, form, load, report, examples_of, requests=REQUESTS) -> None:
    """Reports a row per signature and number of clients, and one per impossible request."""
    manifest = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    examples = examples_of(folder)
    for artefact in manifest["artefacts"]:
        if artefact["format"] not in names:
            continue
        name = artefact["format"]
        runs = load(folder / artefact["path"], artefact["signatures"])[0]
        for signature in artefact["signatures"]:
            described = next(s for s in manifest["signatures"] if s["name"] == signature)
            run, inputs = runs[signature], examples.inputs(form, signature, 1)
            expected = examples.outputs(form, signature, 1)
            for count in CLIENTS:
                row = many(run, inputs, expected, count, int(requests))
                report({"format": name, "signature": signature, "clients": count, **row})
            values = described["inputs" if form == "portable" else "seeded_inputs"]
            for what, bad in impossible(inputs, values).items():
                report({"format": name, "signature": signature, "request": what, **ask(run, bad)})


def many(run, inputs: dict, expected: dict, clients: int, requests: int = REQUESTS) -> dict:
    """Returns throughput (requests per second), p50 and p99 in milliseconds, and wrong answers."""

    def client(count):
        times, wrong = [], 0
        for _ in range(count):
            started = time.perf_counter()
            answers = run(inputs)
            times.append(1000 * (time.perf_counter() - started))
            wrong += not same(answers, expected)
        return times, wrong

    run(inputs)
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        found = [*pool.map(client, [requests // clients] * clients)]
    seconds = time.perf_counter() - started
    times = np.concatenate([times for times, _ in found])
    return {
        "requests": len(times),
        "wrong": int(sum(wrong for _, wrong in found)),
        "per_second": len(times) / seconds,
        "p50_milliseconds": float(np.percentile(times, 50)),
        "p99_milliseconds": float(np.percentile(times, 99)),
    }


def same(answers: dict, expected: dict) -> bool:
    """Whether answers are the expected ones, to 1e-5 of their size."""
    return answers.keys() == expected.keys() and all(
        np.shape(answers[name]) == wanted.shape
        and np.allclose(answers[name], wanted, rtol=1e-5, atol=1e-5)
        for name, wanted in expected.items()
    )


def impossible(inputs: dict, values: "list[dict]") -> "dict[str, dict]":
    """Returns requests that have no answer, by what is wrong with them."""
    batched = sorted(  # data before noise
        (value for value in values if "B" in value["shape"]), key=lambda value: value["role"]
    )
    if not batched:  # as `sample` of a seed, whose only number is how many
        return {"none asked for": {**inputs, "count": np.int32(0)}}
    name = batched[0]["name"]
    good = inputs[name]
    found = {
        "wrong shape": {**inputs, name: np.zeros((*good.shape, 2), good.dtype)},
        "wrong type": {**inputs, name: good.astype(np.float64)},
        "empty batch": {
            other["name"]: _empty(inputs[other["name"]], other["shape"]) for other in values
        },
    }
    if good.size > len(good):  # as many numbers, as many axes
        moved = good.reshape(good.size, *[1] * (good.ndim - 1))
        found["wrong axes"] = {**inputs, name: moved}
    if good.dtype == np.float32:
        what, odd = ("infinity", np.inf) if batched[0].get("gaps") else ("NaN", np.nan)
        found[what] = {**inputs, name: np.full_like(good, odd)}
    for value in values:
        if value["limit"] is not None:
            too_high = np.full_like(inputs[value["name"]], value["limit"])
            found[f"impossible {value['name']}"] = {**inputs, value["name"]: too_high}
    return found


def _empty(array, shape):
    return np.take(array, [], axis=shape.index("B")) if "B" in shape else array


def ask(run, inputs: dict) -> dict:
    """Returns {"answer": kind, "said": words} of a request that has no answer.

    The kinds: "error", "NaN", "nothing" (arrays without examples), or "numbers", which is wrong.
    """
    try:
        answers = run(inputs)
    except Exception as error:  # each runtime has its own type
        return {"answer": "error", "said": words(error)}
    arrays = [np.asarray(array) for array in answers.values()]
    if all(array.size == 0 for array in arrays):
        return {"answer": "nothing", "said": ""}
    if all(np.isnan(array).all() for array in arrays):
        return {"answer": "NaN", "said": ""}
    return {"answer": "numbers", "said": ""}


def words(error: Exception) -> str:
    """Returns what an error says, without where in a graph it was raised."""
    text = " ".join(str(error).split())
    for mark in ("<stack traces unavailable> ", "assertion failed: "):
        text = text.rsplit(mark, 1)[-1]
    return text[:200]
