"""A flow as prior: what a learned map makes of a standard normal."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_choice, check_count
from tfp_vae.distributions import flows
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, Spec, registered


@PRIORS.register("flow", "learned flow from a standard normal")
@registered
class Flow(Prior):
    """p(z) = N(f^-1(z); 0, I) |det df^-1/dz| with a learned f, which starts as the identity.

    Couplings (RealNVP, Dinh et al., 2017) are as quick to draw from as to score; an autoregressive
    flow (MAF, Papamakarios et al., 2017) bends more by a step, and draws in D passes.

    Args:
        latent_dim: D; couplings need two.
        kind: "coupling" or "autoregressive".
        steps: how many maps, one after the other.
        hidden: widths of the network in each.

    Raises:
        ValueError: for couplings of one latent.
    """

    has_flow = True

    def __init__(
        self,
        latent_dim: int,
        kind: str = "coupling",
        steps: int = 6,
        hidden: Sequence[int] = (64,),
        **kwargs: Any,
    ):
        super().__init__(latent_dim, **kwargs)
        self.kind = check_choice("flow", kind, flows.FLOWS)
        self.hidden = tuple(check_count("hidden", width) for width in hidden)
        self.flow = flows.flow_steps(kind, latent_dim, check_count("steps", steps), self.hidden)

    def build(self, spec: "Spec | None" = None) -> None:
        """Nothing is left to be made."""
        self.built = True

    def distribution(self, context: Context) -> flows.Flow:
        """Returns a `flows.Flow` with event shape [D]."""
        zeros = tf.zeros(self.latent_dim)
        return flows.Flow(tfd.MultivariateNormalDiag(zeros, zeros + 1.0), self.flow)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        own = {"kind": self.kind, "steps": len(self.flow), "hidden": list(self.hidden)}
        return {**super().get_config(), **own}
