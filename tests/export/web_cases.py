"""Decoders of every sort that the web page draws, with weights that are far from zero."""

import keras
import numpy as np

import tfp_vae as tv

LATENT = 2


def _latent(decoder, **options):
    return tv.VAE(
        prior=tv.priors.StandardNormal(LATENT),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), LATENT),
        decoder=decoder,
        **options,
    )


def _conditional(prior=None, model=tv.ConditionalVAE, **options):
    return model(
        prior=prior or tv.priors.StandardNormal(LATENT),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), LATENT),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([6], "tanh"), (3, 2, 1)),
        num_classes=3,
        **options,
    )


def bernoulli():
    return _latent(tv.decoders.Bernoulli(tv.networks.mlp([7, 5], "leaky_relu"), (4, 4, 1)))


def normal_conv():
    # 5 x 6 is not a multiple of 4: the network crops.
    network = tv.networks.conv_decoder((5, 6, 1), (4, 3), 6, "gelu")
    return _latent(tv.decoders.Normal(network, (5, 6, 1)))


def normal_table():
    return _latent(tv.decoders.Normal(tv.networks.mlp([6], "elu"), (5,), scale="per_pixel"))


def discretized_conv():
    network = tv.networks.conv_decoder((4, 4, 3), (4,), 6, "relu")
    return _latent(tv.decoders.DiscretizedLogistic(network, (4, 4, 3)))


def discretized():
    network = tv.networks.mlp([6], "softplus")
    return _latent(tv.decoders.DiscretizedLogistic(network, (2, 2, 3)))


def logistic_mixture():
    decoder = tv.decoders.Decoder(tv.networks.mlp([6]), (2, 2, 3), tv.heads.LogisticMixture(3))
    return _latent(decoder)


def categorical():
    return _latent(tv.decoders.Categorical(tv.networks.mlp([4], "silu"), (2, 3, 1)))


def categorical_conv():
    network = tv.networks.conv_decoder((2, 4, 2), (3,), 4, "tanh")
    return _latent(tv.decoders.Categorical(network, (2, 4, 2)))


def continuous_bernoulli():
    return _latent(tv.decoders.ContinuousBernoulli(tv.networks.mlp([4]), (3, 3, 1)))


def every_activation():
    names = "linear relu relu6 leaky_relu elu selu gelu silu softplus softsign tanh sigmoid"
    dense = [keras.layers.Dense(6, name) for name in (*names.split(), "exponential")]
    return _latent(tv.decoders.Normal(keras.Sequential(dense), (4,)))


def every_layer():
    layers = keras.layers
    network = keras.Sequential([
        layers.Dense(24),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.1),
        layers.Dropout(0.5),
        layers.GaussianNoise(1.0),
        layers.Rescaling(1.5, -0.1),
        layers.Reshape((3, 4, -1)),
        layers.LayerNormalization(),
        layers.UpSampling2D((2, 1)),
        keras.Sequential([
            layers.Conv2D(3, (3, 2), strides=(2, 1), padding="same", activation="elu"),
            layers.ReLU(negative_slope=0.3),
        ]),
        layers.ZeroPadding2D(((1, 2), (0, 1))),
        layers.Conv2D(4, 2, dilation_rate=(2, 1), use_bias=False),
        layers.BatchNormalization(scale=False, center=False),
        layers.Conv2DTranspose(3, (3, 4), strides=(2, 3), padding="valid"),
        layers.ELU(0.7),
        layers.SpatialDropout2D(0.5),
        layers.Conv2DTranspose(2, (2, 5), strides=(1, 2), padding="same"),
        layers.Cropping2D(((1, 0), (2, 3))),
        layers.Activation("softsign"),
        layers.Flatten(),
    ])  # fmt: skip
    return _latent(tv.decoders.Normal(network, (6,)))


def bayesian():
    network = keras.Sequential([
        tv.layers.DenseLocalReparameterization(12, "tanh"),
        tv.layers.MonteCarloDropout(0.5),
        tv.layers.DenseFlipout(12, "relu", bayesian_bias=True),
        keras.layers.Reshape((2, 3, 2)),
        tv.layers.Conv2DReparameterization(3, 2, padding="same", use_bias=False),
    ])  # fmt: skip
    return _latent(tv.decoders.Bernoulli(network, (2, 3, 1)), num_data=100)


def conditional():
    return _conditional()


def class_prior():
    return _conditional(tv.priors.ClassNormal(LATENT, 3), decoder_sees_condition=False)


def m2():
    return _conditional(model=tv.M2, classifier=tv.networks.conv_classifier(3, (2,), 4))


MAKERS = (
    bernoulli, normal_conv, normal_table, discretized_conv, discretized, logistic_mixture,
    categorical, categorical_conv, continuous_bernoulli, every_activation, every_layer, bayesian,
    conditional, class_prior, m2,
)  # fmt: skip


def make(maker):
    """Returns the model, its weights moved away from where they start."""
    model, rng = maker(), np.random.default_rng(3)
    for variable in model.decoder.weights:
        value = np.asarray(variable)
        moved = value + 0.4 * rng.normal(size=value.shape)
        is_spread = "variance" in variable.path or variable.path.endswith("/scale")
        variable.assign(np.abs(moved) + 0.5 if is_spread else moved)
    return model


def draws(model, count=9):
    """Returns latents [N, D], classes [N] or None, and the means of Keras [N, ...]."""
    z = 2 * np.random.default_rng(1).normal(size=(count, LATENT)).astype(np.float32)
    given = np.arange(count) % 3 if model.condition else None
    return z, given, model.at_mean().likelihood(z, given).mean().numpy()
