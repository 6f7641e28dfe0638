"""What `evaluation.diagnose` found, in words."""

from collections.abc import Mapping

from tfp_vae.report.sealed import words_of

_NUMBERS = (
    *("elbo", "rate", "distortion", "log_evidence", "gap"),
    *("approximation_gap", "amortisation_gap", "mutual_information"),
    *("most_information", "most_of_a_batch", "aggregate_kl", "active_units", "decoder_spread"),
    *("scale_ratio", "scale_cost", "kl_weight"),
)


def render_diagnosis(found: Mapping, language: str = "en") -> str:
    """Returns numbers, dimensions, and a sentence each of every cause and its remedy.

    Args:
        found: what `evaluation.diagnose` returned.
        language: one of `LANGUAGES`.

    Raises:
        ValueError: if there are no texts in the language.
    """
    words = words_of(__package__, language)["diagnosis"]
    lines = [words["title"].format(**found)]
    for name in _NUMBERS:
        if found[name] is not None:
            value = f"{found[name]:.4g}"
            lines.append(f"  {words['numbers'][name].format(**found)}: {value}")
    if found["gap_missing"]:
        lines.append("  " + words["gap_missing"].format(**found))
    lines += [words["dimensions"], *_dimensions(found)]
    lines += [*causes(found, language)] or [words["healthy"]]
    return "\n".join(lines)


def causes(found: Mapping, language: str = "en") -> "list[str]":
    """Returns a sentence for every cause that was found, and one for its remedy, as one line."""
    words = words_of(__package__, language)["diagnosis"]
    space = "" if language == "zh" else " "
    shown = dict(found)
    if found["scale_ratio"]:
        shown |= {"best": 1 / found["scale_ratio"]}
    return [
        space.join(words[kind][name].format(**shown) for kind in ("causes", "remedies"))
        for name in found["findings"]
    ]


def _dimensions(found):
    rows = zip(
        found["kl_per_dimension"] or [None] * found["latent_dim"],  # no sum over dimensions
        found["variance_per_dimension"],
        found["sensitivity"],
        strict=True,
    )
    ranked = sorted(enumerate(rows), key=lambda row: -row[1][1])
    return [f"  z{d}: " + "  ".join(map(_number, row)) for d, row in ranked]


def _number(value):
    return f"{'-':>10}" if value is None else f"{value:10.4g}"
