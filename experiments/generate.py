"""Draws new images from the model of a run folder.

    python -m experiments.generate --run_dir=runs/digits --num_images=100

writes generated.png (means and draws) and generated.npz (z, or z1, z2, ... of levels; mean, sample)
into the run folder. Of a model with classes every class has its turn: a row of the picture, and
`given` in the file.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import extras

from . import cli, data_flags, trained_runs

cli.leave_out(*data_flags.ALL)
_NUM_IMAGES = flags.DEFINE_integer("num_images", 50, "How many.", 1, 100_000)
_SEED = flags.DEFINE_integer("seed", 0, "Another seed gives other images.", 0, 2**31 - 1)


def main():
    """Loads the model, draws and writes."""
    extras.need("report", "Pictures")
    run = trained_runs.folder()
    run.lock()
    vae = tv.load(run / "model.keras")
    trained_runs.check_vae(vae, "New images")
    if vae.condition and vae.condition.default(1) is None:
        raise ValueError(
            "This model draws given a vector for each image. Expected a model without a condition, "
            f"or with classes. Received one with a condition of {vae.condition.size} numbers."
        )
    steps = tv.training.Progress("drawn one after the other, step")
    drawn = vae.generate(_NUM_IMAGES.value, _SEED.value, progress=steps)
    latents = drawn["z"] if isinstance(drawn["z"], dict) else {"z": drawn["z"]}
    run.write_arrays("generated.npz", **latents, **{k: v for k, v in drawn.items() if k != "z"})
    if drawn["mean"].ndim == 4:  # images, not vectors
        draw = tv.plots.class_samples if "given" in drawn else tv.plots.prior_samples
        run.write_figure("generated.png", draw({k: v[:100] for k, v in drawn.items() if k != "z"}))
    print(f"results: {(run / 'generated.npz').resolve()}, pictures in generated.png beside it")


if __name__ == "__main__":
    cli.run(main)
