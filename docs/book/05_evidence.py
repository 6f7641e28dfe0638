# title en: Evidence: three ways to estimate it
# title zh: 证据：三种估计方法

# %% [markdown] en
# The evidence is the mean likelihood under the prior,
#
# $$p(x) = \int p(x|z)\,p(z)\,dz = \mathbb{E}_{p(z)}[p(x|z)] \approx \frac{1}{N} \sum_n p(x|z_n) \tag{17.26, 17.27}$$
#
# With many latents nearly all draws from the prior miss the place that matters. Importance sampling draws from $q$ and weights:
#
# $$p(x) \approx \frac{1}{N} \sum_n \frac{p(x|z_n)\,p(z_n)}{q(z_n)}, \qquad z_n \sim q \tag{17.28}$$
#
# The model here is linear with normal noise, so that the evidence is known.

# %% [markdown] zh
# 证据是似然在先验下的平均，
#
# $$p(x) = \int p(x|z)\,p(z)\,dz = \mathbb{E}_{p(z)}[p(x|z)] \approx \frac{1}{N} \sum_n p(x|z_n) \tag{17.26, 17.27}$$
#
# 隐变量一多，从先验抽的样本几乎全部落在要紧的地方之外。重要性采样从 $q$ 抽样再加权：
#
# $$p(x) \approx \frac{1}{N} \sum_n \frac{p(x|z_n)\,p(z_n)}{q(z_n)}, \qquad z_n \sim q \tag{17.28}$$
#
# 这里的模型是线性的，噪声是正态的，所以证据已知。

# %% runs: 17.26, 17.27, 17.28
import itertools

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

rng = np.random.default_rng(0)


def model(latents):
    """Returns (weights [X, D], x [X]) of p(x|z) = N(W z, 0.3^2)."""
    weights = rng.standard_normal((2 * latents, latents)) / np.sqrt(latents)
    return weights, weights @ rng.standard_normal(latents) + 0.3 * rng.standard_normal(2 * latents)


def known(weights, x):
    covariance = weights @ weights.T + 0.09 * np.eye(len(x))
    return stats.multivariate_normal.logpdf(x, np.zeros(len(x)), covariance)


def log_likelihood(weights, x, z):
    return stats.norm.logpdf(x, z @ weights.T, 0.3).sum(-1)


def naive(weights, x, draws):
    z = rng.standard_normal((draws, weights.shape[1]))
    return logsumexp(log_likelihood(weights, x, z)) - np.log(draws)


def importance(weights, x, draws, widening=1.2):
    """Draws from the posterior, a little too wide, as an encoder's would be."""
    precision = np.eye(weights.shape[1]) + weights.T @ weights / 0.09
    mean = np.linalg.solve(precision, weights.T @ x / 0.09)
    q = stats.multivariate_normal(mean, widening * np.linalg.inv(precision))
    z = q.rvs(draws, random_state=rng).reshape(draws, -1)
    log_w = log_likelihood(weights, x, z) + stats.norm.logpdf(z).sum(-1) - q.logpdf(z)
    return logsumexp(log_w) - np.log(draws)


sizes = (1, 2, 4, 8, 16)
errors = {"naive": [], "importance": []}
for latents in sizes:
    weights, x = model(latents)
    truth = known(weights, x)
    errors["naive"].append(naive(weights, x, 2000) - truth)
    errors["importance"].append(importance(weights, x, 2000) - truth)
print("error in nats by number of latents", sizes)
for name, values in errors.items():
    print(f"  {name:<11}", np.round(values, 2))
    plt.plot(sizes, values, "o-", label=name)
plt.legend()
plt.xlabel("D")
plt.ylabel("nats")
assert errors["naive"][-1] < -3 and abs(errors["importance"][-1]) < 0.3

# %% [markdown] en
# **Annealing** needs no encoder: a path of densities $p(x|z)^{\beta}\,p(z)$ leads from the prior to the posterior, and the weights of its steps are collected.

# %% [markdown] zh
# **退火**不需要编码器：一条密度的路径 $p(x|z)^{\beta}\,p(z)$ 从先验通到后验，沿途收集各步的权重。

# %%
weights, x = model(8)
truth = known(weights, x)


def annealed(steps, chains=100):
    z = rng.standard_normal((chains, 8))
    betas = np.linspace(0, 1, steps + 1) ** 3
    log_w, scale = np.zeros(chains), 0.5
    for before, after in itertools.pairwise(betas):
        log_w += (after - before) * log_likelihood(weights, x, z)

        def target(z, beta=after):
            return beta * log_likelihood(weights, x, z) - 0.5 * (z**2).sum(-1)

        moved = z + scale * rng.standard_normal(z.shape)
        accepted = np.log(rng.random(chains)) < target(moved) - target(z)
        z = np.where(accepted[:, None], moved, z)
        scale *= 1.05 if accepted.mean() > 0.3 else 0.95
    return logsumexp(log_w) - np.log(chains)


few, many = annealed(20), annealed(1000)
print(f"error: 20 steps {few - truth:.2f}, 1000 steps {many - truth:.2f} nats")
assert abs(many - truth) < min(1.0, abs(few - truth))

# %% [markdown] en
# `vae.log_evidence(data, num_samples)` is the importance-sampled one and says how many draws carried it; `tfp-vae bounds` anneals.

# %% [markdown] zh
# `vae.log_evidence(data, num_samples)` 是重要性采样，并说明有效样本有多少；`tfp-vae bounds` 作退火。
