"""Draws rows that are like those of a table, by a VAE of its columns, and says how like.

    python -m experiments.synthesize --data=in.csv --out=out.csv --run_dir=runs/table
    python -m experiments.synthesize --data=in.csv --out=f.csv --run_dir=runs/table --given=sex=f

A model is trained where the run folder is new, and the one that is there is used otherwise. Its
p(z) gives way to a mixture fitted to latents of the rows where validation rows gain by that;
model.keras stays as it is. Classes are drawn, and columns have the types of the file.
synthetic.json in the run folder compares drawn rows with test rows: marginals, associations of
pairs, a classifier that tells them apart, a model trained on drawn rows and tested on real ones,
and the distance to the nearest training row.
"""

from absl import flags

import tfp_vae as tv

from . import cli, helping, table_flags

cli.leave_out(*table_flags.UNREAD)
_NUM_ROWS = flags.DEFINE_integer("num_rows", None, "Without it, as many as the file has.", 1)
_GIVEN = flags.DEFINE_list("given", None, "NAME=VALUE,...: draw rows with these columns.")
_FIT_PRIOR = flags.DEFINE_enum(
    "fit_prior", "mixture", ["mixture", "none"], "p(z) that rows are drawn with, if it is better."
)
_TARGET = flags.DEFINE_string("target", None, "Column of the report that is predicted; the last.")

_MOST_ROWS = 20_000  # that the mixture is fitted to


def main():
    """Reads, trains or loads, draws, compares, writes."""
    given = cli.or_error(_given)
    run, frame, vae, data = table_flags.opened(lambda schema, _: _check(schema, given))
    schema, seed = vae.decoder.schema, table_flags.SEED.value
    if _FIT_PRIOR.value == "mixture":
        vae = _better(vae, data)
    count = _NUM_ROWS.value or len(frame)
    rows = tv.evaluation.conditional_rows(vae, given, count, seed)
    tv.data.write_frame(schema.decode(rows), table_flags.OUT.value)
    print(f"{count} rows: {table_flags.OUT.value}")
    if given:
        return
    found = tv.evaluation.synthetic_report(
        schema, rows, data.train.values(), data.test.values(), _TARGET.value, seed
    )
    run.write_json("synthetic.json", found)
    utility, near, pairs = found["utility"], found["nearest"], found["associations"]
    marginals = (f"{name} {value:.2f}" for name, value in found["marginals"].items())
    print(f"beside {len(data.test)} test rows, differences from 0 (none) to 1:")
    print(f"  columns: {', '.join(marginals)}")
    if pairs:
        print(f"  pairs of columns: {pairs['mean']:.2f} on average, {pairs['largest']:.2f} at most")
    scores = [
        f"{utility[key]:.3f}" if isinstance(utility[key], float) else "not known"
        for key in ("synthetic", "real")
    ]
    print(
        f"told from test rows with an AUC of {found['two_sample_auc']:.3f} (0.5: not at all)\n"
        f"{utility['score']} of {utility['target']} in test rows: {scores[0]} learned from drawn "
        f"rows, {scores[1]} from real ones\n"
        f"nearest training row {near['synthetic']:.3f} away, of test rows {near['test']:.3f} (much "
        f"less than these: copies)\nreport: {run / 'synthetic.json'}"
    )


def _better(vae: "tv.VAE", data: "tv.data.Data") -> "tv.VAE":
    """Returns the model with a mixture fitted to latents of training rows as p(z), if better.

    That is, if the ELBO of validation rows is.
    """
    rows = data.train.take(min(len(data.train), _MOST_ROWS))
    try:
        new = vae.with_prior("mixture", rows, components=min(10, len(rows)))
    except ValueError as error:  # such as a posterior that is made with its prior
        print(f"z is drawn from p(z) as it is: {error}")
        return vae
    gain = new.prior_gain(vae, data.validation).mean()
    said = "a mixture fitted to the rows" if gain > 0 else "p(z) as it is; a mixture of the rows"
    print(f"z is drawn from {said}: {gain:+.3f} nats of the validation ELBO")
    return new if gain > 0 else vae


def _given() -> "dict[str, str]":
    """Returns {column: value} of --given."""
    found = {}
    for pair in _GIVEN.value or []:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise ValueError(
                f"--given does not fit. Expected NAME=VALUE with commas between. Received {pair!r}."
            )
        found[name] = value
    return found


def _check(schema: "tv.data.Schema", given: "dict[str, str]") -> None:
    schema.row(given)
    if _TARGET.value:
        helping.checked("--target", _TARGET.value, schema.names)


if __name__ == "__main__":
    cli.run(main)
