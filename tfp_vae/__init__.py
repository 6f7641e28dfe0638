"""Variational autoencoders and Bayesian neural networks as distributions, trained with Keras 3.

    posterior = vae.encoder(x)            # q(z|x), a tfp distribution
    likelihood = vae.decoder(z)           # p(x|z)
    elbo = E_q[likelihood.log_prob(x)] - kl_divergence(posterior, vae.prior())

in nats per example, up is better. See README.md for a tour and BUILD.md for the architecture.
"""

import importlib
from typing import TYPE_CHECKING

from tfp_vae import backend
from tfp_vae.version import __version__

backend.check()

if TYPE_CHECKING:
    from tfp_vae import (
        codec,
        conformal,
        data,
        evaluation,
        export,
        layers,
        methods,
        networks,
        objectives,
        optimizers,
        plots,
        report,
        sklearn,
        studies,
        testing,
        training,
    )
    from tfp_vae.distributions import (
        code_priors,
        codes,
        decoders,
        encoders,
        heads,
        likelihoods,
        priors,
    )
    from tfp_vae.evaluation import Detector
    from tfp_vae.export import load
    from tfp_vae.layers import convert
    from tfp_vae.methods.reference import reference
    from tfp_vae.models import (
        AAE,
        M2,
        MILE,
        NUTS,
        SGMCMC,
        SWAG,
        VAE,
        VAEGAN,
        Autoencoder,
        BayesianNetwork,
        ConditionalVAE,
        Ensemble,
        IVONPosterior,
        Laplace,
        LatentVariable,
        Mixture,
    )

__all__ = [
    "AAE",
    "M2",
    "MILE",
    "NUTS",
    "SGMCMC",
    "SWAG",
    "VAE",
    "VAEGAN",
    "Autoencoder",
    "BayesianNetwork",
    "ConditionalVAE",
    "Detector",
    "Ensemble",
    "IVONPosterior",
    "Laplace",
    "LatentVariable",
    "Mixture",
    "__version__",
    "code_priors",
    "codec",
    "codes",
    "conformal",
    "convert",
    "data",
    "decoders",
    "encoders",
    "evaluation",
    "export",
    "heads",
    "layers",
    "likelihoods",
    "load",
    "methods",
    "networks",
    "objectives",
    "optimizers",
    "plots",
    "priors",
    "reference",
    "report",
    "sklearn",
    "studies",
    "testing",
    "training",
]

# Names that are not rooms, by where they come from. All are imported when they are asked for
# (PEP 562): TensorFlow takes seconds, which nobody waits for who made a typing error.
_ELSEWHERE = {
    "tfp_vae.distributions": (
        *("code_priors", "codes", "decoders", "encoders", "heads", "likelihoods", "priors"),
    ),
    "tfp_vae.evaluation": ("Detector",),
    "tfp_vae.export": ("load",),
    "tfp_vae.methods.reference": ("reference",),
    "tfp_vae.layers": ("convert",),
    "tfp_vae.models": (
        *(
            "AAE",
            "VAEGAN",
            "M2",
            "MILE",
            "NUTS",
            "SGMCMC",
            "SWAG",
            "VAE",
            "Autoencoder",
            "BayesianNetwork",
            "ConditionalVAE",
        ),
        *("Ensemble", "IVONPosterior", "Laplace", "LatentVariable", "Mixture"),
    ),
}


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for place, found in _ELSEWHERE.items():
        if name in found:
            value = getattr(importlib.import_module(place), name)
            break
    else:
        value = importlib.import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
