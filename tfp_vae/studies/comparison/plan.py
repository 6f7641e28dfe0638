"""Runs a comparison part by part: what is done stays done, what breaks is reported.

A part is one model with one seed in one stage: "main" (trained on everything, all tasks),
"held_out" (trained without one class) or "labels_N" (trained with N labels). What it found is
written when it ends, so an interrupted comparison goes on where it was.
"""

import dataclasses
import gc
import json
import operator
import pathlib
import re
import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from tfp_vae import training
from tfp_vae.arguments import check_count
from tfp_vae.data import Data, Split, hold_out, keep_labels
from tfp_vae.reading import Arrays
from tfp_vae.report import RunFolder, read_json
from tfp_vae.studies.comparison import tasks
from tfp_vae.studies.comparison.entrants import Contestant, entrant_of, in_order
from tfp_vae.studies.comparison.fitting import train, width_of
from tfp_vae.studies.comparison.settings import Settings, check_data
from tfp_vae.studies.jobs import in_turns, processes

_PLAN, _PARTS, _EXAMPLES = "plan.json", "parts", "examples"
# One seed has no error, and of a handful of examples nobody knows how they spread.
LEAST_SEEDS, LEAST_EXAMPLES = 2, 20


@dataclasses.dataclass(frozen=True)
class Part:
    """One model with one seed in one stage."""

    model: str
    seed: int
    stage: str

    @property
    def key(self) -> str:
        """The name of its files."""
        model = re.sub(r"[^\w.]", "_", self.model)  # of one's own there is a colon
        return f"{model}-{self.seed}-{self.stage}"

    def __str__(self) -> str:
        return f"{self.model}, seed {self.seed}" + f", {self.stage}" * (self.stage != "main")


