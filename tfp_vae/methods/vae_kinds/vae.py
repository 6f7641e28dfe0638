"""p(x) of one latent."""

from tfp_vae.methods.vae_kinds.base import VAE_KINDS, VAEKind


@VAE_KINDS.register("vae", "p(x)")
class Plain(VAEKind):
    """A `VAE` of one latent with real numbers."""
