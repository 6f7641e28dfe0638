"""SWAG: a normal distribution fitted to the path of SGD around the mode."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("swag", "SWAG")
class StochasticWeightAveraging(Method):
    """The weights that SGD walks through after training (Maddox et al., 2019)."""

    uses = ("prior_scale", "posterior_steps", "posterior_rate")
    post_hoc = True
    trained_as = "map"

    def finish(self, model, train, seed=0, batch_size=32, callbacks=()):
        """Returns the normal distribution of the path."""
        del seed
        from tfp_vae.models import SWAG

        steps = self.recipe.posterior_steps
        return SWAG(model).fit(train, steps, self.rate, batch_size, callbacks)

    def finish_groups(self, ensemble, train, batch_size):
        """Returns a predictor of each group; all walk together, then each is looked at alone.

        `Recipe.posterior_rate` is here times the noise variance in units of the target, because
        the curvature of the loss is proportional to 1 / noise variance.
        """
        import numpy as np

        from tfp_vae.models import SWAG

        path, found = self._walk(ensemble, train, batch_size), []
        for group in range(train.shape[0]):
            place = group * ensemble.size
            own = [[stack[place] for stack in step] for step in path]
            flat = np.stack([np.concatenate([np.ravel(v) for v in step]) for step in own])
            found.append(SWAG(ensemble.member(place)).take(flat))
        return found

    def _walk(self, ensemble, train, batch_size) -> list:
        import keras
        import tensorflow as tf

        from tfp_vae.models.posteriors import swag

        walk = type(ensemble).from_config(ensemble.get_config())
        for new, old in zip(walk.stacks, ensemble.stacks, strict=True):
            new.assign(old)
        parts = ensemble.predictive(train.take(1)).components_distribution
        units = ensemble.member(0).likelihood.target_scale.numpy()
        smallest = float(tf.reduce_min(parts.scale)) / float(units)
        rate = self.rate * smallest**2
        walk.compile(
            optimizer=keras.optimizers.SGD(rate, momentum=0.9),
            steps_per_execution=train.num_batches(batch_size),
            jit_compile=False,
        )
        return swag.collect_path(walk, train, self.recipe.posterior_steps, batch_size)
