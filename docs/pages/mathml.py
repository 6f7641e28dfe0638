"""Mathematics as MathML, which browsers draw themselves: no script, no font, no network."""

import html
import re
from typing import Any

import latex2mathml.converter
from docutils import nodes

# TeX has a thin space around these names, but before a bracket. Not where they carry an index.
_NAMES = "<mi>(?:log|ln|exp|det|max|min|sin|cos|tanh)</mi>"
_ONE = "mi|mn|msub|msup|msubsup|mfrac|mrow"
_AROUND = re.compile(
    f"(?:(?<=</mi>)|(?<=</mn>)|(?<=</msub>)|(?<=</mfrac>))(?={_NAMES})"
    f"|(?<!<msub>)(?<!<msup>)({_NAMES})(?=<(?:{_ONE}|munder)>)"
)
_THIN = r'\g<0><mspace width="0.167em"></mspace>'


def mathml(latex: str, display: str = "inline") -> str:
    """Returns a formula as MathML.

    Args:
        latex: of the formula, without dollars.
        display: "inline" or "block".
    """
    # KL(q || p): a fence would be stretched, and `\|` is the same sign.
    text = re.sub(r"\\tag\{([^}]*)\}", r"\\qquad\\text{(\1)}", latex)
    found = latex2mathml.converter.convert(text, display=display)
    found = _AROUND.sub(_THIN, found)
    return found.replace("<math ", f'<math aria-label="{html.escape(latex, quote=True)}" ', 1)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(mathml(node.astext(), "block"))
    raise nodes.SkipNode


def setup(app: Any) -> "dict[str, bool]":
    """Tells Sphinx of the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
