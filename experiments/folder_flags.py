"""The flag of the folder that a program works in."""

from absl import flags

GROUP = "Where"
RUN_DIR = flags.DEFINE_string("run_dir", "runs/vae", "Folder that receives everything of the run.")
