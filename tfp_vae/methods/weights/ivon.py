"""IVON: variational inference by the optimizer, for the price of a point."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("ivon", "variational inference by the optimizer IVON")
class VariationalOnlineNewton(Method):
    """One network whose optimizer has a mean-field posterior in its state (Shen et al., 2024).

    The prior is in the optimizer, for all weights; the posterior is saved with its state.
    """

    uses = ("prior_scale",)
    post_hoc = True
    # Chosen on validation images of the digits: rates are so much faster than those of Adam, and
    # the start is forgotten within a thousand steps, as small data have no more than some thousand.
    FASTER = 100
    CURVATURE, BETA_2 = 1.0, 0.999
    # A regression of little noise has curvatures of 40 and more, where steps from 1 go too far.
    CLIP = 0.1

    def __init__(self, recipe):
        super().__init__(recipe)
        if recipe.prior_scale == "fan_in":
            raise ValueError(
                "IVON has one prior for all weights. Expected a number > 0 as prior_scale. "
                "Received 'fan_in'."
            )

    def weight_prior(self):
        """Returns None: the optimizer has the prior."""
        return None

    def optimizer(self, learning_rate, num_data, seed=0):
        """Returns IVON at temperature 1, with a rate that is `FASTER` than that of Adam."""
        from tfp_vae.optimizers import IVON, Scaled

        if callable(learning_rate):
            rate = Scaled(learning_rate, self.FASTER)
        else:
            rate = self.FASTER * learning_rate
        scale = float(self.recipe.prior_scale)
        options = {"beta_2": self.BETA_2, "clip_radius": self.CLIP, "seed": seed}
        return IVON(num_data, rate, scale, self.CURVATURE, **options)

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the posterior of the optimizer, with its bound on the training data."""
        del batch_size, callbacks
        from tfp_vae.models import IVONPosterior

        return IVONPosterior(model).fit(train, seed)

    def summary(self, predictor):
        """Returns the ELBO and the KL of the posterior, in nats, and its temperature."""
        return predictor.summary()
