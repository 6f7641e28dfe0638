"""The flag that says why cells of a table are missing."""

from absl import flags

from tfp_vae import peek

GROUP = "Table"
MISSING = flags.DEFINE_enum(
    "missing",
    "at_random",
    peek.names("distributions.missingness.MISSINGNESS"),
    "Why cells of a table are missing: not_at_random, for what their own value is.",
)
