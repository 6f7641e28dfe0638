"""Maximum a posteriori: the weights at the mode of their posterior."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("map", "maximum a posteriori")
class MaximumAPosteriori(Method):
    """One network whose weights have a normal prior."""

    uses = ("prior_scale", "beta", "warm_up")
