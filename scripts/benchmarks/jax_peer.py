"""JAX: an epoch as one `lax.scan` over data in memory, the form its users call fastest."""

import jax
import jax.numpy as jnp
import worker


def _dense(key, fan_in, fan_out):
    weights = jax.random.normal(key, (fan_in, fan_out)) * jnp.sqrt(2.0 / fan_in)
    return {"w": weights, "b": jnp.zeros(fan_out)}


def _apply(layer, x):
    return x @ layer["w"] + layer["b"]


def _loss(parameters, x, key, draws=0):
    """Returns minus the ELBO, or minus the importance-weighted bound of so many draws."""
    hidden = jax.nn.relu(_apply(parameters[0], x))
    loc, log_variance = jnp.split(_apply(parameters[1], hidden), 2, axis=1)
    if draws:
        noise = jax.random.normal(key, (draws, *loc.shape))
        z = loc + jnp.exp(0.5 * log_variance) * noise
        logits = _apply(parameters[3], jax.nn.relu(_apply(parameters[2], z)))
        weights = jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)
        weights += 0.5 * jnp.sum(noise**2 - z**2 + log_variance, axis=-1)
        return jnp.mean(jnp.log(draws) - jax.nn.logsumexp(weights, axis=0))
    z = loc + jnp.exp(0.5 * log_variance) * jax.random.normal(key, loc.shape)
    logits = _apply(parameters[3], jax.nn.relu(_apply(parameters[2], z)))
    log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits), axis=1)
    kl = -0.5 * jnp.sum(1 + log_variance - loc**2 - jnp.exp(log_variance), axis=1)
    return jnp.mean(kl - log_likelihood)


def _annealing(parameters, x, steps, chains=16, leapfrogs=3):
    """Returns log p(x) of images by annealing; what is known at z is kept, as tfp_vae does."""
    curve = jax.nn.sigmoid(4 * (2 * jnp.linspace(0, 1, steps + 1) - 1))
    betas = (curve - curve[0]) / (curve[-1] - curve[0])

    def rises(z):
        logits = _apply(parameters[3], jax.nn.relu(_apply(parameters[2], z)))
        rise = jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)
        return rise.sum(), rise

    def point(z):
        (_, rise), slope = jax.value_and_grad(rises, has_aux=True)(z)
        return z, -0.5 * jnp.sum(z**2, axis=-1), rise, slope

    def step(state, inputs):
        here, log_w, key = state
        before, beta = inputs
        log_w += (beta - before) * here[2]
        key, *keys = jax.random.split(key, 4)
        size = 0.6 + 0.8 * jax.random.uniform(keys[0], (*log_w.shape, 1))
        size *= 0.3 / jnp.sqrt(1 + 9 * beta)
        start = jax.random.normal(keys[1], here[0].shape)
        momentum, there = start + 0.5 * size * (beta * here[3] - here[0]), here
        for number in range(leapfrogs):
            there = point(there[0] + size * momentum)
            share = 1.0 if number + 1 < leapfrogs else 0.5
            momentum += share * size * (beta * there[3] - there[0])
        gain = there[1] + beta * there[2] - here[1] - beta * here[2]
        gain += 0.5 * jnp.sum(start**2 - momentum**2, axis=-1)
        accepted = jnp.log(jax.random.uniform(keys[2], gain.shape)) < gain
        here = jax.tree.map(
            lambda new, old: jnp.where(
                accepted if old.ndim == 2 else accepted[..., None], new, old
            ),
            there,
            here,
        )
        return (here, log_w, key), None

    @jax.jit
    def run(key):
        key, first = jax.random.split(key)
        here = point(jax.random.normal(first, (chains, len(x), 20)))
        state = (here, jnp.zeros((chains, len(x))), key)
        (_, log_w, _), _ = jax.lax.scan(step, state, (betas[:-1], betas[1:]))
        return (jax.nn.logsumexp(log_w, axis=0) - jnp.log(chains)).mean()

    def block():
        return len(x), run(jax.random.key(2))

    return block


def make(item, variant, data):
    """Returns the block of an item."""
    stored = jnp.asarray(data["x"].reshape(-1, 784))
    batch_size = int(data["batch_size"])
    steps = len(stored) // batch_size
    sizes = ((784, 400), (400, 40), (20, 400), (400, 784))
    keys = jax.random.split(jax.random.key(0), len(sizes))
    parameters = [_dense(key, *size) for key, size in zip(keys, sizes, strict=True)]
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    draws = int(variant) if item == "I50" else 0

    def step(state, index):
        parameters, first, second, count, key = state
        key, binary, noise = jax.random.split(key, 3)
        grey = stored[index].astype(jnp.float32) / 255
        x = (jax.random.uniform(binary, grey.shape) < grey).astype(jnp.float32)
        loss, gradient = jax.value_and_grad(_loss)(parameters, x, noise, draws)
        count += 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), parameters, first, second
        )
        return (parameters, first, second, count, key), loss

    @jax.jit
    def epoch(state):
        *rest, key = state
        key, order = jax.random.split(key)
        order = jax.random.permutation(order, len(stored))[: steps * batch_size]
        state, losses = jax.lax.scan(step, (*rest, key), order.reshape(steps, batch_size))
        return state, losses.mean()

    state = (parameters, zeros, zeros, 0.0, jax.random.key(1))

    def block():
        nonlocal state
        state, loss = epoch(state)
        return steps * batch_size, loss

    if item == "AIS1":
        for _ in range(3):
            block()
        grey = stored[:100].astype(jnp.float32) / 255
        x = (jax.random.uniform(jax.random.key(3), grey.shape) < grey).astype(jnp.float32)
        return _annealing(state[0], x, int(variant))
    return block


if __name__ == "__main__":
    worker.serve(make)
