"""Small trainings that tests interrupt."""

import functools

import keras
import numpy as np

import tfp_vae as tv
from tfp_vae import methods, training
from tfp_vae.data import Data, Kind, Split
from tfp_vae.distributions import encoders, priors

EPOCHS, BATCH_SIZE = 3, 8
# Where a density lives that others do not reach: the one posterior that goes with a prior.
_SUPPORT = {"uniform": "box", "von_mises_fisher": "von_mises_fisher"}
_PRIOR_OF = {posterior: prior for prior, posterior in _SUPPORT.items()}
# Every prior, posterior and network of a VAE, levels, codes and others: the fields of a recipe.
MEMBERS = {
    **{
        f"prior-{name}": {"prior": name, "posterior": _SUPPORT.get(name, "diagonal")}
        for name in priors.PRIORS
    },
    **{
        f"posterior-{name}": {"prior": _PRIOR_OF.get(name, "standard"), "posterior": name}
        for name in encoders.ENCODERS
    },
    "network-gated": {"network": "gated"},
    "model-hierarchical": {"model": "hierarchical", "posterior": "ladder", "prior": "mixture"},
    "model-vade": {"model": "vade", "clusters": 3},
    # Codes have state of their own: a temperature, a table and when it was looked at. A part of a
    # batch has fewer outputs than this table has rows.
    "model-gumbel": {
        "model": "gumbel",
        "codes": (("places", 2), ("categories", 3), ("steps", 20)),
    },
    "model-vq": {
        "model": "vq",
        "codes": (("places", 2), ("count", 12), ("every", 4), ("revival", 0.5)),
    },
    "model-aae": {"model": "aae"},
    "model-vae_gan": {"model": "vae_gan"},
}
# Members that nobody interrupts.
OTHERS = {
    "network-resnet": {"network": "resnet", "filters": (2, 2)},
    "model-bernoulli": {"model": "bernoulli", "codes": (("places", 3), ("enumerate", False))},
    "model-categorical": {"model": "categorical", "codes": (("places", 2), ("categories", 3))},
    "model-fsq": {"model": "fsq", "codes": (("places", 2), ("levels", (3, 4)))},
    "model-joint": {"model": "joint", "codes": (("categories", 3), ("continuous", 2))},
    "model-pixel": {"model": "pixel", "receptive_field": 1},
    "model-autoencoder": {"model": "autoencoder", "noise": 0.1},
}
# Codes that are drawn have no path from the decoder to the encoder.
_GRADIENTS = {"model-bernoulli": "vimco"}
# What two devices are tried with beside plain models, each kind of state and of draws once.
SHARED_LATENTS = (
    "prior-mixture",
    "prior-vamp",
    "prior-flow",
    "posterior-iaf",
    "model-hierarchical",
)
SHARED_MODELS = (
    "model-gumbel",
    "model-vq",
    "model-aae",
    "model-vae_gan",
    "model-autoencoder",
)


def data(kind=Kind.DYNAMIC):
    """Returns 60 images to train on, in eight batches the last of which is short."""
    rng = np.random.default_rng(0)
    splits = [
        Split(rng.integers(0, 256, (n, 4, 4, 1), np.uint8), kind, rng.integers(0, 3, n), s)
        for n, s in ((60, "train"), (10, "validation"), (10, "test"))
    ]
    return Data("noise", splits[0], *(split.frozen() for split in splits[1:]))


def model(kind, found, jit=False, steps_per_execution=2, rate=1e-2):
    """Returns a compiled model: "vae", "grey" (a VAE), "bnn" or the network of a method.

    A name of `objectives.GRADIENTS` is a VAE trained on L_4 by that estimator, one of `MEMBERS`
    or `OTHERS` a VAE with that member.
    """
    keras.utils.set_random_seed(1)
    weighted = kind in tv.objectives.GRADIENTS
    objective = tv.objectives.ELBO(tv.objectives.linear(20))
    if kind in MEMBERS or kind in OTHERS:
        gradient = _GRADIENTS.get(kind, "path")
        draws = 1 if gradient == "path" else 2
        fields = {"latent_dim": 3, "hidden": (6,), "components": 3, "num_samples": draws}
        recipe = methods.VAERecipe(**(fields | (MEMBERS | OTHERS)[kind]))
        if gradient != "path":
            objective = tv.objectives.ELBO(tv.objectives.linear(20), gradient=gradient)
        on_bound = methods.vae.kind_of(recipe.model).on_bound
        made = recipe.build(found, objective if on_bound else None, seed=3)
    elif kind not in ("vae", "grey") and not weighted:
        method = "vi" if kind == "bnn" else kind
        recipe = methods.Recipe(method=method, hidden=(8,), random_features=16)
        made = methods.build(recipe, found, objective, 3)
    else:
        decoder = tv.decoders.Normal if kind == "grey" else tv.decoders.Bernoulli
        made = tv.VAE(
            prior=tv.priors.StandardNormal(2),
            encoder=tv.encoders.ENCODERS["diagonal"](tv.networks.mlp([8]), 2),
            decoder=decoder(tv.networks.mlp([8]), found.shape),
            objective=tv.objectives.IWAE(kind) if weighted else objective,
            num_samples=4 if weighted else 1,
            seed=3,
        )
    made.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, 24)),
        jit_compile=jit,
        steps_per_execution=steps_per_execution,
    )
    return made


class Again:
    """A model that is set back to its start at every call: its steps are traced once.

    For tests whose claim is not what a model that was made anew goes on with.
    """

    def __init__(self, made):
        self._made = made
        made.optimizer.build(made.trainable_variables)
        self._start = [(variable, variable.numpy()) for variable in self._variables()]

    def _variables(self):
        return [*self._made.variables, *self._made.optimizer.variables]

    def __call__(self):
        assert len(self._variables()) == len(self._start)
        for variable, value in self._start:
            variable.assign(value)
        self._made.stop_training = False
        return self._made


@functools.cache
def again(kind):
    """Returns the `Again` of a kind of `model`."""
    return Again(model(kind, data()))


class Interrupt(keras.callbacks.Callback):
    """Ends the training as a crash would, after some calls."""

    def __init__(self, calls):
        super().__init__()
        self.left = calls

    def on_train_batch_end(self, batch, logs=None):
        """Counts down."""
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def train(made, found, folder, *more, save=None, patience=2, **plan):
    """Trains, saves and returns (weights, history, lines of the file)."""
    folder.mkdir(exist_ok=True)
    chosen = [
        training.StopOnNaN(),
        training.HistoryFile(folder / "history.csv"),
        training.early_stopping(patience),
        *more,
        save or training.Checkpoints(folder, **(plan or {"steps": 3})),
    ]
    history = made.fit(
        found.train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=found.validation,
        callbacks=chosen,
        verbose=0,
    )
    return made.get_weights(), history.history, (folder / "history.csv").read_text()


def assert_same(first, second):
    """Asserts that two trainings ended the same, to the last bit."""
    for one, other in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert first[1:] == second[1:]