class Comparison:
    """A comparison in a folder.

    Args:
        path: the folder; one of the same plan is gone on with.
        data: labelled images.
        settings: of all parts.
        models: see `entrant_of`, in any order.
        seeds: how many, 0 to seeds - 1, at least `LEAST_SEEDS`: one has no error.
        others: OOD sets that are not transforms of the data, {name: split}.
        overwrite: start anew where the folder holds another comparison.

    Attributes:
        left_out: models that were asked for and have no part, because they only learn from few
            labels and no task has these.

    Raises:
        ValueError: for unknown models or one that cannot be built, data that cannot be compared
            on, or a folder that holds a comparison of another plan.
    """

    def __init__(
        self,
        path: "str | pathlib.Path",
        data: Data,
        settings: Settings,
        models: Sequence[str],
        seeds: int,
        others: "dict[str, Split] | None" = None,
        overwrite: bool = False,
    ):
        entrants = {name: entrant_of(name) for name in models}
        if seeds < LEAST_SEEDS:
            raise ValueError(
                f"Too few seeds for an interval. Expected at least {LEAST_SEEDS}. Received {seeds}."
            )
        check_data(data)
        if len(data.test) < LEAST_EXAMPLES:
            raise ValueError(
                f"Too few test examples for an interval. Expected at least {LEAST_EXAMPLES}. "
                f"Received {len(data.test)} in {data.name}."
            )
        self.data, self.settings, self.seeds = data, settings, seeds
        self.models, self.left_out = in_order(models), []
        if "labels" not in settings.tasks:
            self.left_out = [name for name in self.models if entrants[name].only_labels]
            self.models = [name for name in self.models if name not in self.left_out]
        if not self.parts():
            raise ValueError(
                "There is nothing to run. Expected a model besides those that only learn from few "
                "labels, or the task labels with a number of labels that the data have, as with "
                f"--budget=full. Received {', '.join(models)}."
            )
        self._check_models()
        self.others = others or {}
        self.failures: list[dict] = []
        self._ran = 0
        plan = {"data": data.digests, **settings.plan()}
        self._plan = json.loads(json.dumps(plan))
        self.run_folder = self._folder(path, overwrite)

    def _check_models(self) -> None:
        """Raises `ValueError` if a model cannot be built; none has trained before all were seen."""
        for name in self.models:
            entrant = entrant_of(name)
            if entrant.build is None:
                continue
            broken = Exception if ":" in name else ValueError  # of one's own it may be anything
            try:
                entrant.build(self.data, width_of(name, self.data, self.settings), self.settings, 0)
            except broken as error:
                text = " ".join(str(error).split())[:600] or type(error).__name__
                raise ValueError(
                    f"{name} cannot be built, and nothing was trained yet. Expected a model for "
                    f"examples of shape {self.data.shape} and {self.data.num_classes} classes. "
                    f"Received: {text}"
                ) from error
            finally:
                keras.backend.clear_session(free_memory=False)

    def _folder(self, path, overwrite: bool) -> RunFolder:
        file = pathlib.Path(path) / _PLAN
        known = file.exists()
        run = RunFolder(path, overwrite=overwrite or known)
        if known and not overwrite:
            before = read_json(file)
            differing = [key for key in self._plan if before.get(key) != self._plan[key]]
            if differing:
                here, there = ({k: d.get(k) for k in differing} for d in (self._plan, before))
                raise ValueError(
                    f"{path} holds a comparison of another plan. Expected another run_dir, "
                    f"--overwrite, or {there}. Received {here}."
                )
        elif known:
            run.lock()
            for part in (pathlib.Path(path) / _PARTS).glob("*"):
                part.unlink()
            file.unlink()
        return run

    def parts(self) -> list[Part]:
        """Returns all parts, seed by seed, so that what is done early is a whole comparison."""
        return [
            Part(model, seed, stage)
            for seed in range(self.seeds)
            for model in self.models
            for stage in self._stages(model)
        ]

    def _stages(self, model: str) -> list[str]:
        entrant, settings, stages = entrant_of(model), self.settings, []
        if not entrant.only_labels and {*settings.tasks} - {"labels"}:
            stages.append("main")
            if settings.held_out and "ood" in settings.tasks and self.data.num_classes > 2:
                stages.append("held_out")
        if entrant.learns_few_labels and "labels" in settings.tasks:
            most = len(self.data.train)
            counts = sorted({min(n, most) for n in settings.label_counts if n <= most})
            stages += [f"labels_{n}" for n in counts if n >= self.data.num_classes]
        return stages

    def stands_for(self, part: Part) -> bool:
        """Returns whether what is known of a part's training is what is said of its model.

        It is the training on everything, or the one with the most labels where there is no other.
        """
        stages = self._stages(part.model)
        return part.stage == ("main" if "main" in stages else stages[-1])

    def found(self, part: Part) -> dict | None:
        """Returns what a finished part found, or None.

        {"parameters", "width", "epochs", "train_seconds", "seconds", "jobs", "values", "cells"},
        see `tasks.Found`; of the cells' parts the sizes; the seconds with so many jobs at once.
        """
        file = self.run_folder / _PARTS / f"{part.key}.json"
        return read_json(file) if file.exists() else None

    def arrays(self, part: Part) -> "dict[str, np.ndarray]":
        """Returns the arrays of a part, empty if there are none."""
        file = self.run_folder / _PARTS / f"{part.key}.npz"
        if not file.exists():
            return {}
        with file.open("rb") as opened:
            return dict(Arrays(opened, str(file)))

    def run(self, show: Callable[[str], None] = print, jobs: int = 1) -> None:
        """Runs every part that is not done. What breaks is kept in `failures`; the others go on.

        Args:
            show: gets a line per part.
            jobs: how many parts are run at the same time, each in a process with cores of its own.
                What they find is the same; what they cost is that of those cores.

        Raises:
            ValueError: for several jobs where models have the same time to train.
        """
        check_count("jobs", jobs)
        if jobs > 1 and self.settings.match == "seconds":
            raise ValueError(
                "Parts that run at the same time take each other's seconds. Expected jobs=1 where "
                f"all models have the same seconds to train. Received {jobs}."
            )
        parts = self.parts()
        done = [part for part in parts if self.found(part)]
        self.run_folder.lock()
        self.run_folder.write_json(_PLAN, self._plan)
        (self.run_folder / _PARTS).mkdir(exist_ok=True)
        if done:
            show(f"{len(done)} of {len(parts)} parts are done already")
        progress, self.failures = training.Progress("part", seconds=0), []
        try:
            for part, known in self._each([part for part in parts if part not in done], jobs):
                if isinstance(known, Exception):
                    text = " ".join(str(known).split())[:300] or type(known).__name__
                    self.failures.append(
                        {"model": part.model, "seed": part.seed, "stage": part.stage, "error": text}
                    )
                    show(f"FAILED: {part}: {text}")
                else:
                    for line in _said(part, known):
                        show(line)
                done.append(part)
                progress(len(done), len(parts), f"{part}  ")
        except KeyboardInterrupt:
            kept = len(done) - len(self.failures)
            show(f"Interrupted: {kept} of {len(parts)} parts are kept; the same command goes on")
            raise

    def _each(self, parts: list[Part], jobs: int) -> "Iterator[tuple[Part, dict | Exception]]":
        """Yields each part with what is known of it, as they end."""
        if min(jobs, len(parts)) < 2:
            yield from ((part, self._done(part)) for part in parts)
            return
        start = processes(jobs, _begin, jobs, self)
        # A model's parts one after the other: later ones take the learning rate of the first.
        yield from in_turns(parts, operator.attrgetter("model"), _do, jobs, start)

    def _done(self, part: Part, jobs: int = 1) -> "dict | Exception":
        """Runs a part and keeps what it found; returns what is known of it, or what went wrong."""
        started = time.monotonic()
        try:
            known, found = self._run(part)
        except Exception as error:  # whatever it is: the others are worth having
            return error
        finally:
            keras.backend.clear_session(free_memory=False)
            self._ran += 1
            if self._ran % len(self.models) == 0:
                gc.collect()  # a model and its graphs refer to each other in circles
        known |= {"seconds": time.monotonic() - started, "jobs": jobs}
        self._keep(part, known, found)
        return known

    def _keep(self, part: Part, known: dict, found: tasks.Found) -> None:
        folder = RunFolder(self.run_folder / _PARTS, overwrite=True)
        arrays, cells = dict(found.arrays), []
        if found.cells:  # one array of them all: a file of hundreds is slow to read
            each = [values for cell in found.cells for values in cell["parts"].values()]
            arrays[_EXAMPLES] = np.concatenate(each)
            for cell in found.cells:
                sizes = {name: len(values) for name, values in cell["parts"].items()}
                cells.append({**cell, "parts": sizes})
        if arrays:
            folder.write_arrays(f"{part.key}.npz", **arrays)
        known = {**known, "values": found.values, "cells": cells}
        folder.write_json(f"{part.key}.json", known)

    def cells(self, part: Part) -> "list[dict]":
        """Returns what a finished part found example by example, see `tasks.Found`."""
        found, examples, start = self.found(part), self.arrays(part).get(_EXAMPLES), 0
        cells = []
        for cell in found["cells"] if found else []:
            parts = {}
            for name, size in cell["parts"].items():
                parts[name] = examples[start : start + size]
                start += size
            cells.append({**cell, "parts": parts})
        return cells

    def _run(self, part: Part) -> "tuple[dict, tasks.Found]":
        entrant, settings = entrant_of(part.model), self.settings
        stage, _, count = part.stage.partition("_")
        data, outside = self.data, None
        if part.stage == "held_out":
            data, outside = hold_out(self.data, [part.seed % self.data.num_classes])
        elif stage == "labels":
            data = self._with_labels(part, int(count))
        epochs = None
        if stage == "labels" and len(data.train) < len(self.data.train):
            # As many steps with few examples as with all, or a network had no time to learn.
            all_, few = (
                each.train.num_batches(min(settings.batch_size, len(each.train)))
                for each in (self.data, data)
            )
            epochs = max(1, settings.epochs * all_ // few)
        if entrant.build is None:
            one, known = _fitted(entrant, data, settings, part.seed)
        else:
            rate = self._rate_of_another_seed(part)
            model, known = train(part.model, data, settings, part.seed, epochs, rate)
            started = time.monotonic()
            predictor = entrant.finish(model, data, settings, known["width"], part.seed)
            known["train_seconds"] += time.monotonic() - started
            summary = entrant.summary(predictor, settings, known["width"])
            known["training"] |= training.of_posterior(summary, data.num_classes)
            one = entrant.contestant(predictor, data, settings, part.seed)
        if stage == "labels":
            return known, tasks.labels(one, int(count))
        if outside is not None:
            return known, tasks.held_out(one, outside)
        found = tasks.Found()
        for name in settings.tasks:
            if name in tasks.TASKS:
                found.include(tasks.TASKS[name](one, self.others))
        model.save(self.run_folder / _PARTS / f"{part.key}.keras")
        return known, found

    def _rate_of_another_seed(self, part: Part) -> float | None:
        """Returns the learning rate that was chosen for the same model and data, or None."""
        stage = "main" if part.stage == "held_out" else part.stage
        for seed in range(self.seeds):
            found = self.found(Part(part.model, seed, stage))
            if found is not None:
                return found["learning_rate"]
        return None

    def _with_labels(self, part: Part, count: int) -> Data:
        train = keep_labels(self.data.train, count, part.seed)
        if not entrant_of(part.model).needs_all_examples:
            train = train.select(np.flatnonzero(train.labels >= 0), train.name)
        return dataclasses.replace(self.data, train=train)


def _said(part: Part, known: dict) -> "Iterator[str]":
    """Yields what a person who waits reads of a part that is done."""
    if known["rates_tried"]:
        tried = ", ".join(f"{r}: {s:.3f}" for r, s in known["rates_tried"].items())
        yield (
            f"{part}: learning rate {known['learning_rate']:g}, by "
            f"{entrant_of(part.model).objective} on validation data ({tried})"
            + f", the {known['rate_at_end']} of the grid"
            * bool(known["rate_at_end"])
        )
    if known["training"]:
        yield f"{part}: {training.conclusion(known['training'])}"


_here: "dict[str, tuple[Comparison, int]]" = {}  # of a process that runs parts for another one


def _begin(jobs: int, comparison: Comparison) -> None:
    _here["asked"] = comparison, jobs


def _do(part: Part) -> "dict | Exception":
    comparison, jobs = _here["asked"]
    known = comparison._done(part, jobs)
    if isinstance(known, Exception):  # whatever it holds, its words come through
        return RuntimeError(str(known) or type(known).__name__)
    return known


def _fitted(entrant, data: Data, settings: Settings, seed: int) -> "tuple[Contestant, dict]":
    """Returns what is not trained by Keras, and what is known of it as `fitting.train` says it."""
    started = time.monotonic()
    one = entrant.contestant(None, data, settings, seed)
    nothing = dict.fromkeys(("parameters", "width", "epochs", "learning_rate"))
    known = {"rate_at_end": "", "rates_tried": {}, "training": {}}
    return one, {**nothing, **known, "train_seconds": time.monotonic() - started}
