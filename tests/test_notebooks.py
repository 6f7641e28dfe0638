"""A notebook shows what its last line returns."""

import re

import keras
import numpy as np

import tfp_vae as tv
from tfp_vae import notebooks, report


def test_data_and_splits_are_tables_with_their_classes_beside():
    data = tv.data.load("digits")
    shown = data._repr_html_()
    assert re.findall(r"<td>(\d+)</td>", shown) == ["1294", "144", "359"]
    assert "<td>labels</td>" in data.test._repr_html_()


def test_models_name_their_parts_and_count_their_parameters(make_vae):
    vae = make_vae()
    shown = vae._repr_html_()
    assert "StandardNormal" in shown and "not built" not in shown
    counts = re.findall(r"<td>([\d,]+)</td>", shown)
    assert sum(int(each.replace(",", "")) for each in counts) == vae.count_params()


def test_predictives_and_detectors_say_what_they_are(make_vae):
    network = keras.Sequential([tv.layers.DenseReparameterization(3)])
    bnn = tv.BayesianNetwork(network, tv.likelihoods.Categorical(3))
    assert "not built" in bnn._repr_html_()
    shown = bnn.predictive(np.zeros((2, 4)), 5)._repr_html_()
    assert "<td>2</td><td>5</td><td>classes</td><td>False</td>" in shown
    assert "negative_log_evidence" in tv.Detector(make_vae())._repr_html_()


def test_text_of_data_is_never_markup():
    assert "<script>" not in notebooks.table("<script>", ["<script>"], [["<script>"]])


def test_a_figure_shows_itself():
    figure = tv.plots.training_curve({"elbo": [-2.0, -1.0], "kl": [0.5, 0.7]})
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_tables_of_results_are_tables_too():
    run = report.runs.Run("runs/a<b", "finished", metrics={"test_elbo": -3.0})
    shown = report.runs.tabulate([run])._repr_html_()
    assert "<th>test_elbo</th>" in shown and "<td>runs/a&lt;b</td>" in shown and "<td>-3" in shown
    cell = {"format": "onnx", "signature": "encode", "passed": True, "size": 2000}
    verified = tv.export.Verification([cell])._repr_html_()
    assert "<td>encode</td><td></td><td>2</td>" in verified and "<td>ok</td>" in verified
