# title en: Nonlinear latent variable models
# title zh: 非线性隐变量模型

# %% [markdown] en
# Now $z$ is a number instead of a class. A function $f$ turns the line of all numbers into a curve in the plane of the data, and
# noise of the size $\sigma$ moves each point off the curve:
#
# $$p(z) = \mathcal{N}(z;\, 0, I), \qquad p(x|z) = \mathcal{N}(x;\, f(z), \sigma^2 I) \tag{17.5, 17.6}$$
#
# $$p(x) = \int p(x, z)\,dz = \int \mathcal{N}(x;\, f(z), \sigma^2 I)\,\mathcal{N}(z;\, 0, I)\,dz \tag{17.7}$$
#
# Where $f$ is a neural network nobody can solve this integral on paper. With a single latent it can be added up on a fine grid of $z$, to many digits. So this chapter knows the
# truth, and everything that is estimated later can be held against it. The picture shows $p(x)$ in colour and the curve of $f$ in white.

# %% [markdown] zh
# 现在 $z$ 不再是类别，而是一个数。函数 $f$ 把数轴变成数据平面上的一条曲线，大小为 $\sigma$ 的噪声再使每个点偏离曲线：
#
# $$p(z) = \mathcal{N}(z;\, 0, I), \qquad p(x|z) = \mathcal{N}(x;\, f(z), \sigma^2 I) \tag{17.5, 17.6}$$
#
# $$p(x) = \int p(x, z)\,dz = \int \mathcal{N}(x;\, f(z), \sigma^2 I)\,\mathcal{N}(z;\, 0, I)\,dz \tag{17.7}$$
#
# 若 $f$ 是神经网络，谁也无法在纸上解出这个积分。只有一个隐变量时，可以在 $z$ 的细密网格上求和，得到很多位准确数字。
# 所以本章知道真值，以后的一切估计都可以拿来对照。图中颜色是 $p(x)$，白线是 $f$ 的曲线。

# %% runs: 17.5, 17.6, 17.7, figure 17.2
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

SCALE = 0.3


def f(z):
    """Returns the mean of x, [..., 2]."""
    return np.stack([1.5 * np.sin(1.3 * z), z + 0.4 * np.cos(2 * z)], -1)


nodes = np.linspace(-6, 6, 241)
log_weights = stats.norm.logpdf(nodes) + np.log(nodes[1] - nodes[0])  # of z ~ N(0, 1)


def log_likelihood(x, z):
    """Returns log p(x|z), [I, S]."""
    return stats.norm.logpdf(x[:, None, :], f(z), SCALE).sum(-1)


def log_evidence(x):
    return logsumexp(log_likelihood(x, nodes) + log_weights, axis=1)


first, second = np.meshgrid(np.linspace(-3.5, 3.5, 70), np.linspace(-5, 5, 90), indexing="ij")
places = np.stack([first.ravel(), second.ravel()], 1)
density = np.exp(log_evidence(places)).reshape(first.shape)
cell = (first[1, 0] - first[0, 0]) * (second[0, 1] - second[0, 0])
total = density.sum() * cell
print(f"the density integrates to {total:.4f}")
assert abs(total - 1) < 2e-3
line = np.linspace(-3, 3, 200)
plt.pcolormesh(first, second, density, shading="auto")
plt.plot(*f(line).T, "w", lw=1)
plt.xlabel("x1")
plt.ylabel("x2")

# %% [markdown] en
# **Samples** go down the arrows of the model: first $z^*$ from the prior, then $x^*$ from $p(x|z^*)$. The mean of many samples is that of the density, which the cell asserts.
# The stars are three points on the curve, before noise is added.

# %% [markdown] zh
# **抽样**顺着模型的箭头进行：先从先验取 $z^*$，再从 $p(x|z^*)$ 取 $x^*$。大量样本的均值就是密度的均值，代码对此作了断言。星号是加噪声之前曲线上的三个点。

# %% runs: figure 17.3
rng = np.random.default_rng(0)
z = rng.standard_normal(4000)
x = f(z) + SCALE * rng.standard_normal((4000, 2))
mean = (places * density.reshape(-1, 1)).sum(0) * cell
error = np.abs(x.mean(0) - mean) / (x.std(0) / np.sqrt(len(x)))
print("means of samples and of the density:", x.mean(0).round(3), mean.round(3))
assert np.all(error < 4)
plt.plot(*x[:500].T, ".", ms=3)
plt.plot(*f(z[:3]).T, "k*", ms=12)
plt.xlabel("x1")
plt.ylabel("x2")

# %% [markdown] en
# **The posterior** says which $z$ may have made an $x$. Bayes' rule divides by the evidence:
#
# $$p(z|x) = \frac{p(x|z)\,p(z)}{p(x)} \tag{17.19}$$
#
# Here $x$ lies between two branches of the curve. Either may have made it, so the posterior has two peaks (*modes*). The dashed
# curve is the prior, what was believed of $z$ before $x$ was seen.

# %% [markdown] zh
# **后验**说明哪些 $z$ 可能产生某个 $x$。贝叶斯规则除以证据：
#
# $$p(z|x) = \frac{p(x|z)\,p(z)}{p(x)} \tag{17.19}$$
#
# 这里 $x$ 位于曲线的两支之间，两支都可能产生它，所以后验有两个峰（**众数**）。虚线是先验，即看到 $x$ 之前对 $z$ 的认识。

# %% runs: 17.19, figure 17.7
target = np.array([[0.6, 1.42]])
wide = np.linspace(-5, 5, 2001)
posterior = np.exp(log_likelihood(target, wide)[0] + stats.norm.logpdf(wide) - log_evidence(target))
area = np.trapezoid(posterior, wide)
print(f"the posterior integrates to {area:.5f}")
assert abs(area - 1) < 1e-3
peaks = (posterior[1:-1] > posterior[:-2]) & (posterior[1:-1] > posterior[2:])
high = wide[1:-1][peaks & (posterior[1:-1] > 0.1 * posterior.max())]
print("modes of the posterior:", high.round(2))
assert len(high) == 2
plt.plot(wide, posterior, label="p(z|x)")
plt.plot(wide, stats.norm.pdf(wide), "--", label="p(z)")
plt.xlabel("z")
plt.legend()

# %% [markdown] en
# **Training** would choose the parameters of $f$ that make the data most likely,
#
# $$\hat\phi = \mathrm{argmax}_\phi \sum_i \log p(x_i|\phi), \qquad p(x_i|\phi) = \int p(x_i|z, \phi)\,p(z)\,dz \tag{17.8, 17.9}$$
#
# With one latent that can be done; here the one parameter is the scale of the noise.

# %% [markdown] zh
# **训练**要选出使数据最可能的 $f$ 的参数，
#
# $$\hat\phi = \mathrm{argmax}_\phi \sum_i \log p(x_i|\phi), \qquad p(x_i|\phi) = \int p(x_i|z, \phi)\,p(z)\,dz \tag{17.8, 17.9}$$
#
# 只有一个隐变量时做得到；这里唯一的参数是噪声的尺度。

# %% runs: 17.8, 17.9
candidates = np.linspace(0.2, 0.45, 11)
likelihoods = []
for candidate in candidates:
    SCALE = candidate
    likelihoods.append(log_evidence(x[:1000]).mean())
best = candidates[int(np.argmax(likelihoods))]
print(f"the most likely scale is {best:.3f}; the data were made with 0.30")
assert abs(best - 0.3) < 0.026
plt.plot(candidates, likelihoods)
plt.xlabel("scale")
plt.ylabel("log p(x), nats")
