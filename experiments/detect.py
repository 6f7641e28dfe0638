"""Finds what is unusual among the rows of a file, with a stated rate of false alarms.

    python -m experiments.detect --data=rows.csv --out=found.csv --run_dir=runs/rows
    python -m experiments.detect --data=new.csv --out=found.csv --run_dir=runs/rows

A VAE is trained on four fifths of the rows where the run folder is new, and the others say what
scores usual rows have; the model that is there is used otherwise. OUT has for each row its score
(-log p(x), nats), a p-value, whether it is flagged, and why: which values, and what would have been
expected. Of images heat_maps.png shows the most unusual. The run folder has the detector, which
`predict` knows. The first row below a header is number 1.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli, data_flags, folder_flags, row_flags, row_training, start, trained_runs

cli.leave_out(*(flag for flag in row_flags.UNREAD if flag is not data_flags.COLUMNS))
_RATE = flags.DEFINE_float(
    "false_positive_rate", 0.01, "Share of usual rows that are flagged.", 1e-9, 0.999
)
_SCORE = flags.DEFINE_enum(
    "score",
    "negative_log_evidence",
    [
        name
        for name in peek.names("evaluation.ood.SCORES")
        if name.startswith(("negative", "typ", "like", "input"))
    ],
    "What is high for unusual rows.",
)


def main():
    """Trains or loads, scores, writes."""
    row_flags.check()
    run = tv.report.RunFolder(folder_flags.RUN_DIR.value, overwrite=True)
    is_new = not (run / "model.keras").is_file()
    if is_new:
        run = tv.report.RunFolder(folder_flags.RUN_DIR.value)  # which has to be empty
    start()
    detector = _trained(run) if is_new else _loaded(run)
    rows = row_flags.read(detector.model)
    split = detector.model.as_split(rows.values)
    columns = tv.evaluation.answers.of_scores(detector, split)
    row_flags.write(rows, columns)
    if len(split.shape) == 3 and split.shape[-1] in (1, 3):
        worst = columns["score"].argsort()[::-1][:16]
        parts = detector.parts(split.select(worst, "worst")).values
        figure = tv.plots.heat_maps(
            split.values(worst), parts, detector.usual, columns["p_value"][worst]
        )
        run.write_figure("heat_maps.png", figure)
    rate = detector.false_positive_rate
    print(
        f"{columns['anomaly'].sum()} of {len(split)} rows have a score above "
        f"{detector.threshold:.4g}, as {100 * rate:g} % of usual rows have"
    )


def _trained(run) -> "tv.Detector":
    """Returns the detector of a new run."""
    from tfp_vae.studies import detection

    options = {}
    if row_flags.is_table():
        options = {
            "columns": ",".join(data_flags.COLUMNS.value or ()) or {},
            "delimiter": data_flags.DELIMITER.value,
            "encoding": data_flags.ENCODING.value,
        }
    data = tv.data.load(row_flags.DATA.value, **options)
    detection.check(data, _RATE.value)
    if data.schema is not None:
        print(data.schema)
    model = row_training.trained(run, data)
    detector = tv.Detector(model, _SCORE.value).fit(detection.held_out(data), _RATE.value)
    detector.save(run / "detector.json")
    return detector


def _loaded(run) -> "tv.Detector":
    """Returns the detector of a run, at the rate that is asked for."""
    cli.refuse_unused(False, "a new run folder", data_flags.COLUMNS, _SCORE, *row_training.FLAGS)
    model, _ = trained_runs.model(run)
    trained_runs.check_vae(model, "Scores of rows")
    if not (run / "detector.json").is_file():
        raise FileNotFoundError(
            f"There is no detector at {run / 'detector.json'}. Expected the folder of a run of "
            "detect that came to its end, or a new one. Received no file."
        )
    found = tv.Detector.load(run / "detector.json", model)
    if _RATE.present:
        found.change_rate(_RATE.value)
    return found


if __name__ == "__main__":
    cli.run(main)
