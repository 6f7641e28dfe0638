"""The uniform distribution on a sphere, von Mises-Fisher without concentration."""

from typing import Any

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import SPHERE
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, registered
from tfp_vae.distributions.spheres import UniformSphere


@PRIORS.register("von_mises_fisher", "uniform on the unit sphere, for --posterior=von_mises_fisher")
@registered
class VonMisesFisher(Prior):
    """p(z) is uniform on the unit sphere in R^D (Davidson et al., 2018).

    Nothing draws latents to a centre there; D numbers have D - 1 degrees of freedom. Densities are
    by the area of the sphere.

    Args:
        latent_dim: D >= 2.

    Raises:
        ValueError: for one latent: the sphere in R^1 has two points.
    """

    support = SPHERE

    def __init__(self, latent_dim: int, **kwargs: Any):
        super().__init__(check_count("latent_dim of a sphere", latent_dim, 2), **kwargs)

    def distribution(self, context: Context) -> UniformSphere:
        """Returns a `UniformSphere` with event shape [D]."""
        return UniformSphere(self.latent_dim)
