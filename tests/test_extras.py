"""What an installation lacks is named with the command that brings it, where it is used."""

import importlib
import sys

import numpy as np
import pandas as pd
import pytest

import tfp_vae as tv
from tfp_vae import extras
from tfp_vae.data import table_files
from tfp_vae.evaluation.ood.scores import complexity_bits
from tfp_vae.report import sealed


@pytest.fixture
def images():
    return tv.data.load(np.random.default_rng(0).random((20, 8, 8, 1)).astype(np.float32)).test


def test_pictures_without_matplotlib_name_the_command(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tfp_vae.plots")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "tfp_vae\[report\]".*matplotlib'):
        importlib.import_module("tfp_vae.plots")


def test_pages_without_jinja2_name_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'pip install "tfp_vae\[report\]".*jinja2'):
        sealed.render("tfp_vae.report", "report.html", [], [], "en")


def test_folders_of_images_without_pillow_name_the_command(monkeypatch, tmp_path):
    (tmp_path / "one.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "tfp_vae\[images\]".*PIL'):
        tv.data.load(tmp_path)


def test_lengths_of_images_without_pillow_name_the_command(monkeypatch, images):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "tfp_vae\[images\]".*PIL'):
        complexity_bits(images)


@pytest.mark.parametrize("extra", extras.MODULES)
def test_what_is_there_is_no_error_and_what_is_not_is_named(extra, monkeypatch):
    for name in extras.MODULES[extra]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError) as caught:
        extras.need(extra, "Things")
    assert str(caught.value).endswith(f"Received no {', '.join(extras.MODULES[extra])}.")


@pytest.mark.parametrize(("module", "ending"), [("pyarrow", ".parquet"), ("openpyxl", ".xlsx")])
def test_tables_without_their_reader_name_the_command(module, ending, monkeypatch, tmp_path):
    path = tmp_path / f"rows{ending}"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    for work in (table_files.read_frame, lambda path: table_files.write_frame(frame, path)):
        with pytest.raises(ImportError, match=rf'"tfp_vae\[tables\]".*Received no {module}'):
            work(path)
    table_files.write_frame(frame, tmp_path / "rows.csv")  # which needs pandas alone


def test_a_module_that_a_finder_hides_is_missing(monkeypatch):
    class Hides:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "umap":
                raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(sys, "meta_path", [Hides, *sys.meta_path])
    with pytest.raises(ImportError, match=r'"tfp_vae\[maps\]".*Received no umap'):
        extras.need("maps", "Maps")
