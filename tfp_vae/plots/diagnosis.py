"""A picture of what `evaluation.diagnose` found."""

from collections.abc import Mapping

import matplotlib
import numpy as np

from tfp_vae.plots.figure import Figure
from tfp_vae.plots.style import INK, TRAIN, VALIDATION, chinese_font
from tfp_vae.report.diagnosis import causes
from tfp_vae.report.sealed import words_of

_MOST_NAMES = 12  # under an axis


def diagnosis(found: Mapping, language: str = "en") -> Figure:
    """Returns the KL, the variance of the mean and the sensitivity of each dimension.

    Dimensions are sorted by their variance; those that are not active are red. Under them are the
    mutual information and the aggregate KL, whose sum is the rate, and the causes in words. Without
    a font that has Chinese letters, the words are English.

    Args:
        found: what `evaluation.diagnose` returned.
        language: one of `report.LANGUAGES`.
    """
    font = chinese_font() if language == "zh" else None
    language = "en" if language == "zh" and font is None else language
    family = ["DejaVu Sans", *([font] if font else [])]
    words = words_of("tfp_vae.report", language)["diagnosis"]["picture"]
    variance = np.array(found["variance_per_dimension"])
    order = np.argsort(-variance)
    colours = np.where(variance[order] > 0.01, TRAIN, VALIDATION)
    with matplotlib.rc_context({"font.family": family}):
        figure = Figure(figsize=(9.0, 6.0), layout="constrained")
        axes = figure.subplots(2, 2).ravel()
        for axis, name in zip(axes, ("kl_per_dimension", "variance_per_dimension", "sensitivity")):  # noqa: B905
            if found[name] is None:
                axis.set_visible(False)  # the KL is no sum over dimensions
                continue
            axis.bar(np.arange(len(order)), np.array(found[name])[order], color=colours)
            axis.set_title(words[name], loc="left", fontsize=10, color=INK)
            every = -(-len(order) // _MOST_NAMES)
            axis.set_xticks(
                np.arange(len(order))[::every], [f"z{d}" for d in order[::every]], fontsize=7
            )
        names = ["rate", "mutual_information", "aggregate_kl", "most_of_a_batch"]
        axes[3].barh(
            [words[name] for name in names], [found[name] or 0.0 for name in names], color=TRAIN
        )
        axes[3].invert_yaxis()
        axes[3].set_title(words["nats"], loc="left", fontsize=10, color=INK)
        figure.suptitle(
            "\n".join(causes(found, language)) or words["healthy"],
            fontsize=9,
            color=INK,
            wrap=True,
        )
        figure.canvas.draw()  # while the fonts are chosen
    return figure
