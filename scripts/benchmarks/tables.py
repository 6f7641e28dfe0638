"""Rows drawn, and anomalies found, by VAEs of tables and by the packages that people use for it.

Synthesis after Xu et al. ("Modeling Tabular data using Conditional GAN", 2019, section 5): of a
law that is known, log p of drawn rows under it, and log p of held-out rows under the same family of
laws fitted to drawn rows; of any table how well a classifier tells drawn rows from held-out ones,
and what a model that is trained on drawn rows is worth on held-out ones. The others are processes
of their own environment, which read a file and write one; of one that is not installed it is said.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

import keras
import numpy as np
import pandas as pd

import tfp_vae as tv
from tfp_vae.studies import tables

HERE = pathlib.Path(__file__).parent
ENVIRONMENT = "tables"
OURS = "VAE of columns"
SYNTHESIZERS = ("TVAE", "CTGAN")
DETECTORS = ("VAE", "AutoEncoder")
_MOST_MARKS = 12
SHARES = np.array([0.5, 0.3, 0.2])


class Law:
    """A law of rows: group, then size and weight, visits and whether a member, given the group.

    size, weight ~ a normal of two variables; visits ~ Poisson; member ~ Bernoulli.

    Args:
        rows: a frame whose moments the law has, of each group.
    """

    columns = ("group", "size", "weight", "visits", "member")

    def __init__(self, rows: pd.DataFrame):
        self.shares, self.moments = {}, {}
        for group in ("a", "b", "c"):
            of_it = rows[rows["group"] == group]
            # Half a row more of each, so that what was never drawn has a mass.
            self.shares[group] = (len(of_it) + 0.5) / (len(rows) + 1.5)
            x = of_it[["size", "weight"]].to_numpy(float)
            if len(x) < 4:
                x = rows[["size", "weight"]].to_numpy(float)
            rate = (of_it["visits"].clip(lower=0).sum() + 0.5) / (len(of_it) + 0.5)
            chance = ((of_it["member"] == "yes").sum() + 0.5) / (len(of_it) + 1)
            self.moments[group] = x.mean(0), np.cov(x.T) + 1e-6 * np.eye(2), rate, chance

    def log_prob(self, rows: pd.DataFrame) -> float:
        """Returns the mean log p of rows, nats; rows that no law has are at the edge of it."""
        from scipy import stats

        found = np.full(len(rows), -np.inf)  # of a group that no row had
        for group, (mean, covariance, rate, chance) in self.moments.items():
            here = (rows["group"] == group).to_numpy()
            some = rows[here]
            if not len(some):
                continue
            visits = some["visits"].round().clip(lower=0).astype(int)
            found[here] = (
                np.log(self.shares[group])
                + stats.multivariate_normal.logpdf(some[["size", "weight"]], mean, covariance)
                + stats.poisson.logpmf(visits, rate)
                + np.where(some["member"] == "yes", np.log(chance), np.log1p(-chance))
            )
        return float(found.mean())


def known(count: int, seed: int) -> pd.DataFrame:
    """Returns rows of a known law."""
    rng = np.random.default_rng(seed)
    group = rng.choice(3, count, p=SHARES)
    noise = rng.normal(size=(count, 2))
    size = np.array([0.0, 2.0, -2.0])[group] + noise[:, 0]
    slope = np.array([0.9, -0.5, 0.0])[group]
    weight = 10 + 3 * (slope * noise[:, 0] + np.sqrt(1 - slope**2) * noise[:, 1])
    return pd.DataFrame(
        {
            "group": np.array(["a", "b", "c"])[group],
            "size": size,
            "weight": weight,
            "visits": rng.poisson(np.array([1.0, 4.0, 9.0])[group]),
            "member": np.where(rng.random(count) < np.array([0.2, 0.5, 0.9])[group], "yes", "no"),
        }
    )


def real(name: str) -> pd.DataFrame:
    """Returns a table that a package ships, "penguins", "fair" or "randhie", shuffled.

    Rows with a gap, of which penguins has eleven, are left out: ctgan takes none.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "table.csv")
        said = ask("shipped_tables.py", name, file)
        if said:
            raise ValueError(f"No table {name!r}. Expected its package. Received: {said['said']}")
        frame = pd.read_csv(file).dropna()
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


