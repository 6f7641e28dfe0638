"""The inverse autoregressive flow, whose draws are one pass."""

from tfp_vae.distributions.encoders.base import ENCODERS, registered
from tfp_vae.distributions.encoders.flow import MaskedEncoder


@ENCODERS.register("iaf", "inverse autoregressive flow")
@registered
class InverseAutoregressive(MaskedEncoder):
    """z <- z exp(s(z, x)) + m(z, x) by masked networks (Kingma et al., 2016, alg. 1).

    Draws come with their density in one pass; the density at other points takes D passes a step.
    log scales are bounded both ways where the paper has a gate, so that a step starts as the
    identity.
    """

    quick_forward = True
