"""What the programs that start from a run folder share: its model, and its data."""

from absl import flags

import tfp_vae as tv
from experiments import cli
from tfp_vae import methods, report

flags.adopt_module_key_flags(cli)
_MOVABLE = ("data_dir",)  # what may lie elsewhere now


def opened(run: report.RunFolder) -> "tuple[object, tv.data.Data, dict, dict]":
    """Returns (model, data, source of the data, what metrics.json knows) of a run.

    The data are those that the model was trained on, unless flags name others.

    Raises:
        ValueError: if model.keras is not the model that the run is about.
    """
    model = tv.load(run / "model.keras")
    source = cli.source()
    known_run = (run / "metrics.json").exists() or not cli.DATASET.present
    trained = report.read_json(run / "metrics.json") if known_run else {}
    if trained.get("method") in methods.AFTERWARDS:
        raise ValueError(
            f"The posterior of {trained['method']} is not in model.keras, which holds the point it "
            "started from. Expected a run of another method. Received this one; train_bnn with its "
            "flags.txt makes the posterior again."
        )
    if not cli.DATASET.present:  # what the model was trained on
        known = {key: trained.get(key) for key in source}
        source = known | {key: value for key, value in source.items() if value and key in _MOVABLE}
    data = cli.load(source, model.data_kind)
    if trained.get("quadrants"):
        data = tv.data.completion(data, trained["quadrants"])
    return model, data, source, trained
