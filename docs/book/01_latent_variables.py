# title en: Latent variables: a mixture and EM
# title zh: 隐变量：混合分布与 EM

# %% [markdown] en
# We see some numbers, say the heights of 500 plants, and not the species $z$ that each plant belongs to. What is not seen and yet explains what is seen is called a
# *latent variable*. A model says how both come about together: first the latent is drawn, from $p(z)$, the *prior*; then the observation is drawn given it, from $p(x|z)$,
# the *likelihood*. To know how likely $x$ is on its own, add up over everything that $z$ may have been:
#
# $$p(x) = \int p(x, z)\,dz = \int p(x|z)\,p(z)\,dz \tag{17.1, 17.2}$$
#
# Here $z$ is one of $N$ species, so the integral is a sum. Species $n$ has the share $\lambda_n$ of all plants, and its heights have a normal distribution with the mean
# $\mu_n$ and the standard deviation $\sigma_n$:
#
# $$p(z = n) = \lambda_n, \qquad p(x|z = n) = \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.3}$$
#
# $$p(x) = \sum_{n=1}^{N} \lambda_n\, \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.4}$$
#
# Such a sum is a *mixture* of normals. The cell computes it on a grid of $x$. In its picture each dashed curve is one species, $\lambda_n\, \mathcal{N}(x;\, \mu_n, \sigma_n^2)$,
# and the black curve is their sum, $p(x)$.

# %% [markdown] zh
# 我们看到一些数，比如 500 株植物的高度，却看不到每株属于哪个品种 $z$。看不见、却能解释所见的量，叫作**隐变量**。模型说明两者怎样一起产生：
# 先从**先验** $p(z)$ 抽取隐变量，再在给定它的条件下从**似然** $p(x|z)$ 抽取观测值。要知道 $x$ 本身有多可能，就把 $z$ 的所有可能加起来：
#
# $$p(x) = \int p(x, z)\,dz = \int p(x|z)\,p(z)\,dz \tag{17.1, 17.2}$$
#
# 这里 $z$ 是 $N$ 个品种之一，所以积分就是求和。品种 $n$ 占全部植物的份额为 $\lambda_n$，其高度服从正态分布，均值为 $\mu_n$，标准差为 $\sigma_n$：
#
# $$p(z = n) = \lambda_n, \qquad p(x|z = n) = \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.3}$$
#
# $$p(x) = \sum_{n=1}^{N} \lambda_n\, \mathcal{N}(x;\, \mu_n, \sigma_n^2) \tag{17.4}$$
#
# 这样的和叫作正态分布的**混合**。下面的代码在 $x$ 的网格上计算它。图中每条虚线是一个品种 $\lambda_n\, \mathcal{N}(x;\, \mu_n, \sigma_n^2)$，
# 黑线是它们的和 $p(x)$。

# %% runs: 17.1, 17.2, 17.3, 17.4, figure 17.1
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

shares = np.array([0.3, 0.5, 0.2])
means = np.array([-2.0, 0.5, 3.0])
scales = np.array([0.5, 0.9, 0.4])


def log_joint(x, shares, means, scales):
    """Returns log p(x, z = n) for each of I examples and N classes, [I, N]."""
    return np.log(shares) + stats.norm.logpdf(x[:, None], means, scales)


grid = np.linspace(-6, 7, 2001)
joint = np.exp(log_joint(grid, shares, means, scales))
density = joint.sum(1)
total = np.trapezoid(density, grid)
print(f"the density integrates to {total:.6f}")
assert abs(total - 1) < 1e-6
plt.plot(grid, density, "k", label="p(x)")
plt.plot(grid, joint, "--", label=[f"p(x, z = {n})" for n in (1, 2, 3)])
plt.xlabel("x")
plt.legend()

