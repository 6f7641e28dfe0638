"""Pictures: matplotlib figures that the caller saves or shows."""

from tfp_vae.plots import style as style  # the first: it says what is missing
from tfp_vae.plots.calibration import (
    interval_coverage,
    reliability_diagram,
    risk_coverage,
    signal_to_noise,
)
from tfp_vae.plots.codec import code_lengths
from tfp_vae.plots.detection import heat_maps
from tfp_vae.plots.diagnosis import diagnosis
from tfp_vae.plots.gradients import signal_against_draws
from tfp_vae.plots.ladder import bound_ladder
from tfp_vae.plots.latent_space import maps, rows_of_images
from tfp_vae.plots.methods import method_comparison
from tfp_vae.plots.predictive import (
    classification_maps,
    pruning,
    regression_curves,
    uncertainty_histogram,
    write_predictive,
)
from tfp_vae.plots.tiles import tile
from tfp_vae.plots.tuning import search_results
from tfp_vae.plots.vae import (
    bound_against_examples,
    class_samples,
    clusters,
    completions,
    images,
    latent_scatter,
    manifold,
    prior_samples,
    reconstructions,
    training_curve,
    write_all,
)

__all__ = [
    "bound_against_examples",
    "bound_ladder",
    "class_samples",
    "classification_maps",
    "clusters",
    "code_lengths",
    "completions",
    "diagnosis",
    "heat_maps",
    "images",
    "interval_coverage",
    "latent_scatter",
    "manifold",
    "maps",
    "method_comparison",
    "prior_samples",
    "pruning",
    "reconstructions",
    "regression_curves",
    "reliability_diagram",
    "risk_coverage",
    "rows_of_images",
    "search_results",
    "signal_against_draws",
    "signal_to_noise",
    "tile",
    "training_curve",
    "uncertainty_histogram",
    "write_all",
    "write_predictive",
]
