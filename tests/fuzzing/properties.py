"""The properties: a strategy of cases each, whose `run` works or raises one of our errors."""

import typing

from hypothesis import strategies as st

from fuzzing import files, models, programs


class Property(typing.NamedTuple):
    """What is claimed of every case of a strategy: `outcomes.of(case.run)` returns."""

    cases: st.SearchStrategy
    heavy: bool = False  # whether a case traces a graph: `count` runs fewer of them


EAGER, GRAPH = True, False
PROPERTIES = {
    "npz_files": Property(files.npz_files()),
    "csv_files": Property(files.csv_files()),
    "image_folders": Property(files.image_folders()),
    "saved_models": Property(files.saved_models),
    **{f"flags_of_{name}": Property(programs.programs(name)) for name in programs.PROGRAMS},
    "vaes": Property(models.vaes(EAGER)),
    "networks": Property(models.networks(EAGER)),
    "vaes_in_graphs": Property(models.vaes(GRAPH), heavy=True),
    "networks_in_graphs": Property(models.networks(GRAPH), heavy=True),
}
