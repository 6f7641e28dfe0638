"""A decoder as a page for a browser."""

from tfp_vae.export.page.web import LANGUAGES, PAGE, check, render, write

__all__ = ["LANGUAGES", "PAGE", "check", "render", "write"]
