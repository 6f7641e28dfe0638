"""What the programs that start from a run folder share: its model, and its data."""

import tfp_vae as tv
from tfp_vae.arguments import printable

from . import data_flags, folder_flags, start

_MOVABLE = ("data_dir",)  # what may lie elsewhere now


def folder() -> "tv.report.RunFolder":
    """Returns the folder of a run that is there, and starts TensorFlow after the look."""
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value, overwrite=True)
    if not (run / "model.keras").is_file():
        raise FileNotFoundError(
            f"There is no model at {run / 'model.keras'}. Expected the folder of a run in "
            "--run_dir. Received no file."
        )
    start()
    return run


def opened(run: "tv.report.RunFolder") -> "tuple[object, tv.data.Data, dict, dict]":
    """Returns (model, data, source of the data, what metrics.json knows) of a run.

    The data are those that the model was trained on, unless flags name others.

    Raises:
        ValueError: if model.keras is not the model that the run is about.
    """
    found, trained = model(run)
    source = data_flags.source()
    if not data_flags.DATASET.present:  # what the model was trained on
        if not trained:
            tv.report.read_json(run / "metrics.json")  # which says that it is not there
        known = {key: trained.get(key) for key in source}
        source = known | {key: value for key, value in source.items() if value and key in _MOVABLE}
    data = data_flags.load(source, found.data_kind)
    if trained.get("quadrants"):
        data = tv.data.completion(data, trained["quadrants"])
    return found, data, source, trained


def model(run: "tv.report.RunFolder") -> "tuple[object, dict]":
    """Returns (model, what metrics.json knows or {}) of a run.

    Raises:
        ValueError: if model.keras is not the model that the run is about.
    """
    # Of a posterior that started from the trained point: its draws, or itself.
    drawn = run / "posterior.keras"
    found = tv.load(drawn if drawn.is_file() else run / "model.keras")
    if (run / "conformal.json").is_file():
        known = tv.report.read_json(run / "conformal.json")
        found.conformal = tv.conformal.Conformal.from_json(known)
    known_run = (run / "metrics.json").exists()
    trained = tv.report.read_json(run / "metrics.json") if known_run else {}
    tell_interrupted(run, trained)
    method = trained.get("method")
    if method is not None and not (isinstance(method, str) and method in tv.methods.METHODS):
        raise ValueError(
            f"{run / 'metrics.json'} is damaged. Expected a method, one of "
            f"{', '.join(tv.methods.METHODS)}. Received {repr(method)[:100]}."
        )
    if method and tv.methods.METHODS[method].post_hoc and not drawn.is_file():
        raise ValueError(
            f"The posterior of {method} is not in model.keras, which holds the point it "
            f"started from. Expected {drawn.name} beside it. Received no such file; train_bnn with "
            "the flags.txt of the run makes the posterior again."
        )
    return found, trained


def tell_interrupted(run: "tv.report.RunFolder", trained: dict) -> None:
    """Says it if the training of a run was interrupted, which its model does not show."""
    if trained.get("interrupted"):
        epochs = printable(trained.get("epochs"))
        print(f"{run.path}: its training was interrupted after epoch {epochs}")


def check_vae(model: object, what: str) -> None:
    """Raises `ValueError` if a model is not a VAE, of which alone something is asked.

    Args:
        model: of a run.
        what: is asked for, as the start of a sentence, such as "Latents".
    """
    if not isinstance(model, tv.VAE):
        raise ValueError(
            f"{what} are those of a VAE. Expected the folder of a run of train_vae. Received a "
            f"{type(model).__name__}."
        )
