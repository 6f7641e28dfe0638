"""The Sylvester flow, whose steps bend along all directions at once."""

from typing import Any

from tfp_vae.arguments import check_count
from tfp_vae.distributions import flows
from tfp_vae.distributions.encoders.base import ENCODERS, registered
from tfp_vae.distributions.encoders.flow import FlowEncoder


@ENCODERS.register("sylvester", "Sylvester flow")
@registered
class Sylvester(FlowEncoder):
    """z <- z + Q R tanh(R' Q^T z + b) of the example (van den Berg et al., 2018, eq. 7).

    Q by reflections, `flows.Sylvester`.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D; a step has D^2 and some more numbers for each example.
        steps: of the flow.
        reflections: of Q.
    """

    has_own_context = True

    def __init__(
        self,
        network: Any,
        latent_dim: int,
        steps: int = 4,
        reflections: int = 4,
        **kwargs: Any,
    ):
        self.reflections, self._dims = check_count("reflections", reflections), latent_dim
        super().__init__(network, latent_dim, steps, **kwargs)

    def step(self, number: int) -> flows.Step:
        """Returns a Sylvester step."""
        return flows.Sylvester(self._dims, self.reflections)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "reflections": self.reflections}
