"""Models of every sort on data of every sort, most of it right and a little of it wrong.

A case is a record whose fields are what a user would write. Its defaults are a model that trains,
so that an example names only what it changes.
"""

import dataclasses
import math
import typing

import keras
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

import tfp_vae as tv

NAN, INF = math.nan, math.inf
# What no number of things can be, and what is not a finite number.
ODD_COUNTS = (0, -1, 1.5, NAN, INF, None, "two", "", [2], 2**70)
ODD_NUMBERS = (0, -1.0, NAN, INF, -INF, None, "wide", [1.0], True, 1e-30, 1e30, 2**1100)
CONTENTS = ("binary", "unit", "bytes", "real")
ODD_CONTENTS = ("nan", "inf", "huge", "constant", "text", "complex", "bool", "objects")


class Record:
    """A dataclass that shows what it changes of its defaults, which is how one writes it."""

    def __repr__(self):
        changes = [
            f"{field.name}={value!r}"
            for field in dataclasses.fields(self)
            if repr(value := getattr(self, field.name)) != repr(field.default)
        ]
        return f"{type(self).__name__}({', '.join(changes)})"


@dataclasses.dataclass(frozen=True, repr=False)
class Values(Record):
    """An array: shape with the axis of examples, what is in it, dtype (None: what it comes as)."""

    shape: tuple = (5, 3)
    content: str = "binary"
    dtype: "str | None" = None

    def array(self) -> np.ndarray:
        """Returns the array, the same one every time."""
        rng = np.random.default_rng(7)
        with np.errstate(all="ignore"):
            values = _CONTENT[self.content](rng, self.shape)
            plain = self.dtype is None or values.dtype.kind not in "biuf"
            return values if plain else values.astype(self.dtype)


def _with(value):
    def make(rng, shape):
        values = rng.random(shape)
        values[tuple(0 for _ in shape)] = value
        return values

    return lambda rng, shape: make(rng, shape) if math.prod(shape) else rng.random(shape)


_CONTENT = {
    "binary": lambda rng, shape: rng.integers(0, 2, shape).astype(np.float32),
    "unit": lambda rng, shape: rng.random(shape),
    "bytes": lambda rng, shape: rng.integers(0, 256, shape, np.uint8),
    "real": lambda rng, shape: 3 * rng.standard_normal(shape),
    "counts": lambda rng, shape: rng.poisson(3, shape),
    "labels": lambda rng, shape: np.resize(np.arange(3), shape),
    "one_label": lambda rng, shape: np.ones(shape, int),
    "some_unlabelled": lambda rng, shape: np.resize([0, -1, 1, 2, -1], shape),
    "no_labels": lambda rng, shape: np.full(shape, -1),
    "negative": lambda rng, shape: np.resize([0, -7], shape),
    "large": lambda rng, shape: np.resize([1, 2**40], shape),
    "nan": _with(NAN),
    "inf": _with(INF),
    "huge": _with(1e300),
    "big": lambda rng, shape: 1e30 * rng.standard_normal(shape),
    "constant": lambda rng, shape: np.full(shape, 0.25),
    "text": lambda rng, shape: np.full(shape, "a"),
    "complex": lambda rng, shape: rng.random(shape) * 1j,
    "bool": lambda rng, shape: rng.random(shape) < 0.5,
    "objects": lambda rng, shape: np.full(shape, None),
}
DTYPES = ("uint8", "int64", "float16", "float32", "float64", ">f4", "bool")


def values(shapes, contents, odd: bool):
    """Returns a strategy of `Values` of some shapes, first axis included."""
    some = st.sampled_from((*contents, *ODD_CONTENTS, "negative", "large", "big"))
    return st.builds(
        Values,
        shapes,
        some if odd else st.sampled_from(contents),
        st.none() if not odd else st.none() | st.sampled_from(DTYPES),
    )


class Recipe(typing.NamedTuple):
    """How many of the fields of a case may be wrong, and which strategy each field has."""

    right: dict
    wrong: dict


@st.composite
def cases(draw, kind, recipe: Recipe):
    """Draws a case of the class `kind` with at most two fields that are likely wrong."""
    names = sorted(recipe.wrong)
    wrong = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if names else []
    if draw(st.booleans()):
        wrong = []
    return kind(
        **{
            name: draw(recipe.wrong[name] if name in wrong else right)
            for name, right in recipe.right.items()
        }
    )


