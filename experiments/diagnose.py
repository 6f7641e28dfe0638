"""Says what the latents of the model of a run folder carry, and if it is little, why.

    python -m experiments.diagnose --run_dir=runs/digits

writes diagnosis.json, diagnosis.txt and diagnosis.png into the run folder and prints the text:
active units, KL of each dimension, mutual information of x and z and KL of the aggregate posterior
with the sum over all examples, what the family of q(z|x) and what the encoder lose of log p(x),
sensitivity of the decoder, the scale of a normal likelihood against its best one, and a sentence
each for cause and remedy. Nats per example.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import extras, peek

from . import cli, trained_runs

_SPLIT = flags.DEFINE_enum("split", "train", ["train", "validation", "test"], "Which examples.")
_MOST = flags.DEFINE_integer("num_examples", 1000, "Examples that z is drawn for.", lower_bound=2)
_GAP = flags.DEFINE_integer(
    "num_gap_examples", 20, "Examples whose gap to log p(x) is told apart; 0: none.", lower_bound=0
)
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 100, "S of log p(x).", lower_bound=1)
_LANGUAGE = flags.DEFINE_enum("language", "en", peek.names("report.LANGUAGES"), "Of the words.")


def main():
    """Loads model and data, measures and writes."""
    extras.need("report", "Pictures")
    run = trained_runs.folder()
    run.lock()
    model, data, source, _ = trained_runs.opened(run)
    trained_runs.check_vae(model, "Latents")
    split = getattr(data, _SPLIT.value)
    progress = tv.training.Progress("q(z), example")
    found = tv.evaluation.diagnose(
        model,
        split,
        _NUM_SAMPLES.value,
        most=_MOST.value,
        gap_examples=_GAP.value,
        progress=progress,
    )
    language = _LANGUAGE.value
    text = tv.report.render_diagnosis(found, language)
    about = {**source, "split": _SPLIT.value, "versions": tv.report.versions()}
    run.write_json("diagnosis.json", found | about)
    run.write_text("diagnosis.txt", text + "\n")
    run.write_figure("diagnosis.png", tv.plots.diagnosis(found, language))
    print(text)
    print(f"results: {(run / 'diagnosis.json').resolve()}, picture in diagnosis.png beside it")


if __name__ == "__main__":
    cli.run(main)
