"""Training: what goes around Keras' `fit`."""

from tfp_vae.training import precision
from tfp_vae.training.checkpoints import Checkpoints, Stopped
from tfp_vae.training.clustering import StartClusters
from tfp_vae.training.convergence import (
    agreement,
    conclusion,
    convergence,
    convergence_of,
    of_posterior,
    slope_at_end,
)
from tfp_vae.training.devices import STRATEGIES, is_chief, strategy
from tfp_vae.training.encoder_first import EncoderFirst
from tfp_vae.training.failures import StopOnNaN, check_finished, saved_if_interrupted
from tfp_vae.training.finishing import Finish
from tfp_vae.training.history import HistoryFile
from tfp_vae.training.progress import Progress, ShowProgress, duration
from tfp_vae.training.schedules import (
    SCHEDULES,
    early_stopping,
    learning_rate,
    steps_per_execution,
    tensorboard,
)

__all__ = [
    "SCHEDULES",
    "STRATEGIES",
    "Checkpoints",
    "EncoderFirst",
    "Finish",
    "HistoryFile",
    "Progress",
    "ShowProgress",
    "StartClusters",
    "StopOnNaN",
    "Stopped",
    "agreement",
    "check_finished",
    "conclusion",
    "convergence",
    "convergence_of",
    "duration",
    "early_stopping",
    "is_chief",
    "learning_rate",
    "of_posterior",
    "precision",
    "saved_if_interrupted",
    "slope_at_end",
    "steps_per_execution",
    "strategy",
    "tensorboard",
]
