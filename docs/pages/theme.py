"""Words of the theme in the language of the pages, those too for which it asks no catalogue."""

import gettext
import re
from typing import Any

# What the theme says to readers of a screen, in English alone: labels, and titles of symbols.
_LABELS = re.compile(r'(?<=aria-label=")[^"]+|(?<=<title>)[^<]+')
_PARTS = re.compile(r'(?<=aria-label=")Toggle navigation of ([^"]*)')
# "@X's theme" at the foot of a page: the catalogue has no sentence of it, only its parts.
_GENITIVE = re.compile(r"(@\w+</a>)'s\b")


def translated(page: str, catalogue: gettext.NullTranslations) -> str:
    """Returns a page with the labels that the theme writes in English as a catalogue has them.

    Args:
        page: HTML.
        catalogue: of the language; what it lacks stays as it is.
    """
    part, genitive = catalogue.gettext("Toggle navigation of %s"), catalogue.gettext("'s")
    page = _PARTS.sub(lambda found: part.replace("%s", found[1]), page)
    page = _LABELS.sub(lambda found: catalogue.gettext(found[0]), page)
    return _GENITIVE.sub(lambda found: found[1] + genitive, page)


def _context(app: Any, name: str, template: str, context: dict, tree: Any) -> None:
    context["translated"] = lambda page: translated(page, app.translator)


def setup(app: Any) -> "dict[str, bool]":
    """Tells Sphinx of the words."""
    app.connect("html-page-context", _context)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