def one_of(*choices):
    """Returns a strategy of some values, each as likely as the others."""
    return st.sampled_from(choices)


COUNTS = st.integers(1, 4)
odd_count, odd_number = st.sampled_from(ODD_COUNTS), st.sampled_from(ODD_NUMBERS)

# Weights of the KL.


def schedule(what):
    """Returns a number as it is, and of a tuple (name, *arguments) the schedule."""
    if not isinstance(what, tuple):
        return what
    name, *arguments = what
    return tv.objectives.WARM_UPS[name](*arguments)


WEIGHTS = st.one_of(
    one_of(0, 1, 1.0, 0.5, 4),
    st.tuples(one_of("linear", "cyclical", "sigmoid"), st.integers(2, 5)),
    st.tuples(st.just("linear"), st.integers(1, 5), one_of(0.0, 0.5), one_of(1.0, 4.0)),
    st.tuples(st.just("cyclical"), st.integers(2, 5), one_of(0.1, 1.0)),
)
ODD_WEIGHTS = odd_number | st.tuples(one_of("linear", "cyclical", "sigmoid"), odd_count)
ODD_WEIGHTS |= st.tuples(st.just("cyclical"), st.just(3), odd_number)
ODD_WEIGHTS |= st.tuples(st.just("linear"), st.just(3), odd_number, odd_number)


def objective(case):
    """Returns the objective of a case."""
    return tv.objectives.ELBO(
        beta=schedule(case.beta), free_bits=case.free_bits, capacity=schedule(case.capacity)
    )


OBJECTIVE = {
    "beta": WEIGHTS,
    "free_bits": one_of(0.0, 0.0, 0.0, 0.1, 2),
    "capacity": one_of(None, None, None, 0.0, 3, ("linear", 4, 0.0, 5.0)),
}
ODD_OBJECTIVE = {"beta": ODD_WEIGHTS, "free_bits": odd_number, "capacity": ODD_WEIGHTS}

# How data are handed over, and a step of training.

FORMS = ("array", "split", "tensor", "dataset")
ODD_FORMS = ("list", "none", "text", "dataset_of_bytes", "empty_dataset", "iterator", "tuple")


def handed_over(case, model):
    """Returns (x, y) for `fit`, in the form that the case says."""
    x = case.x.array()
    y = None if case.y is None else case.y.array()
    form = case.form
    if form == "split":
        beside = {}
        if y is not None:
            wants_labels = getattr(model, "task", None) == "classification" or getattr(
                model, "num_classes", None
            )
            beside = {"labels" if wants_labels else "targets": y}
        if x.dtype.kind not in "biuf":  # `load` says so, before there is a split
            tv.data.load(x, kind=case.kind, **beside)
        return tv.data.Split(x, case.kind or tv.data.kinds.infer(x), **beside), None
    # What TensorFlow itself would not take is given as it is.
    numbers = all(each is None or each.dtype.kind in "biuf" for each in (x, y))
    if form == "array" or (form == "tensor" and not numbers):
        return x, y
    if form == "tensor":
        return tf.constant(x), y
    if x.ndim and numbers and "dataset" in form:
        x = x.astype(np.uint8 if form == "dataset_of_bytes" else np.float32)
        y = y if y is None or y.dtype.kind != "f" else y.astype(np.float32)
        dataset = tf.data.Dataset.from_tensor_slices(x)
        if y is not None and y.ndim:
            dataset = tf.data.Dataset.zip(dataset, tf.data.Dataset.from_tensor_slices(y))
        dataset = dataset.take(0) if form == "empty_dataset" else dataset
        return dataset.batch(2), None
    odd = {
        "list": lambda: x.tolist(),
        "none": lambda: None,
        "text": lambda: "digits",
        "iterator": lambda: iter([x]),
        "tuple": lambda: (x, y),
    }
    return odd.get(form, lambda: x)(), y