# %% [markdown] en
# **Learning the parameters.** Now turn it round: given 500 numbers $x_i$, find $\lambda_n$, $\mu_n$ and $\sigma_n$. The best are those that make the sum of $\log p(x_i)$
# greatest. That sum has the logarithm of a sum in it, which has no simple maximum. If we knew the species of each plant it would be easy: count them, and take the mean
# and the deviation of each. So the *EM algorithm* takes turns between two easy steps:
#
# - E step: given the parameters so far, compute the probability $q_n$ that example $i$ is of species $n$. This is its *posterior*, $p(z = n|x_i)$.
# - M step: given these probabilities, compute shares, means and deviations, with $q_n$ as weights.
#
# Why does this work? For *any* probabilities $q_n$ that sum to one,
#
# $$\log p(x) \ge \sum_n q_n \log \frac{p(x, z = n)}{q_n}$$
#
# (chapter 3 shows why). The right side is a *lower bound*. The E step makes it equal to the left side, and the M step raises it. So $\log p(x)$ can never fall. The cell
# asserts both, at each of 40 rounds. In its picture the dots are the bound after each half round, in *nats*: the unit of a natural logarithm.

# %% [markdown] zh
# **学习参数。** 现在反过来：给定 500 个数 $x_i$，求 $\lambda_n$、$\mu_n$ 和 $\sigma_n$。最好的参数使 $\log p(x_i)$ 之和最大。
# 这个和里有“和的对数”，没有简单的最大值公式。假如知道每株的品种，事情就很容易：数一数，再各取均值和标准差。所以 **EM 算法**轮流做两个容易的步骤：
#
# - E 步：用目前的参数，计算样本 $i$ 属于品种 $n$ 的概率 $q_n$。这就是它的**后验** $p(z = n|x_i)$。
# - M 步：以这些概率 $q_n$ 为权重，计算份额、均值和标准差。
#
# 为什么有效？对**任意**和为一的概率 $q_n$，
#
# $$\log p(x) \ge \sum_n q_n \log \frac{p(x, z = n)}{q_n}$$
#
# （原因见第 3 章）。右边是一个**下界**。E 步使它等于左边，M 步把它抬高。所以 $\log p(x)$ 绝不会下降。代码在 40 轮的每一轮都断言这两点。
# 图中的点是每半轮之后的下界，单位是**纳特**，即自然对数的单位。

# %% runs: figure 17.15
rng = np.random.default_rng(0)
classes = rng.choice(3, 500, p=shares)
x = rng.normal(means[classes], scales[classes])


def bound(q, values):
    """Returns the bound, summed over all examples; 1e-300 keeps the log of 0 away."""
    return (q * (values - np.log(q + 1e-300))).sum()


guess = np.full(3, 1 / 3), np.array([-1.0, 0.0, 1.0]), np.ones(3)
trace = []
for _ in range(40):
    values = log_joint(x, *guess)
    likelihood = logsumexp(values, axis=1).sum()
    q = np.exp(values - logsumexp(values, axis=1, keepdims=True))  # E step
    assert abs(bound(q, values) - likelihood) < 1e-6  # the bound touches log p(x)
    trace.append(likelihood)
    weight = q.sum(0)  # M step
    centre = q.T @ x / weight
    spread = np.sqrt((q * (x[:, None] - centre) ** 2).sum(0) / weight)
    guess = weight / len(x), centre, spread
    after = bound(q, log_joint(x, *guess))
    assert after >= likelihood - 1e-9  # and never falls
    trace.append(after)
assert np.all(np.diff(trace) > -1e-9)
print("means", np.round(guess[1], 2), "of", means)
assert np.allclose(np.sort(guess[1]), means, atol=0.35)
plt.plot(np.arange(len(trace)) / 2, trace, ".-")
plt.xlabel("EM")
plt.ylabel("bound, nats")

# %% [markdown] en
# The means that were found are near those that made the data. A VAE is the same idea with a continuous latent and neural networks: there the posterior cannot be computed,
# and a second network learns to guess it.

# %% [markdown] zh
# 求得的均值与产生数据的均值接近。VAE 是同样的想法，只是隐变量连续、并用神经网络：那里的后验算不出来，于是让第二个网络学会猜它。
