"""What a user of tfp_vae writes: `compile`, `fit`, `log_likelihood`."""

import math
import os

if os.environ.get("TFP_VAE_XLA_CACHE"):  # before TensorFlow, which looks once where it is
    import experiments

    experiments.start()

import keras
import worker

import tfp_vae as tv

SHAPE = (28, 28, 1)
PRIORS = {
    "standard": tv.priors.StandardNormal,
    "mixture": tv.priors.Mixture,
    "vamp": tv.priors.Vamp,
    "flow": tv.priors.Flow,
}


class Compiled(tv.VAE):
    """A VAE that XLA compiles also where it is slow."""

    supports_jit = True


def make_vae(item, data, batch_size, latent_dim=20, num_samples=1, seed=0, **options):
    """Returns the compiled VAE of an item, and the images as a split."""
    model, prior = options.pop("model", tv.VAE), options.pop("prior", None)
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(options.pop("policy", "float32"))
    if item == "V3":
        networks = tv.networks.conv_encoder((32, 64), 128), tv.networks.conv_decoder(SHAPE)
        size = 16
    else:
        networks, size = (tv.networks.mlp([400]), tv.networks.mlp([400])), latent_dim
    vae = model(
        prior=prior or tv.priors.StandardNormal(size),
        encoder=tv.encoders.Gaussian(networks[0], size),
        decoder=tv.decoders.Bernoulli(networks[1], SHAPE),
        num_samples=num_samples,
        seed=seed,
    )
    steps = len(data["x"]) // batch_size
    vae.compile(optimizer=keras.optimizers.Adam(1e-3), steps_per_execution=steps, **options)
    split = tv.data.Split(data["x"].reshape(-1, *SHAPE), tv.data.Kind.DYNAMIC, data["y"])
    return vae, split


def _train(model, split, batch_size):
    def block():
        history = model.fit(split, batch_size=batch_size, epochs=1, verbose=0)
        return len(split), history.history["loss"][-1]

    block.parameters = lambda: sum(math.prod(each.shape) for each in model.trainable_variables)
    return block


def _network(estimator, data):
    keras.utils.set_random_seed(0)
    dense = {
        "local": tv.layers.DenseLocalReparameterization,
        "flipout": tv.layers.DenseFlipout,
    }[estimator]
    layers = [keras.layers.Flatten(), *(dense(n, activation="relu") for n in (400, 400)), dense(10)]
    network = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(10))
    images = data["x"].reshape(-1, *SHAPE)
    split = tv.data.Split(images, tv.data.Kind.UNIT_INTERVAL, data["y"])
    network.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        steps_per_execution=len(split) // 128,
        jit_compile=True,
    )
    return network, split


def make(item, variant, data):
    """Returns the block of an item."""
    if item in ("B1", "B1f"):
        return _train(*_network(variant, data), 128)
    batch_size = int(data["batch_size"])
    if item == "E1":
        vae, split = make_vae(item, data, batch_size, jit_compile=True)
        vae.fit(split, batch_size=batch_size, epochs=3, verbose=0)
        test = split.take(1000).frozen()

        def block():
            return len(test), vae.bounds(test, num_samples=500).log_evidence.mean()

        return block
    if item == "AIS1":
        vae, split = make_vae(item, data, batch_size, jit_compile=True)
        vae.fit(split, batch_size=batch_size, epochs=3, verbose=0)
        test = split.take(100).frozen()

        def block():  # step sizes are found in it
            found = tv.evaluation.ais(vae, test, num_steps=int(variant), num_chains=16)
            return len(test), found.log_evidence.mean()

        return block
    if item == "G1":
        latent_dim, num_samples = map(int, variant.split(","))
        return _train(
            *make_vae(item, data, batch_size, latent_dim, num_samples, jit_compile=True), batch_size
        )
    if item == "I50":
        draws = int(variant)
        vae, split = make_vae(item, data, batch_size, num_samples=draws, jit_compile=True)
        vae.objective = tv.objectives.IWAE()
        return _train(vae, split, batch_size)
    if item in ("PM", "PV", "PF"):
        prior = PRIORS[variant](20)
        made = make_vae(item, data, batch_size, prior=prior, jit_compile=True)
        return _train(*made, batch_size)
    policy = "mixed_bfloat16" if variant == "bfloat16" else "float32"
    model = Compiled if variant == "xla" else tv.VAE
    made = make_vae(item, data, batch_size, model=model, jit_compile=True, policy=policy)
    return _train(*made, batch_size)


if __name__ == "__main__":
    worker.serve(make)
