"""Fills the missing cells of a table, with intervals, by a VAE of its columns.

    python -m experiments.impute --data=in.csv --out=out.csv --run_dir=runs/table
    python -m experiments.impute --data=in.csv --out=out.csv --run_dir=runs/table --num_draws=5

A model is trained where the run folder is new, and the one that is there is used otherwise. OUT has
the rows of the file with means of numbers and the likeliest classes in the missing cells, or with
--num_draws=M the whole table M times, each with cells that are drawn, numbered by the column
"imputation". imputed.csv in the run folder lists every missing cell with its interval or its
certainty, and report.json how well cells of the test rows that were hidden are found. The first row
below a header is number 1.
"""

import pathlib

from absl import flags

import tfp_vae as tv

from . import cli, row_flags, table_flags

cli.leave_out(*table_flags.UNREAD)
_LEVEL = flags.DEFINE_float("level", 0.9, "Share of the cells that intervals hold.", 0.01, 0.99)
_NUM_DRAWS = flags.DEFINE_integer("num_draws", 0, "Drawn tables; 0 for the best one.", 0, 1000)
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 500, "S of each row.", lower_bound=1
)


def main():
    """Reads, trains or loads, fills, writes."""
    run, table, vae, data = table_flags.opened(_check)
    schema, cells = vae.decoder.schema, []

    def filled():
        first = 0
        for frame in table_flags.parts(table):
            found = tv.evaluation.complete(
                vae,
                schema.encode(frame[list(schema.names)], "given", row_flags.UNKNOWN.value),
                max(1, _NUM_DRAWS.value),
                seed=table_flags.SEED.value,
                level=_LEVEL.value,
                num_samples=_IMPORTANCE_SAMPLES.value,
                first_row=first,
            )
            here = tv.evaluation.imputed_cells(schema, frame, found)
            cells.append(here.assign(row=here["row"] + first + 1))
            first += len(frame)
            yield _as_written(schema, tv.evaluation.filled(schema, frame, found, _NUM_DRAWS.value))
            if first < len(table):
                print(f"{first:,} of {len(table):,} rows filled", flush=True)

    made = filled() if isinstance(table, tv.data.ColumnFile) else list(filled())
    tv.data.write_frames(made, table_flags.OUT.value)
    tv.data.write_frames(cells, run / "imputed.csv")
    report = tv.evaluation.imputation_report(vae, data.test, level=_LEVEL.value)
    run.write_json("report.json", {"level": _LEVEL.value, "columns": report})
    print(f"a tenth of the cells of {len(data.test)} test rows was hidden, and found so:")
    for row in report:
        print(f"  {row['column']}: {_said(row)}")
    count, out = sum(map(len, cells)), table_flags.OUT.value
    print(f"{count} cells filled: {out}, intervals in {run / 'imputed.csv'}")


def _said(row: dict) -> str:
    """Returns what `imputation_report` has of a column, in words."""
    count = f"{row['cells']} cell{'s' * (row['cells'] != 1)}"
    if "accuracy" in row:
        accuracy, of_mode = (f"{100 * row[key]:.0f} %" for key in ("accuracy", "accuracy_of_mode"))
        return f"{count}, {accuracy} right, {of_mode} by the most frequent class"
    if "rmse" in row:
        return (
            f"{count}, off by {row['rmse']:.4g}, by {row['rmse_of_mean']:.4g} with the mean; "
            f"{100 * row['coverage']:.0f} % in intervals for {100 * _LEVEL.value:g} %"
        )
    return f"{count} to judge by"


def _as_written(schema: "tv.data.Schema", frame):
    """Returns a part of a .csv file with the integers that gaps made floats in pandas."""
    if pathlib.Path(table_flags.DATA.value).suffix.lower() not in (".csv", ".tsv"):
        return frame
    names = [each.name for each in schema if each.dtype == "int64"]
    floats = [name for name in names if frame[name].dtype.kind == "f"]
    return frame.astype(dict.fromkeys(floats, "Int64"))


def _check(schema: "tv.data.Schema", columns: "list[str]") -> None:
    del schema
    if _NUM_DRAWS.value:
        tv.data.schema.check_numbered(columns)


if __name__ == "__main__":
    cli.run(main)
