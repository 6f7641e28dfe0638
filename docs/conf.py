"""Sphinx reads this for both languages; scripts/docs calls it with -D language=en or zh_CN."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tfp_vae.version import __version__  # noqa: E402

project = "tfp_vae"
author = "The authors of tfp_vae"
copyright = "Apache-2.0"
release = version = __version__
extensions = ["myst_parser", "docs.pages.mathml", "docs.pages.chinese", "docs.pages.theme"]
myst_enable_extensions = ["dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
templates_path = [str(ROOT / "docs" / "templates")]
locale_dirs = [str(ROOT / "docs" / "locale")]
html_theme = "furo"
html_title = f"tfp_vae {__version__}"
html_static_path = [str(ROOT / "docs" / "static")]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_use_index = False
pygments_style, pygments_dark_style = "friendly", "github-dark"
# Nothing of a page comes from elsewhere: fonts are those of the reader, mathematics is MathML.
html_math_renderer = "mathml"