def train(case, model) -> None:
    """Trains one epoch of few steps; a bound that is not finite is an error of ours."""
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        run_eagerly=case.eager,
        jit_compile=False,
    )
    x, y = handed_over(case, model)
    options = {}
    if case.sample_weight is not None:
        options["sample_weight"] = case.sample_weight.array()
    if case.validation_split is not None:
        options["validation_split"] = case.validation_split
    if case.validate:
        options["validation_data"] = x if y is None else (x, y)
    history = model.fit(x, y, batch_size=case.batch_size, verbose=0, **options)
    tv.training.check_finished(history)


TRAINING = {
    "form": st.sampled_from(FORMS),
    "batch_size": one_of(None, 1, 2, 3, 4),
    "seed": one_of(0, 1, 2**31 - 1),
    "num_data": one_of(None, 5, 1000),
    "sample_weight": st.none(),
    "validation_split": st.none(),
    "validate": st.booleans(),
    "policy": one_of("float32", "float32", "mixed_bfloat16", "mixed_float16"),
}
ODD_TRAINING = {
    "form": st.sampled_from(ODD_FORMS),
    "batch_size": odd_count,
    "seed": odd_count,
    "num_data": odd_count,
    "sample_weight": values(st.tuples(one_of(0, 1, 4, 5, 6)), ("unit", "real"), True),
    "validation_split": one_of(0.0, 0.2, 0.5, 1.0, -1, NAN, "half"),
}


@dataclasses.dataclass(frozen=True, repr=False)
class TrainingCase(Record):
    """What every training has."""

    x: Values = Values()
    y: "Values | None" = None
    form: str = "split"
    kind: "str | None" = None
    batch_size: typing.Any = None
    seed: typing.Any = 0
    num_data: typing.Any = None
    sample_weight: "Values | None" = None
    validation_split: typing.Any = None
    validate: bool = False
    policy: str = "float32"
    eager: bool = True
    beta: typing.Any = 1.0
    free_bits: typing.Any = 0.0
    capacity: typing.Any = None

    def run(self) -> None:
        """Builds the model and trains it a step or two."""
        keras.config.set_dtype_policy(self.policy)
        keras.utils.set_random_seed(1)
        try:
            train(self, self.model())
        finally:
            keras.config.set_dtype_policy("float32")


# Variational autoencoders.


@dataclasses.dataclass(frozen=True, repr=False)
class VAECase(TrainingCase):
    """A VAE, a conditional one, or an M2."""

    sort: str = "vae"
    event_shape: typing.Any = (3,)
    latent_dim: typing.Any = 2
    prior: str = "standard"
    encoder: str = "diagonal"
    decoder: str = "bernoulli"
    scale: typing.Any = "shared"
    scale_floor: typing.Any = 0.01
    network: str = "mlp"
    hidden: typing.Any = (3,)
    activation: typing.Any = "relu"
    num_samples: typing.Any = 1
    num_classes: typing.Any = 3
    condition_dim: typing.Any = None
    decoder_sees: bool = True
    join: str = "flat"
    alpha: typing.Any = 0.1
    labelled_share: typing.Any = 0.5

    def _network(self, decoder: bool):
        if self.network == "mlp":
            return tv.networks.mlp(self.hidden, self.activation)
        if self.network == "bayesian":
            hidden = self.hidden if isinstance(self.hidden, list | tuple) else [self.hidden]
            return keras.Sequential(
                [
                    keras.layers.Flatten(),
                    *(
                        tv.layers.DenseLocalReparameterization(n, activation=self.activation)
                        for n in hidden
                    ),
                ]
            )
        if self.network == "conv":
            make = tv.networks.conv_encoder
            if decoder:
                return tv.networks.conv_decoder(self.event_shape, self.hidden, 3, self.activation)
            return make(self.hidden, 3, self.activation)
        return None if self.network == "none" else keras.layers.Reshape((-1, 1))

    def model(self):
        """Returns the model."""
        normal = {"scale": self.scale, "scale_floor": self.scale_floor}
        priors = {
            "standard": lambda: tv.priors.StandardNormal(self.latent_dim),
            "class": lambda: tv.priors.ClassNormal(self.latent_dim, self.num_classes),
            "conditional": lambda: tv.priors.ConditionalNormal(
                tv.networks.mlp((2,)), self.latent_dim
            ),
        }
        parts = {
            "prior": priors[self.prior](),
            "encoder": tv.encoders.ENCODERS[self.encoder](self._network(False), self.latent_dim),
            "decoder": tv.decoders.Decoder(
                self._network(True),
                self.event_shape,
                tv.heads.HEADS[self.decoder](**(normal if self.decoder == "normal" else {})),
            ),
            "objective": objective(self),
            "num_samples": self.num_samples,
            "seed": self.seed,
            "num_data": self.num_data,
        }
        if self.sort == "vae":
            return tv.VAE(**parts)
        parts |= {"decoder_sees_condition": self.decoder_sees, "join": self.join}
        if self.sort == "conditional":
            return tv.ConditionalVAE(
                **parts, num_classes=self.num_classes, condition_dim=self.condition_dim
            )
        classes = self.num_classes if isinstance(self.num_classes, int) else 3
        return tv.M2(
            **parts,
            classifier=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)]),
            num_classes=self.num_classes,
            alpha=self.alpha,
            labelled_share=self.labelled_share,
        )


