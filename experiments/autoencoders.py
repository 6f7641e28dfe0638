"""A VAE beside a plain and a denoising autoencoder of the same networks, on the same data.

    python -m experiments.autoencoders --run_dir=runs/autoencoders

Takes the flags of train_vae that all members have; writes flags.txt, metrics.json and, of images,
autoencoders.png. The members: vae; no_kl, a VAE whose KL has no weight; autoencoder; denoising. The
first draws from its prior, the others from a normal that is fitted to their codes. Of binary data;
log p is that of a judge that knows no member, nats per example; nothing of an autoencoder is a
bound.
"""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli, data_flags, estimator_flags, running_flags, training_flags, vae_flags

cli.leave_out(training_flags.PATIENCE, training_flags.TENSORBOARD, running_flags.CHECKPOINT_EVERY)
cli.leave_out(*estimator_flags.PHASES)
_MEMBERS = flags.DEFINE_list("members", list(peek.names("studies.autoencoders.MEMBERS")), "Which.")
_LATENT_DIM = flags.DEFINE_integer("latent_dim", 8, "Size of the latent z.", lower_bound=1)
_NOISE = flags.DEFINE_float(
    "noise", 0.3, "Deviation of the noise that denoising takes away.", lower_bound=0
)
_SEEDS = flags.DEFINE_integer("seeds", 1, "Trainings of each, from --seed on.", lower_bound=1)


def _build(data: "tv.data.Data", member: str) -> "tv.VAE":
    from tfp_vae.studies.autoencoders import MEMBERS

    asked = MEMBERS[member]
    noise = {"noise": _NOISE.value} if asked.has_noise else {}
    chosen = vae_flags.recipe(data, _LATENT_DIM.value, model=asked.model, **noise)
    model = vae_flags.compiled(chosen, data)
    if not asked.kl:
        model.objective = tv.objectives.ELBO(beta=asked.kl)
    return model


def main():
    """Trains all members, measures and draws."""
    members = cli.chosen(_MEMBERS, peek.names("studies.autoencoders.MEMBERS"))
    cli.refuse_unused("denoising" in members, "--members=denoising", _NOISE)
    run, data = vae_flags.prepare()
    # Flags that an autoencoder does not read would make its networks or training other ones.
    vae_flags.recipe(data, _LATENT_DIM.value, model="autoencoder")
    run.create()
    run.write_text("flags.txt", cli.flag_lines())
    from tfp_vae.studies import autoencoders

    seed = training_flags.SEED.value
    plan = autoencoders.Plan(
        data,
        tuple(members),
        _build,
        training_flags.BATCH_SIZE.value,
        training_flags.EPOCHS.value,
        tuple(range(seed, seed + _SEEDS.value)),
    )
    results = autoencoders.run(plan, run, data_flags.source())
    print(autoencoders.table(results))
    print(f"results: {(run / 'metrics.json').resolve()}, picture beside it")


if __name__ == "__main__":
    cli.run(main)
