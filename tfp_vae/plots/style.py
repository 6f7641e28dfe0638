"""Colours that all pictures share."""

INK = "#1b2a41"
TRAIN, VALIDATION = "#1f77b4", "#d1495b"
