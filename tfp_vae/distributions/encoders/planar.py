"""The planar flow, whose steps bend along one direction each."""

from typing import Any

from tfp_vae.distributions import flows
from tfp_vae.distributions.encoders.base import ENCODERS, registered
from tfp_vae.distributions.encoders.flow import FlowEncoder


@ENCODERS.register("planar", "planar flow")
@registered
class Planar(FlowEncoder):
    """z <- z + u(x) tanh(w(x).z + b(x)) (Rezende & Mohamed, 2015, eq. 10), `flows.Planar`.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
        steps: of the flow.
    """

    has_own_context = True

    def __init__(self, network: Any, latent_dim: int, steps: int = 8, **kwargs: Any):
        self._dims = latent_dim
        super().__init__(network, latent_dim, steps, **kwargs)

    def step(self, number: int) -> flows.Step:
        """Returns a planar step."""
        return flows.Planar(self._dims)
