"""Pictures of uncertainty: the right numbers at the right heights."""

import numpy as np
import pytest
from matplotlib import font_manager

from tfp_vae import plots
from tfp_vae.evaluation import calibration, regression
from tfp_vae.plots import comparison
from tfp_vae.plots.style import chinese_font, percent
from tfp_vae.report.texts import Texts

CURVES = {
    "a": (np.array([0.25, 0.5, 0.75, 1.0]), np.array([0.0, 0.0, 0.1, 0.2])),
    "b": (np.array([0.5, 1.0]), np.array([0.1, 0.3])),
}


def test_reliability_diagram_has_bars_of_accuracy_and_gaps_up_to_the_confidence():
    # Confidences 0.6 and 0.7 (one right), 0.9 (right), in bins of width 0.25.
    probs = np.array([[0.6, 0.4], [0.7, 0.3], [0.1, 0.9]])
    labels = np.array([0, 1, 1])
    figure = plots.reliability_diagram(np.log(probs), labels, "title", num_bins=4)
    upper, lower = figure.axes
    accuracy, gaps = upper.containers
    np.testing.assert_allclose([bar.get_height() for bar in accuracy], [0.5, 1.0])
    np.testing.assert_allclose([bar.get_x() for bar in accuracy], [0.5, 0.75])
    np.testing.assert_allclose([bar.get_width() for bar in accuracy], 0.25)
    # 0.5 is under 0.65, 1.0 over 0.9.
    np.testing.assert_allclose([bar.get_y() for bar in gaps], [0.5, 0.9])
    np.testing.assert_allclose([bar.get_height() for bar in gaps], [0.15, 0.1])
    np.testing.assert_allclose([bar.get_height() for bar in lower.containers[0]], [2, 1])
    np.testing.assert_array_equal(upper.lines[0].get_xydata(), [[0, 0], [1, 1]])
    error = (2 * 0.15 + 0.1) / 3
    assert [text.get_text() for text in upper.texts] == [f"ECE {error:.4f}, 4 bins"]
    assert upper.get_title() == "title"
    assert (lower.get_xlabel(), lower.get_ylabel()) == ("confidence", "examples")
    assert lower.get_yscale() == "log"


def test_the_error_in_the_picture_is_that_of_the_metrics():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 4)) * 2
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    labels = rng.integers(0, 4, 300)
    text = plots.reliability_diagram(log_probs, labels, "title").axes[0].texts[0].get_text()
    assert text == f"ECE {calibration.classification_metrics(log_probs, labels)['test_ece']:.4f}"


def test_points_of_a_comparison_are_whole_at_the_edges_and_have_the_error_of_the_table():
    log_probs = np.log([[1 - 1e-9, 1e-9], [0.6, 0.4]])  # sure and right: a point in the corner
    style = comparison.Style(Texts("en"), {"vae": "vae"})
    axis = comparison.reliability({"vae": (log_probs, [0, 1])}, style, {"vae": "0.031"}).axes[0]
    assert not axis.collections[-1].get_clip_on()
    assert axis.get_title() == "VAE\ncalibration error 0.031"


@pytest.mark.parametrize(
    ("share", "said"), [(0.1, "10%"), (0.1 + 1e-12, "10%"), (0.995, "99.5%"), (1, "100%")]
)
def test_percent_has_the_digits_of_the_number_alone(share, said):
    assert percent(share) == said


def test_chinese_letters_are_drawn_by_a_font_that_has_them_or_not_at_all(monkeypatch):
    name = chinese_font()
    if name is not None:
        assert font_manager.findfont(name, fallback_to_default=False)
    monkeypatch.setattr(comparison, "chinese_font", lambda: None)
    assert comparison.can_be_in("en") and not comparison.can_be_in("zh")


def test_reliability_diagram_refuses_what_the_metrics_refuse():
    with pytest.raises(ValueError, match=r"not normalised\. Expected"):
        plots.reliability_diagram(np.ones((3, 2)), np.zeros(3, int), "title")


def test_risk_coverage_has_a_line_per_curve_with_its_data():
    axis = plots.risk_coverage(CURVES).axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]
    for line, (coverage, risk) in zip(axis.lines, CURVES.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), coverage)
        np.testing.assert_array_equal(line.get_ydata(), risk)
    assert axis.get_ylim() == pytest.approx((0, 1.08 * 0.3))


