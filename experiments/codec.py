"""Packs images without loss, with the VAE of a run folder, and brings them back.

    python -m experiments.codec --action=encode --run_dir=runs/mnist --input=scans \
        --output=scans.tfpvae
    python -m experiments.codec --action=decode --run_dir=runs/mnist --input=scans.tfpvae \
        --output=back
    python -m experiments.codec --action=measure --run_dir=runs/mnist

Images are a folder of image files, a .npy or an .npz file; decoded they are a .npy file or a folder
of PNG files. `measure` packs the test images into the run folder and writes codec.json, codec.txt
and codec.png beside: bits per pixel beside -ELBO and other codecs, images per second.
"""

import pathlib

from absl import flags

import tfp_vae as tv
from tfp_vae import extras

from . import cli, data_flags, trained_runs

_ACTIONS = ("encode", "decode", "measure")
_ACTION = flags.DEFINE_enum("action", "measure", _ACTIONS, "What is done.")
_INPUT = flags.DEFINE_string("input", None, "Images, or the file to decode.")
_OUTPUT = flags.DEFINE_string("output", None, "File, or new folder for decoded images.")
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "What is measured.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 10_000, "Measured at most, the first.", 1)
_ELBO_SAMPLES = flags.DEFINE_integer("num_elbo_samples", 16, "S of the ELBO.", lower_bound=1)


def main():
    """Loads the model, and does what is asked for."""
    measures = _ACTION.value == "measure"
    cli.refuse_unused(measures, "--action=measure", _SPLIT, _NUM_IMAGES, _ELBO_SAMPLES)
    cli.refuse_unused(measures, "--action=measure", *data_flags.ALL)
    cli.refuse_unused(not measures, "--action=encode or decode", _INPUT, _OUTPUT)
    extras.need("codec", "Codecs")
    if measures:
        extras.need("report", "Pictures")
        extras.need("images", "PNG and WebP")
        _measure()
        return
    given, output = (_path(flag) for flag in (_INPUT, _OUTPUT))
    if not given.exists():
        raise FileNotFoundError(
            f"--input does not exist. Expected images, or a file to decode. Received {given}."
        )
    run = trained_runs.folder()
    model = tv.load(run / "model.keras")
    trained_runs.check_vae(model, "Codecs")
    progress = tv.training.Progress("image")
    if _ACTION.value == "decode":
        tv.codec.decode(model, given, output, progress)
    else:
        report = tv.codec.encode(model, given, output, progress)
        bits = f", {report.bits_per_dim:.4f} bits per value" if report.images else ""
        print(f"{report.images:,} images in {report.bytes:,} bytes{bits}; decoded and compared")
    print(f"{_ACTION.value}d: {output.resolve()}")


def _path(flag):
    if not flag.value:
        raise ValueError(
            f"--{flag.name} is missing. Expected a file or a folder with --action={_ACTION.value}. "
            "Received none."
        )
    return pathlib.Path(flag.value)


def _measure():
    run = trained_runs.folder()
    run.lock()
    model, data, source, _ = trained_runs.opened(run)
    trained_runs.check_vae(model, "Codecs")
    split = getattr(data, _SPLIT.value).take(_NUM_IMAGES.value)
    progress = tv.training.Progress("image")
    path = run / "codec.tfpvae"
    found = tv.codec.measure(model, split, path, _ELBO_SAMPLES.value, progress)
    about = {**source, "kind": data.kind, "split": _SPLIT.value, "digest": split.digest}
    print(tv.codec.write(run, found, about))
    print(f"results: {(run / 'codec.json').resolve()}")


if __name__ == "__main__":
    cli.run(main)
