"""Compares VAEs and Bayesian networks on the same data and writes one report.

settings = comparison.Settings.of("quick", data)
run = comparison.Comparison("runs/compare", data, settings, ["conditional_vae", "bnn"], seeds=3)
run.run()
page, verdict = comparison.write(run, command="...")
"""

from tfp_vae.comparison.entrants import ENTRANTS
from tfp_vae.comparison.plan import Comparison, Part
from tfp_vae.comparison.settings import BUDGETS, MATCHES, Settings
from tfp_vae.comparison.writing import write

__all__ = ["BUDGETS", "ENTRANTS", "MATCHES", "Comparison", "Part", "Settings", "write"]