def test_risk_of_the_first_examples_does_not_set_the_axis():
    # The most confident of 200 examples is wrong: a risk of one, for it alone.
    confidence = np.linspace(0.99, 0.6, 200)
    labels = np.zeros(200, int)
    labels[0] = 1
    log_probs = np.log(np.stack([confidence, 1 - confidence], axis=1))
    curve = calibration.risk_coverage(log_probs, labels)
    axis = plots.risk_coverage({"model": curve[:2]}).axes[0]
    assert axis.lines[0].get_ydata()[0] == 1
    assert axis.get_ylim()[1] == pytest.approx(1.08 / 4)


def test_interval_coverage_draws_observed_against_nominal_inside_a_binomial_band(base_seed):
    rng = np.random.default_rng(base_seed)
    cdfs = {"large": rng.random(400), "small": rng.beta(2, 2, size=100)}
    figure = plots.interval_coverage(cdfs)
    axis = figure.axes[0]
    levels = np.arange(1, 100) / 100
    diagonal, *lines = axis.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    for line, cdf in zip(lines, cdfs.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), levels)
        np.testing.assert_array_equal(
            line.get_ydata(), regression.interval_coverage(cdf, levels)[0]
        )
    band = axis.collections[0].get_paths()[0].vertices
    at_half = np.sort(np.unique(band[np.isclose(band[:, 0], 0.5), 1]))
    np.testing.assert_allclose(at_half, [0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["95 % of correct models, N = 100", "large", "small"]


def test_signal_to_noise_has_a_row_per_layer_with_its_median_in_decibels():
    ratios = {"first": np.array([[0.1, 1.0], [10.0, 10.0]]), "second": np.array([1.0, 10.0, 100.0])}
    axes = plots.signal_to_noise(ratios, bins=10).axes
    assert [axis.get_title(loc="left") for axis in axes] == [
        "first: 4 weights, median 5.0 dB",
        "second: 3 weights, median 10.0 dB",
    ]
    for axis, values, median in zip(axes, ratios.values(), (5, 10), strict=True):
        assert sum(bar.get_height() for bar in axis.patches) == values.size
        np.testing.assert_allclose(axis.lines[0].get_xdata(), median)
    edges = [bar.get_x() for bar in axes[0].patches]
    assert edges == [bar.get_x() for bar in axes[1].patches]
    inside = {i for i, bar in enumerate(axes[1].patches) if bar.get_height()}
    assert inside == {np.searchsorted(edges, db, side="right") - 1 for db in (0, 10, 20)}
    assert "dB" in axes[-1].get_xlabel()


def test_weights_of_ratio_zero_are_in_the_lowest_bin():
    ratios = {"layer": np.array([0.0, 0.0, 0.0, 1.0, 100.0])}
    axis = plots.signal_to_noise(ratios).axes[0]
    assert axis.patches[0].get_height() == 4 - (axis.patches[1].get_height() > 0)
    assert axis.get_title(loc="left") == "layer: 5 weights, median -inf dB"
    # Nothing but zeros is drawn too.
    axis = plots.signal_to_noise({"layer": np.zeros(3)}).axes[0]
    assert axis.patches[0].get_height() == 3


@pytest.mark.parametrize(
    "figure, name",
    [
        (lambda: plots.reliability_diagram(np.log([[0.9, 0.1]]), [0], "title"), "reliability"),
        (lambda: plots.risk_coverage(CURVES), "risk"),
        (lambda: plots.interval_coverage({"model": np.array([0.2, 0.7])}), "interval"),
        (lambda: plots.signal_to_noise({"layer": np.array([0.0, 2.0])}), "signal"),
    ],
    ids=["reliability", "risk", "interval", "signal"],
)
def test_figures_can_be_written(tmp_path, figure, name):
    figure().savefig(tmp_path / f"{name}.png")
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "draw", [plots.risk_coverage, plots.interval_coverage, plots.signal_to_noise]
)
def test_no_curves_are_refused(draw):
    with pytest.raises(ValueError, match=r"nothing to draw\. Expected.*Received an empty dict"):
        draw({})


@pytest.mark.parametrize("values", [[], [-1.0, 1.0], [np.nan], [np.inf]])
def test_ratios_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match=r"Layer first .* Expected finite numbers >= 0\. Received"):
        plots.signal_to_noise({"first": np.array(values)})
