"""Compares VAEs and Bayesian networks on the same data and writes one report.

settings = comparison.Settings.of("quick", data)
run = comparison.Comparison("runs/compare", data, settings, ["conditional_vae", "bnn"], seeds=3)
run.run()
page, verdict = comparison.write(run, command="...")
"""

from tfp_vae.studies.comparison.entrants import ENTRANTS, names
from tfp_vae.studies.comparison.plan import Comparison, Part
from tfp_vae.studies.comparison.settings import BUDGETS, MATCHES, Settings
from tfp_vae.studies.comparison.writing import write

__all__ = ["BUDGETS", "ENTRANTS", "MATCHES", "Comparison", "Part", "Settings", "names", "write"]