_SHAPES = ((3,), (1,), (2, 2), (4, 4, 1), (3, 5, 3), (2, 2, 2, 1))
_KIND_OF = {
    "bernoulli": ("binary",),
    "continuous_bernoulli": ("unit", "binary"),
    "normal": ("real", "unit", "binary"),
    "discretized_logistic": ("bytes",),
    "logistic_mixture": ("bytes",),
    "categorical": ("bytes",),
}


@st.composite
def vaes(draw, eager: bool = True):
    """Draws a `VAECase`."""
    shape = draw(st.sampled_from(_SHAPES))
    count = draw(one_of(1, 2, 5, 6))
    decoder = draw(st.sampled_from(tv.heads.HEADS.group()))
    sort = draw(one_of("vae", "vae", "conditional", "m2"))
    contents = {"conditional": ("labels",), "m2": ("labels", "some_unlabelled"), "vae": ("labels",)}
    vector = sort == "conditional" and draw(st.booleans())
    others = st.sampled_from([(count + 1, *shape), (0, *shape), (count, 7), (count,), ()])
    ys = values(st.just((count,)), ("unit", "real") if vector else contents[sort], False)
    odd_ys = values(one_of((count,), (count + 1,), (count, 2), ()), contents[sort], True)
    odd_ys |= values(
        st.just((count,)), ("one_label", "no_labels", "negative", "large", "real"), False
    )
    conditional = sort != "vae"
    recipe = Recipe(
        right={
            **TRAINING,
            **OBJECTIVE,
            "eager": st.just(eager),
            "x": values(st.just((count, *shape)), _KIND_OF[decoder], False),
            "y": ys if conditional else st.none(),
            "kind": st.none(),
            "sort": st.just(sort),
            "event_shape": st.just(shape),
            "latent_dim": st.integers(1, 3),
            "prior": one_of(
                "standard", *(("conditional",) if vector else ("class",)) * conditional
            ),
            "encoder": one_of("diagonal", "full"),
            "decoder": st.just(decoder),
            "scale": one_of("shared", "per_pixel", 0.5, 1),
            "scale_floor": one_of(0.002, 0.5),
            "network": one_of("mlp", "mlp", "bayesian", *(["conv"] * (len(shape) == 3))),
            "hidden": st.lists(COUNTS, min_size=1, max_size=2),
            "activation": st.sampled_from(tv.networks.ACTIVATIONS),
            "num_samples": COUNTS,
            "num_classes": st.none() if vector else one_of(3, 4),
            "condition_dim": st.just(1) if vector else st.none(),
            "decoder_sees": st.just(True),
            "join": one_of("flat", *(["planes"] * (len(shape) == 3))),
            "alpha": one_of(0, 0.1, 1.0),
            "labelled_share": one_of(0.1, 0.5, 0.9),
        },
        wrong={
            **ODD_TRAINING,
            **ODD_OBJECTIVE,
            "x": values(st.just((count, *shape)) | others, CONTENTS, True),
            "y": st.none() | odd_ys,
            "kind": one_of(*tv.data.Kind, "grey"),
            "event_shape": one_of((), (0,), (-1, 2), (3, 3), [3], 3, None, (NAN,), ("a",), (2.5,)),
            "latent_dim": odd_count,
            "prior": one_of("standard", "class", "conditional"),
            "decoder": st.sampled_from(tv.heads.HEADS.group()),
            "scale": odd_number,
            "scale_floor": odd_number,
            "network": one_of("conv", "none", "reshape", "bayesian"),
            "hidden": st.lists(odd_count, max_size=2) | one_of(3, None, "3", ()),
            "activation": one_of("softmax", "", None, 3, "relu6"),
            "num_samples": odd_count,
            "num_classes": odd_count,
            "condition_dim": odd_count,
            "decoder_sees": st.just(False),
            "join": one_of("planes", "rows", None, ""),
            "alpha": odd_number,
            "labelled_share": odd_number,
        },
    )
    return draw(cases(VAECase, recipe))


