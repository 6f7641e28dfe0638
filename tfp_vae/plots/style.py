"""What all pictures share: colours, and that matplotlib is there."""

from tfp_vae import extras

extras.need("report", "Pictures")

INK = "#1b2a41"
TRAIN, VALIDATION = "#1f77b4", "#d1495b"
