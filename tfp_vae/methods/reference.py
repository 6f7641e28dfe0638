"""What the posterior of a small network is: Hamiltonian Monte Carlo in one call."""

import keras

from tfp_vae.arguments import check_count
from tfp_vae.data import Data, Split
from tfp_vae.methods.network import Recipe, make_member
from tfp_vae.models import NUTS, BayesianNetwork
from tfp_vae.models.posteriors.chains import check_length
from tfp_vae.models.posteriors.nuts import check_size
from tfp_vae.optimizers import held_adam


def reference(
    data: "Data | Split",
    model: "BayesianNetwork | Recipe | None" = None,
    *,
    num_chains: int = 4,
    num_samples: int = 500,
    num_burnin: int = 500,
    max_tree_depth: int = 7,
    steps: int = 300,
    learning_rate: float = 1e-2,
    seed: int = 0,
) -> NUTS:
    """Returns chains of the No-U-Turn sampler: what other methods are judged by.

    The network is trained to near its maximum a posteriori point with all data at once, and the
    chains start around it.

    Args:
        data: whose training examples are used, or these themselves.
        model: a network of ordinary layers with a `weight_prior`, trained or not, or the recipe
            of one; by default one hidden layer of 50 tanh units with priors N(0, 1).
        num_chains: C.
        num_samples: kept per chain, at least 4.
        num_burnin: steps of adaptation.
        max_tree_depth: see `NUTS`.
        steps: of Adam with all data at once, before; 0 for a model that is trained.
        learning_rate: of these steps.
        seed: fixes weights and chains.

    Returns:
        The posterior, with `predictive`, and R-hat, effective sample size, acceptance and share of
        divergences in `chains.summary()`.

    Raises:
        ValueError: before work, for too few samples, a network that is too large or has no
            posterior to sample, or data that do not fit it.

    Example:
        >>> data = tv.data.load("diabetes")
        >>> recipe = tv.methods.Recipe("nuts", hidden=(2,), activation="tanh")
        >>> chains = tv.reference(data, recipe, num_samples=4, num_burnin=4, max_tree_depth=1)
        >>> sorted(chains.chains.summary())
        ['acceptance', 'divergences', 'effective_sample_size_min', 'rhat_max']
    """
    check_length(num_samples, "a reference")
    steps = check_count("steps", steps, 0)
    split = data.train if isinstance(data, Data) else data
    keras.utils.set_random_seed(seed)
    if model is None:
        model = Recipe("nuts", hidden=(50,), activation="tanh")
    if isinstance(model, Recipe):
        classes = None if split.labels is None else int(split.labels.max()) + 1
        model = make_member(model, split.shape, classes, seed=seed)
    split = model.as_split(split)
    model.adapt(split) if model.num_data is None else model.take_size(split)
    chains = NUTS(model, num_chains, num_samples, num_burnin, max_tree_depth)
    check_size(chains.num_weights, "a reference")
    if steps:
        at_once = min(100, steps)
        model.compile(held_adam(learning_rate), steps_per_execution=at_once, jit_compile=False)
        epochs = -(-steps // at_once)
        whole = len(split)
        model.fit(split, batch_size=whole, steps_per_epoch=at_once, epochs=epochs, verbose=0)
    return chains.fit(split, seed)
