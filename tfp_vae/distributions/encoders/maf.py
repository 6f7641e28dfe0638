"""The masked autoregressive flow, whose density is one pass."""

from tfp_vae.distributions.encoders.base import ENCODERS, registered
from tfp_vae.distributions.encoders.flow import MaskedEncoder


@ENCODERS.register("maf", "masked autoregressive flow")
@registered
class MaskedAutoregressive(MaskedEncoder):
    """u <- z exp(s(z, x)) + m(z, x) is the way back to the normal (Papamakarios et al., 2017).

    The density is one pass anywhere; a draw takes D passes a step, one after the other.
    """

    quick_forward = False
