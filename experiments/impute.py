"""Fills the missing cells of a table, with intervals, by a VAE of its columns.

    python -m experiments.impute --data=in.csv --out=out.csv --run_dir=runs/table
    python -m experiments.impute --data=in.csv --out=out.csv --run_dir=runs/table --num_draws=5

A model is trained where the run folder is new, and the one that is there is used otherwise. OUT has
the rows of the file with means of numbers and the likeliest classes in the missing cells, or with
--num_draws=M the whole table M times, each with cells that are drawn, numbered by the column
"imputation". imputed.csv in the run folder lists every missing cell with its interval or its
certainty, and report.json how well cells of the test rows that were hidden are found.
"""

from absl import flags

import tfp_vae as tv

from . import cli, table_flags

cli.leave_out(*table_flags.UNREAD)
_LEVEL = flags.DEFINE_float("level", 0.9, "Share of the cells that intervals hold.", 0.01, 0.99)
_NUM_DRAWS = flags.DEFINE_integer("num_draws", 0, "Drawn tables; 0 for the best one.", 0, 1000)
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
    "num_importance_samples", 500, "S of each row.", lower_bound=1
)


def main():
    """Reads, trains or loads, fills, writes."""
    run, table, vae, data = table_flags.opened()
    schema, cells = vae.decoder.schema, []

    def filled():
        first = 0
        for frame in table_flags.parts(table):
            found = tv.evaluation.complete(
                vae,
                frame[list(schema.names)],
                max(1, _NUM_DRAWS.value),
                seed=table_flags.SEED.value,
                level=_LEVEL.value,
                num_samples=_IMPORTANCE_SAMPLES.value,
                first_row=first,
            )
            here = tv.evaluation.imputed_cells(schema, frame, found)
            cells.append(here.assign(row=here["row"] + first))
            first += len(frame)
            yield tv.evaluation.filled(schema, frame, found, _NUM_DRAWS.value)
            if first < len(table):
                print(f"{first:,} of {len(table):,} rows filled", flush=True)

    made = filled() if isinstance(table, tv.data.ColumnFile) else list(filled())
    tv.data.write_frames(made, table_flags.OUT.value)
    tv.data.write_frames(cells, run / "imputed.csv")
    report = tv.evaluation.imputation_report(vae, data.test, level=_LEVEL.value)
    run.write_json("report.json", {"level": _LEVEL.value, "columns": report})
    for row in report:
        facts = (f"{name} {v:.4g}" for name, v in row.items() if name not in ("column", "cells"))
        print(f"{row['column']}: {row['cells']} hidden cells, {', '.join(facts) or 'none to see'}")
    count, out = sum(map(len, cells)), table_flags.OUT.value
    print(f"{count} cells filled: {out}, intervals in {run / 'imputed.csv'}")


if __name__ == "__main__":
    cli.run(main)