# Bayesian neural networks.


@dataclasses.dataclass(frozen=True, repr=False)
class Layer(Record):
    """A Bayesian layer or one of its neighbours."""

    name: str = "DenseReparameterization"
    units: typing.Any = 3
    options: tuple = ()

    def make(self, keras_or_ours=None):
        """Returns the layer."""
        options = dict(self.options)
        prior = options.get("prior")
        if isinstance(prior, tuple):
            name, given = prior
            options["prior"] = tv.layers.priors.WEIGHT_PRIORS[name](**dict(given))
        if self.name == "MonteCarloDropout":
            return tv.layers.MonteCarloDropout(self.units)
        if self.name == "Standardize":
            return tv.layers.Standardize()
        if self.name == "Dense":
            return keras.layers.Dense(self.units)
        if self.name.startswith("Conv"):
            options = {"kernel_size": 2, **options}
        return getattr(tv.layers, self.name)(self.units, **options)


_DENSE = [name for name in tv.layers.__all__ if name.startswith("Dense")]
_CONV = [name for name in tv.layers.__all__ if name.startswith("Conv2D")]


def _options(odd: bool):
    number = odd_number if odd else one_of(0.1, 1.0, 2)
    prior = st.tuples(
        one_of("normal", "scale_mixture", "student_t", "horseshoe"),
        st.dictionaries(one_of("scale"), number | one_of("fan_in"), max_size=1)
        | st.builds(lambda learned: {"learned": learned}, st.booleans()),
    ).map(lambda pair: (pair[0], tuple(pair[1].items())))
    if odd:
        prior |= st.builds(
            lambda name, key, value: (name, ((key, value),)),
            one_of("scale_mixture"),
            one_of("ratio", "weight"),
            odd_number,
        )
        prior |= st.builds(lambda value: ("student_t", (("df", value),)), odd_number)
    known = {
        "prior": prior | number | one_of("normal", "student_t", "horseshoe", "scale_mixture"),
        "covariance": one_of("diagonal", "diagonal", "full", 1, 2),
        "initial_scale": one_of(0.01, 0.1, 1.0),
        "bayesian_bias": st.booleans(),
        "use_bias": st.just(True),
        "activation": one_of(None, "relu", "tanh"),
    }
    if odd:
        known |= {
            "covariance": odd_count | one_of("diag", True, "full"),
            "initial_scale": odd_number,
            "use_bias": st.booleans(),
            "activation": one_of("relux", 3, "softmax", ""),
            "kl_weight": odd_number | st.just(0.2),
            "seed": odd_count,
            "kernel_size": odd_count | one_of((2, 2), (0, 1), (2, 2, 2), ()),
            "strides": odd_count | one_of(2, 3),
            "padding": one_of("same", "valid", "causal", "", None),
            "kernel_initializer": one_of("zeros", "nothing", 3, "he_normal"),
        }
    return st.fixed_dictionaries({}, optional=known).map(lambda found: tuple(found.items()))


def _layers(images: bool, odd: bool):
    units = odd_count if odd else st.integers(1, 4)
    layers = st.builds(Layer, st.sampled_from(_DENSE), units | COUNTS, _options(odd))
    layers |= st.builds(Layer, st.just("MonteCarloDropout"), odd_number if odd else one_of(0, 0.5))
    layers |= st.builds(Layer, one_of("Standardize", "Dense"))
    if images:
        layers |= st.builds(Layer, st.sampled_from(_CONV), units | COUNTS, _options(odd))
    return st.lists(layers, max_size=2).map(
        lambda found: tuple(sorted(found, key=lambda layer: not layer.name.startswith("Conv")))
    )


