"""Looks into the latent space of the VAE of a run folder, and changes what is there.

    python -m experiments.explore --run_dir=runs/digits

writes into the run folder: embeddings.csv and embeddings.npz (split, row, file, label with the name
of its class, factors, centre and deviations of q(z|x)), traversals.png (a dimension per row, those
with the most KL first), interpolations.png, neighbours.png, map.png, attributes.png (of data with
labels), denoising.png (beside a median and a Wiener filter), strokes.png (thick minus thin, by
their measured width), and explore.json with all figures: KL of each dimension, where the KL goes,
scores of factors and of labels. With --dataset=FOLDER it is another folder of images, with
--embeddings=all every example of the data is in the files of embeddings, which are written a batch
at a time. With --beside=run1,run2,... of other seeds explore.json has UDR, which needs no factors.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import extras

from . import cli, trained_runs

_SPLIT = flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "Which examples.")
_EMBEDDINGS = flags.DEFINE_enum(
    "embeddings", "split", ["split", "all"], "Codes in files: of --split, or of all examples."
)
_COUNT = flags.DEFINE_integer("count", 9, "Pictures per row.", 2, 50)
_NOISE = flags.DEFINE_list(
    "noise", ["0.2", "0.4", "0.8"], "Deviations of the noise that is taken away, in (0, 1]."
)
_STRENGTH = flags.DEFINE_float("strength", 1.5, "How much of an attribute is added.", lower_bound=0)
_BESIDE = flags.DEFINE_list(
    "beside", [], "Folders beside the run, of other seeds, that were explored: with four, UDR."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of draws, probes and noise.", 0, 2**31 - 1)


def _level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = 0.0
    if not 0 < level <= 1:
        raise ValueError(f"Impossible --noise. Expected it in (0, 1]. Received {text!r}.")
    return level


def main():
    """Loads model and data, looks and writes."""
    levels = [_level(text) for text in _NOISE.value]
    if 0 < len(_BESIDE.value) < 4:
        raise ValueError(
            "--beside does not fit. Expected four folders or more, as UDR takes five models. "
            f"Received {','.join(_BESIDE.value)}."
        )
    extras.need("report", "Pictures")
    run = trained_runs.folder()
    from tfp_vae.studies import exploring

    run.lock()
    model, data, source, _ = trained_runs.opened(run)
    trained_runs.check_vae(model, "Latents")
    split = getattr(data, _SPLIT.value)
    found = exploring.explore(
        model,
        data,
        split,
        run,
        count=_COUNT.value,
        noise=levels,
        strength=_STRENGTH.value,
        seed=_SEED.value,
        everything=_EMBEDDINGS.value == "all",
        beside=[run.path.parent / name for name in _BESIDE.value],
    )
    about = {**source, "split": _SPLIT.value, "versions": tv.report.versions()}
    run.write_json("explore.json", found | about)
    for name, value in found["table"].items():
        print(f"{name:28s} {value:.4g}")
    if "left_out" in found:
        print(found["left_out"])
    print(f"results: {(run / 'explore.json').resolve()}, embeddings and pictures beside it")


if __name__ == "__main__":
    cli.run(main)