def scales(frame: pd.DataFrame) -> "dict[str, tuple[str, ...]]":
    """Returns {column: levels in order} of numbers of three to twelve values: marks on a scale."""
    numbers = frame.select_dtypes("number")
    found = {name: sorted(each.unique()) for name, each in numbers.items()}
    return {
        name: tuple(f"{value:g}" if value == int(value) else str(value) for value in values)
        for name, values in found.items()
        if 3 <= len(values) <= _MOST_MARKS
    }


def synthesis(name: str, seed: int, given: argparse.Namespace) -> "dict[str, dict]":
    """Returns {method: figures} of one table."""
    count = given.rows
    frame = known(2 * count, seed) if name == "known" else real(name)
    if name != "known":
        frame = frame.sample(frac=1, random_state=seed)[: 2 * count].reset_index(drop=True)
    train, test = frame[: len(frame) // 2], frame[len(frame) // 2 :].reset_index(drop=True)
    kinds = {} if name == "known" else scales(frame)
    schema = tv.data.Schema.infer(train, kinds)
    test = test.iloc[[i for i in range(len(test)) if _fits(schema, test.iloc[[i]])]]
    drawn, found = {}, {}
    started = time.process_time()
    whole = tv.data.load(train, columns=schema)
    keras.utils.set_random_seed(seed)
    vae = tv.methods.VAERecipe(latent_dim=4, hidden=(128, 128)).build(whole, seed=seed)
    # Steps, rate and mixture of experiments/synthesize.py, which asks validation rows as well.
    batch_size = min(64, len(whole.train))
    steps = vae.batches_per_epoch(whole.train, batch_size) * given.epochs
    rate = tv.training.learning_rate("cosine", 1e-3, steps)
    vae.compile(keras.optimizers.Adam(rate), jit_compile=False)
    vae.fit(whole.train, batch_size=batch_size, epochs=given.epochs, verbose=0)
    vae = vae.with_prior("mixture", whole.train)
    drawn[OURS] = schema.decode(vae.generate(len(train), seed)["sample"])
    found[OURS] = {"seconds": time.process_time() - started}
    if name == "known":
        found[OURS]["own_log_p"] = float(vae.log_evidence(schema.encode(test), 100).mean())
    classes = ",".join(column.name for column in schema if column.kind.has_levels)
    for peer in SYNTHESIZERS:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, each) for each in ("in.csv", "out.csv")]
            train.to_csv(paths[0], index=False)
            options = [f"--classes={classes}", f"--epochs={given.epochs}", f"--seed={seed}"]
            said = ask("ctgan_peer.py", *paths, f"--model={peer}", *options)
            found[f"ctgan's {peer}"] = said or {"seconds": time.perf_counter() - started}
            if not said:
                rows = pd.read_csv(paths[1])
                for column in schema:
                    if column.kind.has_levels:
                        rows[column.name] = rows[column.name].astype(train[column.name].dtype)
                drawn[f"ctgan's {peer}"] = rows
    drawn["rows trained on"] = train
    for method, rows in drawn.items():
        row = found.setdefault(method, {})
        if name == "known":
            truth = Law(known(10**6, 99))  # the moments of a million rows
            row |= {"l_syn": truth.log_prob(rows), "l_test": Law(rows).log_prob(test)}
        values = [encoded(schema, each) for each in (rows, train, test)]
        report = tv.evaluation.synthetic_report(schema, *values, seed=seed)
        row |= {
            "marginals": float(np.mean([*report["marginals"].values()])),
            "two_sample_auc": report["two_sample_auc"],
            "utility": report["utility"]["synthetic"],
            "utility_of_real": report["utility"]["real"],
        }
    return found


