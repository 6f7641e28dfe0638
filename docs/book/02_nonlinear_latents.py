# title en: Nonlinear latent variable models
# title zh: 非线性隐变量模型

# %% [markdown] en
# Now $z$ is a number, and a function $f$ bends its line into the plane of the data:
#
# $$p(z) = \mathcal{N}(z;\, 0, I), \qquad p(x|z) = \mathcal{N}(x;\, f(z), \sigma^2 I) \tag{17.5, 17.6}$$
#
# $$p(x) = \int p(x, z)\,dz = \int \mathcal{N}(x;\, f(z), \sigma^2 I)\,\mathcal{N}(z;\, 0, I)\,dz \tag{17.7}$$
#
# No closed form exists for a network $f$. With one latent, a sum over a fine grid gives the integral to many digits, so that all estimates can be held against it.

# %% [markdown] zh
# 现在 $z$ 是一个数，函数 $f$ 把它的直线弯进数据的平面：
#
# $$p(z) = \mathcal{N}(z;\, 0, I), \qquad p(x|z) = \mathcal{N}(x;\, f(z), \sigma^2 I) \tag{17.5, 17.6}$$
#
# $$p(x) = \int p(x, z)\,dz = \int \mathcal{N}(x;\, f(z), \sigma^2 I)\,\mathcal{N}(z;\, 0, I)\,dz \tag{17.7}$$
#
# 若 $f$ 是网络，就没有封闭形式。只有一个隐变量时，在细密网格上求和能给出很多位数字，一切估计都可以拿来对照。

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
# **Samples** go down the arrows of the model: $z^*$ from the prior, then $x^*$ from $p(x|z^*)$. Their moments are those of the density.

# %% [markdown] zh
# **抽样**顺着模型的箭头进行：先从先验取 $z^*$，再从 $p(x|z^*)$ 取 $x^*$。样本的矩就是密度的矩。

# %% runs: figure 17.3
rng = np.random.default_rng(0)
z = rng.standard_normal(4000)
x = f(z) + SCALE * rng.standard_normal((4000, 2))
mean = (places * density.reshape(-1, 1)).sum(0) * cell
error = np.abs(x.mean(0) - mean) / (x.std(0) / np.sqrt(len(x)))
print("means of samples and of the density:", x.mean(0).round(3), mean.round(3))
assert np.all(error < 4)
plt.plot(*x[:500].T, ".", ms=3)
plt.plot(*f(z[:3]).T, "k*")

# %% [markdown] en
# **The posterior** says which $z$ may have made an $x$. Bayes' rule divides by the evidence:
#
# $$p(z|x) = \frac{p(x|z)\,p(z)}{p(x)} \tag{17.19}$$
#
# Between two branches of the curve it has two modes.

# %% [markdown] zh
# **后验**说明哪些 $z$ 可能产生某个 $x$。贝叶斯规则除以证据：
#
# $$p(z|x) = \frac{p(x|z)\,p(z)}{p(x)} \tag{17.19}$$
#
# 在曲线的两支之间，后验有两个峰。

# %% runs: 17.19, figure 17.7
target = np.array([[0.0, 0.1]])
wide = np.linspace(-5, 5, 2001)
posterior = np.exp(log_likelihood(target, wide)[0] + stats.norm.logpdf(wide) - log_evidence(target))
area = np.trapezoid(posterior, wide)
print(f"the posterior integrates to {area:.5f}")
assert abs(area - 1) < 1e-3
plt.plot(wide, posterior)
plt.plot(wide, stats.norm.pdf(wide), "--")
plt.xlabel("z")

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
