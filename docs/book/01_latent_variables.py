# title en: Latent variables: a mixture and EM
# title zh: 隐变量：混合分布与 EM

# %% [markdown] en
# A latent variable $z$ explains an observed $x$ without being seen. The model is a joint density, and what it says of $x$ alone is
#
# $$p(x) = \int p(x, z)\,dz = \int p(x|z)\,p(z)\,dz \tag{17.1, 17.2}$$
#
# Where $z$ is one of $N$ classes the integral is a sum. A mixture of normals has
#
# $$p(z = n) = \lambda_n, \qquad p(x|z = n) = \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.3}$$
#
# $$p(x) = \sum_{n=1}^{N} \lambda_n\, \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.4}$$

# %% [markdown] zh
# 隐变量 $z$ 解释观测到的 $x$，自己却看不见。模型是一个联合密度，它对 $x$ 本身的说法是
#
# $$p(x) = \int p(x, z)\,dz = \int p(x|z)\,p(z)\,dz \tag{17.1, 17.2}$$
#
# 当 $z$ 只取 $N$ 个类别时，积分变成求和。正态混合分布为
#
# $$p(z = n) = \lambda_n, \qquad p(x|z = n) = \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.3}$$
#
# $$p(x) = \sum_{n=1}^{N} \lambda_n\, \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.4}$$

# %% runs: 17.1, 17.2, 17.3, 17.4, figure 17.1
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

shares = np.array([0.3, 0.5, 0.2])
means = np.array([-2.0, 0.5, 3.0])
scales = np.array([0.5, 0.9, 0.4])


def log_joint(x, shares, means, scales):
    """Returns log p(x, z = n), [I, N]."""
    return np.log(shares) + stats.norm.logpdf(x[:, None], means, scales)


grid = np.linspace(-6, 7, 2001)
joint = np.exp(log_joint(grid, shares, means, scales))
density = joint.sum(1)
total = np.trapezoid(density, grid)
print(f"the density integrates to {total:.6f}")
assert abs(total - 1) < 1e-6
plt.plot(grid, density, "k")
plt.plot(grid, joint, "--")
plt.xlabel("x")
plt.ylabel("p(x)")

# %% [markdown] en
# **EM.** For a distribution $q(z)$ of each example the bound is $\sum_n q_n \log (p(x, n) / q_n)$. The E step sets $q$ to the posterior, and then the bound
# *touches* the log-likelihood; the M step moves the parameters along it. So the log-likelihood never falls.

# %% [markdown] zh
# **EM 算法。** 对每个样本的分布 $q(z)$，下界是 $\sum_n q_n \log (p(x, n) / q_n)$。E 步把 $q$ 取为后验，此时下界与对数似然**相接**；
# M 步沿着下界移动参数。所以对数似然从不下降。

# %% runs: figure 17.15
rng = np.random.default_rng(0)
classes = rng.choice(3, 500, p=shares)
x = rng.normal(means[classes], scales[classes])


def bound(q, values):
    return (q * (values - np.log(q + 1e-300))).sum()


guess = np.full(3, 1 / 3), np.array([-1.0, 0.0, 1.0]), np.ones(3)
trace = []
for _ in range(40):
    values = log_joint(x, *guess)
    likelihood = logsumexp(values, axis=1).sum()
    q = np.exp(values - logsumexp(values, axis=1, keepdims=True))  # E step
    assert abs(bound(q, values) - likelihood) < 1e-6  # tight
    trace.append(likelihood)
    weight = q.sum(0)  # M step
    centre = q.T @ x / weight
    spread = np.sqrt((q * (x[:, None] - centre) ** 2).sum(0) / weight)
    guess = weight / len(x), centre, spread
    after = bound(q, log_joint(x, *guess))
    assert after >= likelihood - 1e-9
    trace.append(after)
assert np.all(np.diff(trace) > -1e-9)
print("means", np.round(guess[1], 2), "of", means)
assert np.allclose(np.sort(guess[1]), means, atol=0.35)
plt.plot(np.arange(len(trace)) / 2, trace, ".-")
plt.xlabel("E, M")
plt.ylabel("bound, nats")