def _fits(schema, row):
    try:
        schema.encode(row)
    except ValueError:
        return False
    return True


def encoded(schema: "tv.data.Schema", rows: pd.DataFrame) -> np.ndarray:
    """Returns rows as values [N, D]; counts below 0 as 0, fractions of counts rounded."""
    rows = rows.copy()
    for column in schema:
        if column.kind == "count":
            rows[column.name] = rows[column.name].round().clip(lower=0)
        elif column.kind == "positive":
            rows[column.name] = rows[column.name].clip(lower=1e-3)
    return schema.encode(rows, unknown="missing")


def anomalies(name: str, seed: int, given: argparse.Namespace) -> "dict[str, dict]":
    """Returns {method: figures} on a set of `tables.SETS` or `tables.FILES`."""
    from sklearn.metrics import roc_auc_score

    plan = tables.Plan(seeds=1, epochs=given.epochs, num_samples=64)
    folder = given.data_dir if name == "mnist" else given.uci_dir
    found = dict(tables.anomalies(name, seed, plan, folder))
    train, rows, strange = tables.usual_and_others(name, seed, folder)
    for peer in DETECTORS:
        with tempfile.TemporaryDirectory() as place:
            paths = [os.path.join(place, each) for each in ("in.npz", "out.npy")]
            np.savez(paths[0], train=train, rows=rows)
            options = [f"--epochs={given.epochs}", f"--seed={seed}"]
            said = ask("pyod_peer.py", *paths, f"--model={peer}", *options)
            figures = said or {"auc": float(roc_auc_score(strange, np.load(paths[1])))}
            found[f"pyod's {peer}"] = figures
    return found


def ask(file: str, *arguments: str) -> "dict | None":
    """Runs a peer; returns why it gave no answer, None if it did."""
    python = pathlib.Path(os.environ.get("TFP_VAE_PEERS", "")) / ENVIRONMENT / "bin/python"
    if not python.exists():
        return {"said": f"not installed: no {python}; scripts/benchmark --setup"}
    done = subprocess.run(
        [str(python), str(HERE / file), *arguments], capture_output=True, text=True, check=False
    )
    last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    return {"said": f"gave up: {last}"} if done.returncode else None


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--synthesis", default="known,penguins,fair,randhie", help="tables; none for none"
    )
    parser.add_argument("--anomalies", default=",".join(tables.SETS), help="sets; none for none")
    parser.add_argument("--rows", type=int, default=3000, help="to train on, and as many to test")
    parser.add_argument("--epochs", type=int, default=300, help="of each method")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0 on")
    parser.add_argument("--uci_dir", help="prepared UCI sets, for --anomalies=uci/concrete")
    parser.add_argument("--data_dir", help="prepared MNIST, for --anomalies=mnist")
    parser.add_argument("--run_dir", help="a folder for the figures, tables.json")
    given = parser.parse_args()
    found: dict = {}
    for part, measure in (("synthesis", synthesis), ("anomalies", anomalies)):
        for name in filter(None, getattr(given, part).split(",")):
            try:
                each = [measure(name, seed, given) for seed in range(given.seeds)]
            except ValueError as error:
                print(f"{part} of {name}: {error}", flush=True)
                continue
            here = {m: tables.pooled([rows[m] for rows in each]) for m in each[0]}
            found.setdefault(part, {})[name] = here
            print(f"{part} of {name}", flush=True)
            for method, row in here.items():
                said = (f"{k} {v:.3f}" if isinstance(v, float) else str(v) for k, v in row.items())
                print(f"  {method}: {', '.join(said)}", flush=True)
    if given.run_dir:
        run = tv.report.RunFolder(given.run_dir, overwrite=True)
        run.create()
        run.write_json("tables.json", found)


if __name__ == "__main__":
    main()
