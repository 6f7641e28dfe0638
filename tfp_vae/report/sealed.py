"""Pages that bring everything along and may load nothing: for reports and for decoders."""

import base64
import functools
import hashlib
import importlib.resources
import json
from collections.abc import Sequence

from tfp_vae import extras
from tfp_vae.arguments import check_choice

LANGUAGES = ("en", "zh")


def html_name(language: str) -> str:
    """Returns what HTML calls a language of `LANGUAGES`."""
    return {"zh": "zh-Hans"}.get(language, language)


def file_of(stem: str, suffix: str, language: str) -> str:
    """Returns the name of a file in a language: index.html, index.zh.html."""
    return f"{stem}.{suffix}" if language == "en" else f"{stem}.{language}.{suffix}"


def words_of(package: str, language: str) -> dict:
    """Returns the texts of a package, its `texts/LANGUAGE.json`.

    Raises:
        ValueError: if there are no texts in the language.
    """
    check_choice("language", language, LANGUAGES)
    return json.loads(_file(package, f"texts/{language}.json"))


def render(
    package: str, template: str, styles: Sequence[str], scripts: Sequence[str], language, **values
) -> str:
    """Returns a page as HTML.

    Args:
        package: whose folder `templates` holds the files.
        template: extends `sealed.html`.
        styles: files of the page's style, after that of all pages.
        scripts: files of its script, which run as one function.
        language: one of `LANGUAGES`.
        values: of the template.
    """
    extras.need("report", "Pages")
    from markupsafe import Markup  # loaded when used

    style = _file(__package__, "templates/sealed.css")
    style += "".join(_file(package, f"templates/{name}") for name in styles)
    script = "".join(_file(package, f"templates/{name}") for name in scripts)
    script = "(() => {\n" + script + "})();\n"
    # Nothing may be loaded or run but what this file brings: the hashes are those of its own style
    # and script, so text that slips into the page as markup can do neither.
    policy = (
        "default-src 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment(package)
        .get_template(template)
        .render(
            lang=html_name(language),
            policy=policy,
            style=Markup(style),
            script=Markup(script),
            **values,
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


@functools.cache
def _environment(package: str):
    import jinja2  # loaded when used

    folders = [jinja2.PackageLoader(name, "templates") for name in (package, __package__)]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=False,
    )


@functools.cache
def _file(package: str, path: str) -> str:
    return (importlib.resources.files(package) / path).read_text(encoding="utf-8")
