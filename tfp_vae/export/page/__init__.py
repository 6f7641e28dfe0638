"""A decoder as one page for a browser."""
