"""The flags of a prior that is fitted after training, and what is built from them."""

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli

GROUP = "Model"
_FIT_PRIOR = flags.DEFINE_enum(
    "fit_prior",
    None,
    peek.names("models.ex_post.FITTED"),
    "Another p(z), fitted to latents of the training data; its gain is reported.",
)
_COMPONENTS = flags.DEFINE_integer(
    "fit_prior_components", 10, "Of --fit_prior=mixture.", lower_bound=1
)


def check(vae: "tv.VAE", data: "tv.data.Data") -> None:
    """Raises `ValueError` if the flags name a prior that cannot be fitted to this model."""
    cli.refuse_unused(isinstance(vae, tv.VAE), "the run of a VAE", _FIT_PRIOR, _COMPONENTS)
    cli.refuse_unused(_FIT_PRIOR.value == "mixture", "--fit_prior=mixture", _COMPONENTS)
    if _FIT_PRIOR.value:
        vae.check_prior(_FIT_PRIOR.value, data.train, components=_COMPONENTS.value)


def fitted(vae: "tv.VAE", data: "tv.data.Data", split: "tv.data.Split") -> "tuple[tv.VAE, dict]":
    """Returns the model with the prior of the flags, and what it gains on a split, JSON-ready.

    Args:
        vae: trained.
        data: whose training examples the prior is fitted to.
        split: that the gain is measured on.
    """
    if not _FIT_PRIOR.value:
        return vae, {}
    new = vae.with_prior(_FIT_PRIOR.value, data.train, components=_COMPONENTS.value)
    if not vae.on_bound:
        print(f"p(z): {_FIT_PRIOR.value}, fitted to codes of the training data; {vae.off_bound}")
        return new, {"fit_prior": _FIT_PRIOR.value}
    gain = new.prior_gain(vae, split)
    found = {
        "fit_prior": _FIT_PRIOR.value,
        "prior_gain": float(gain.mean()),
        "prior_gain_se": tv.evaluation.standard_error(gain),
    }
    print(f"p(z): {_FIT_PRIOR.value}, {found['prior_gain']:+.3f} nats of the ELBO")
    return new, found