@dataclasses.dataclass(frozen=True, repr=False)
class NetworkCase(TrainingCase):
    """A Bayesian network, or an ensemble of such."""

    x: Values = Values(content="real")
    y: "Values | None" = Values((5,), "labels")
    layers: tuple = (Layer(),)
    likelihood: str = "categorical"
    given: typing.Any = 3
    features: typing.Any = None
    weight_prior: typing.Any = None
    num_samples: typing.Any = 1
    num_predictive_samples: typing.Any = 2
    members: typing.Any = None
    groups: typing.Any = None
    predict: bool = False

    def model(self):
        """Returns the model."""
        likelihoods = {
            "categorical": tv.likelihoods.Categorical,
            "normal": tv.likelihoods.Normal,
            "poisson": lambda _: tv.likelihoods.Poisson(),
        }
        likelihood = likelihoods[self.likelihood](self.given)
        layers = [layer.make() for layer in self.layers]
        split = sum(layer.name.startswith("Conv") for layer in self.layers)
        last = keras.layers.Dense(
            likelihood.num_features if self.features is None else self.features
        )
        network = [*layers[:split], keras.layers.Flatten(), *layers[split:], last]
        prior = self.weight_prior
        if isinstance(prior, tuple):
            prior = tv.layers.priors.WEIGHT_PRIORS[prior[0]](**dict(prior[1]))
        model = tv.BayesianNetwork(
            keras.Sequential(network),
            likelihood,
            weight_prior=prior,
            objective=objective(self),
            num_samples=self.num_samples,
            num_predictive_samples=self.num_predictive_samples,
            seed=self.seed,
            num_data=self.num_data,
        )
        if self.members is None and self.groups is None:
            return model
        shape = tuple(self.x.shape[1:])
        return tv.Ensemble(model, self.members, groups=self.groups, input_shape=shape or None)


@st.composite
def networks(draw, eager: bool = True):
    """Draws a `NetworkCase`."""
    shape = draw(st.sampled_from(((3,), (1,), (4, 4, 1), (5, 4, 3), (2, 2))))
    count = draw(one_of(2, 5, 6))
    likelihood = draw(one_of("categorical", "normal", "poisson"))
    contents = {"categorical": ("labels",), "normal": ("real", "unit"), "poisson": ("counts",)}
    given = {
        "categorical": one_of(3, 4),
        "normal": one_of("shared", "per_example", 0.5),
        "poisson": st.none(),
    }
    images = len(shape) == 3
    ensemble = draw(one_of(*[False] * 7, True))
    everything = ("labels", "one_label", "real", "counts", "negative", "large")
    recipe = Recipe(
        right={
            **TRAINING,
            **OBJECTIVE,
            "free_bits": st.just(0.0),
            "eager": st.just(eager),
            "x": values(st.just((count, *shape)), CONTENTS, False),
            "y": values(st.just((count,)), contents[likelihood], False),
            "kind": st.none(),
            "layers": _layers(images, False),
            "likelihood": st.just(likelihood),
            "given": given[likelihood],
            "features": st.none(),
            "weight_prior": one_of(None, None, "normal", 1.0, ("student_t", (("df", 3),))),
            "num_samples": st.integers(1, 2),
            "num_predictive_samples": COUNTS,
            "members": one_of(1, 2) if ensemble else st.none(),
            "groups": st.none(),
        },
        wrong={
            **ODD_TRAINING,
            **ODD_OBJECTIVE,
            "x": values(
                one_of((count, *shape), (count + 1, *shape), (0, *shape), (count,), ()),
                CONTENTS,
                True,
            ),
            "y": st.none()
            | values(one_of((count,), (count + 1,), (count, 2), (0,), ()), everything, True),
            "kind": one_of(*tv.data.Kind, "grey"),
            "layers": _layers(images, True),
            "likelihood": one_of("categorical", "normal"),
            "given": odd_number | odd_count,
            "features": one_of(1, 2, 7),
            "weight_prior": odd_number
            | one_of("horseshoe", "flat", {}, {"class_name": "x"})
            | st.tuples(st.just("normal"), odd_number.map(lambda v: (("scale", v),))),
            "num_samples": odd_count,
            "num_predictive_samples": odd_count,
            "members": odd_count,
            "groups": odd_count | st.just(2),
        },
    )
    return draw(cases(NetworkCase, recipe))
