"""What a training from files costs in memory, and how fast it is, as the data grow.

Each measurement is a process of its own, which makes files or trains on them; this one imports
nothing large and asks them.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

SIDE = 64  # of images in colour
ROWS = 1000  # images made at a time
PART = 50_000  # rows of a table
BATCH_SIZE = 128


def make(folder: pathlib.Path, form: str, count: int, side: int = SIDE) -> None:
    """Writes `count` images to `folder`, as TFRecords of raw bytes or as PNG files."""
    import numpy as np

    rng = np.random.default_rng(0)
    for start in range(0, count, ROWS):
        # Coarse noise, enlarged: as hard to compress as a photograph, roughly.
        shape = (min(ROWS, count - start), side // 4, side // 4, 3)
        coarse = rng.integers(0, 256, shape, np.uint8)
        images = coarse.repeat(4, axis=1).repeat(4, axis=2)
        images = images // 2 + rng.integers(0, 8, images.shape, np.uint8)
        write = _write_records if form == "TFRecords" else _write_images
        write(folder, start, images)


def _write_records(folder, start, images):
    import tensorflow as tf

    def feature(value):
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    with tf.io.TFRecordWriter(str(folder / f"{start:07d}.tfrecord")) as writer:
        for image in images:
            height, width, depth = image.shape
            values = {"image": image.tobytes(), "height": height, "width": width, "depth": depth}
            features = tf.train.Features(feature={k: feature(v) for k, v in values.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def _write_images(folder, start, images):
    from PIL import Image

    for number, image in enumerate(images, start):
        Image.fromarray(image).save(folder / f"{number:07d}.png", compress_level=1)


def train(folder: str, in_memory: bool, network: str = "mlp") -> dict:
    """Returns what epochs on the files of `folder` cost, in MB and seconds.

    The second one is timed: the first has tracing in it.
    """
    import keras

    import tfp_vae as tv

    keras.utils.set_random_seed(0)
    row, started = {"imports_mb": peak()}, time.perf_counter()
    data = tv.data.load(folder, kind="dynamic", in_memory=in_memory)
    row |= {"load_s": time.perf_counter() - started, "load_mb": peak()}
    recipe = tv.methods.VAERecipe(
        latent_dim=16, likelihood="bernoulli", network=network, hidden=(32,)
    )
    vae = recipe.build(data)
    vae.compile(optimizer="adam")
    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append((time.perf_counter(), time.process_time()))
    )
    vae.fit(data.train, batch_size=BATCH_SIZE, epochs=2, verbose=0, callbacks=[clock])
    seconds, processor = (last - first for first, last in zip(*ends, strict=True))
    row |= {"reading": vae.reading(data.train, BATCH_SIZE), "images": len(data.train)}
    row |= {"epoch_s": seconds, "images_per_s": len(data.train) / seconds, "fit_mb": peak()}
    row["microseconds"] = 1e6 * processor / len(data.train)
    vae.evaluate(data.test, batch_size=BATCH_SIZE, verbose=0)
    vae.elbo(data.test, num_samples=1)
    return row | {"evaluation_mb": peak()}


def make_table(file: pathlib.Path, rows: int, columns: int) -> None:
    """Writes a table of mixed columns, 5 % of the cells missing, part by part.

    Of ten columns six are real, one positive, one of counts and two of classes.
    """
    import numpy as np
    import pandas as pd

    from tfp_vae.data import write_frames

    real, positive, counts = (int(columns * share) for share in (0.6, 0.72, 0.8))

    def parts():
        rng = np.random.default_rng(0)
        for start in range(0, rows, PART):
            count = min(PART, rows - start)
            z = rng.normal(size=(count, 3))
            signal = z @ rng.normal(size=(3, columns)) + rng.normal(size=(count, columns))
            cells = {f"x{i}": signal[:, i].round(4) for i in range(real)}
            cells |= {f"p{i}": np.exp(signal[:, i]).round(4) for i in range(real, positive)}
            cells |= {
                f"n{i}": rng.poisson(np.exp(signal[:, i] / 2)) for i in range(positive, counts)
            }
            for i in range(counts, columns):
                levels = np.array([f"level {k}" for k in range(i - counts + 4)])
                place = np.clip((signal[:, i] + 2) / 4 * len(levels), 0, len(levels) - 1)
                cells[f"c{i}"] = levels[place.astype(int)]
            frame = pd.DataFrame(cells)
            yield frame.mask(rng.random(frame.shape) < 0.05)

    write_frames(parts(), file)


def train_table(file: str, in_memory: "bool | None") -> dict:
    """Returns what loading a table and one epoch on it cost, in MB and seconds of processor."""
    import keras

    import tfp_vae as tv

    keras.utils.set_random_seed(0)
    row, started = {"imports_mb": peak()}, [time.process_time(), time.perf_counter()]

    def took(name):
        now = [time.process_time(), time.perf_counter()]
        row.update({f"{name}_processor_s": now[0] - started[0], f"{name}_s": now[1] - started[1]})
        row[f"{name}_mb"] = peak()
        started[:] = now

    data = tv.data.load(file, columns={}, in_memory=in_memory)
    took("load")
    vae = tv.methods.VAERecipe(latent_dim=8, hidden=(128, 128)).build(data)
    vae.compile(optimizer="adam", jit_compile=False)
    vae.fit(data.train, batch_size=1024, epochs=1, verbose=0)
    took("epoch")
    examples = len(data.train)
    row["microseconds"] = 1e6 * row["epoch_processor_s"] / examples
    return row | {"reading": vae.reading(data.train, 1024), "rows": examples}


def measure_tables(rows: int, given: argparse.Namespace) -> "list[dict]":
    """Returns the rows of tables of one size, per form of file, as they are kept and streamed."""
    found = []
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="streaming-") as folder:
        for form in given.forms.split(","):
            file = pathlib.Path(folder) / f"table.{form}"
            _ask("--make_table", str(file), str(rows), str(given.columns))
            for held in given.held.split(","):
                row = json.loads(_ask("--train_table", str(file), held).splitlines()[-1])
                row |= {"form": form, "data_mb": file.stat().st_size / 1e6, "held": held}
                found.append({"item": "tables", "rows_made": rows, "columns": given.columns, **row})
                print(
                    f"| {form} | {row['data_mb']:.0f} | {held} | {row['load_processor_s']:.0f} | "
                    f"{row['load_mb']:.0f} | {row['epoch_processor_s']:.0f} | "
                    f"{row['epoch_mb']:.0f} | {row['rows']:,} |",
                    flush=True,
                )
            file.unlink()
    return found


def measure_sides(side: int, given: argparse.Namespace) -> dict:
    """Returns the row of images of one size, by convolutions, from files."""
    count = given.sides_mb * 10**6 // (3 * side**2)
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="streaming-") as folder:
        _ask("--make", folder, "TFRecords", str(count), str(side))
        row = json.loads(_ask("--train", folder, "files", "conv").splitlines()[-1])
    print(
        f"| {side} | {row['images']:,} | {row['microseconds'] / side**2:.3f} | "
        f"{row['fit_mb']:.0f} | {row['evaluation_mb']:.0f} |",
        flush=True,
    )
    return {"item": "sides", "side": side, "per_pixel": row["microseconds"] / side**2, **row}


def peak() -> float:
    """Returns the most memory that this process has had so far, resident, in MB."""
    try:
        # Not `ru_maxrss`, which starts at what the parent had.
        status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    except FileNotFoundError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


def _ask(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(form: str, megabytes: int, parent: "str | None") -> "list[dict]":
    """Returns the rows of one size: trained on from files, and from memory."""
    rows, count = [], megabytes * 10**6 // (3 * SIDE**2)
    with tempfile.TemporaryDirectory(dir=parent, prefix="streaming-") as folder:
        _ask("--make", folder, form, str(count), str(SIDE))
        for held in ("files", "memory"):
            row = json.loads(_ask("--train", folder, held, "mlp").splitlines()[-1])
            rows.append({"item": "files", "form": form, "data_mb": megabytes, "held": held, **row})
            print(
                f"| {form} | {megabytes} | {held} | {row['load_s']:.1f} | {row['load_mb']:.0f} | "
                f"{row['fit_mb']:.0f} | {row['evaluation_mb']:.0f} | {row['images_per_s']:.0f} |",
                flush=True,
            )
    return rows


def main() -> None:
    """Makes files, or trains on them, or measures."""
    work, arguments = sys.argv[1:2], sys.argv[2:]
    if work == ["--make"]:
        folder, form, count, side = arguments
        return make(pathlib.Path(folder), form, int(count), int(side))
    if work == ["--train"]:
        folder, held, network = arguments
        return print(json.dumps(train(folder, held == "memory", network)))
    if work == ["--make_table"]:
        return make_table(pathlib.Path(arguments[0]), *map(int, arguments[1:]))
    if work == ["--train_table"]:
        in_memory = False if arguments[1] == "files" else None
        return print(json.dumps(train_table(arguments[0], in_memory)))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", default="50,200,800", help="sizes of TFRecords, MB")
    parser.add_argument("--images", default="50,200", help="sizes of folders of PNG files, MB")
    parser.add_argument("--sides", default="", help="of images in colour, 32,64,128,256")
    parser.add_argument("--sides_mb", type=int, default=100, help="of images of each size, MB")
    parser.add_argument("--tables", default="", help="rows of tables, 1000000")
    parser.add_argument("--columns", type=int, default=50, help="of tables, 10 or more")
    parser.add_argument("--forms", default="csv,parquet", help="of tables")
    parser.add_argument(
        "--held", default="usual,files", help="values of tables: as is usual, or streamed"
    )
    parser.add_argument("--folder", help="where the files are made for as long as they are needed")
    parser.add_argument("--run_dir", help="a folder for the figures, as streaming.json")
    given = parser.parse_args()
    rows = []
    if given.records or given.images:
        _head(
            "files | data, MB | read from | load, s | peak after load, MB | after training, MB | "
            "after evaluation, MB | images/s"
        )
    for form, sizes in (("TFRecords", given.records), ("PNG", given.images)):
        for size in filter(None, sizes.split(",")):
            rows += measure(form, int(size), given.folder)
    if given.sides:
        _head(
            "side | images | processor microseconds per pixel | peak after training, MB | "
            "after evaluation, MB"
        )
    for side in filter(None, given.sides.split(",")):
        rows.append(measure_sides(int(side), given))
    if given.tables:
        _head(
            "file | MB | values | processor s to load | peak after load, MB | processor s of "
            "an epoch | peak after it, MB | rows"
        )
    for count in filter(None, given.tables.split(",")):
        rows += measure_tables(int(count), given)
    text = json.dumps({"rows": rows}, indent=2) + "\n"
    print(text, end="")
    if given.run_dir:
        folder = pathlib.Path(given.run_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "streaming.json").write_text(text, encoding="utf-8")


def _head(names: str) -> None:
    print(f"\n| {names} |\n|{' --- |' * len(names.split(' | '))}", flush=True)


if __name__ == "__main__":
    main()
