"""The comparison of VAEs and networks by its short name; its room is `studies.comparison`."""

from tfp_vae.studies.comparison import (
    BUDGETS,
    ENTRANTS,
    MATCHES,
    Comparison,
    Part,
    Settings,
    fitting,
    settings,
    write,
)

__all__ = [
    "BUDGETS",
    "ENTRANTS",
    "MATCHES",
    "Comparison",
    "Part",
    "Settings",
    "fitting",
    "settings",
    "write",
]
