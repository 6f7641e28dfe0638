# title en: The seven problems of the textbook chapter
# title zh: 教科书该章的七道习题

# %% [markdown] en
# **Problem 17.1.** A mixture of $n$ normals has $n$ means, $n$ positive scales and $n$ shares that sum to one: $3n - 1$ free numbers, 14 for $n = 5$.
#
# **Problem 17.2.** The second derivative of $\log x$ is $-1/x^2$, below zero for every $x > 0$.

# %% [markdown] zh
# **习题 17.1。** $n$ 个正态的混合有 $n$ 个均值、$n$ 个正的尺度和 $n$ 个和为一的份额：$3n - 1$ 个自由的数，$n = 5$ 时为 14。
#
# **习题 17.2。** $\log x$ 的二阶导数是 $-1/x^2$，对一切 $x > 0$ 都小于零。

# %% runs: problem 17.1, problem 17.2
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

n = 5
free = {"means, any number": n, "scales, above 0": n, "shares, a point of the simplex": n - 1}
print(free, "together", sum(free.values()))
assert sum(free.values()) == 3 * n - 1 == 14
x = np.geomspace(0.01, 100, 500)
step = 1e-4 * x
second = (np.log(x + step) - 2 * np.log(x) + np.log(x - step)) / step**2
assert np.all(second < 0) and np.allclose(second, -1 / x**2, rtol=1e-4)

# %% [markdown] en
# **Problem 17.3.** For a convex function the inequality turns round. $x^{2n}$ has the second derivative $2n(2n-1)x^{2n-2} \ge 0$; with $n = 1$ the square of a mean is at
# most the mean of squares.
#
# $$g(\mathbb{E}[y]) \le \mathbb{E}[g(y)], \qquad \mathbb{E}[x]^2 \le \mathbb{E}[x^2] \tag{17.31}$$

# %% [markdown] zh
# **习题 17.3。** 对凸函数，不等式反向。$x^{2n}$ 的二阶导数是 $2n(2n-1)x^{2n-2} \ge 0$；取 $n = 1$，平均的平方不大于平方的平均。
#
# $$g(\mathbb{E}[y]) \le \mathbb{E}[g(y)], \qquad \mathbb{E}[x]^2 \le \mathbb{E}[x^2] \tag{17.31}$$

# %% runs: 17.31, problem 17.3
rng = np.random.default_rng(0)
for name, draws in (("normal", rng.normal(1, 2, 5000)), ("gamma", rng.gamma(2, 1, 5000))):
    gaps = [(draws ** (2 * n)).mean() - draws.mean() ** (2 * n) for n in (1, 2, 3)]
    print(name, "mean of powers minus power of means", np.round(gaps, 1))
    assert min(gaps) >= 0
points = np.linspace(-3, 3, 201)
for n in (1, 2, 3):
    assert np.all(2 * n * (2 * n - 1) * points ** (2 * n - 2) >= 0)

# %% [markdown] en
# **Problem 17.4.** Begin with the divergence from the posterior and put Bayes' rule in:
#
# $$\mathrm{KL}(q \,\|\, p(z|x)) = \int q(z|x) \log \frac{q(z|x)}{p(z|x)}\,dz = \log p(x) - \mathbb{E}_q[\log p(x|z)] + \mathrm{KL}(q \,\|\, p(z)) \tag{17.32}$$
#
# What is subtracted from $\log p(x)$ is the bound. Checked for a model whose posterior is known.

# %% [markdown] zh
# **习题 17.4。** 从到后验的散度出发，代入贝叶斯规则：
#
# $$\mathrm{KL}(q \,\|\, p(z|x)) = \int q(z|x) \log \frac{q(z|x)}{p(z|x)}\,dz = \log p(x) - \mathbb{E}_q[\log p(x|z)] + \mathrm{KL}(q \,\|\, p(z)) \tag{17.32}$$
#
# 从 $\log p(x)$ 中减去的正是下界。下面用后验已知的模型检验。

# %% runs: 17.32, problem 17.4
weight, noise, seen = 1.5, 0.5, 1.0
z = np.linspace(-8, 8, 8001)
spread = 1 / np.sqrt(1 + weight**2 / noise**2)
posterior = stats.norm(spread**2 * weight * seen / noise**2, spread)
evidence = stats.norm.logpdf(seen, 0, np.hypot(weight, noise))
for mean, scale in ((0.0, 1.0), (0.5, 0.4), (posterior.mean(), spread)):
    q, log_q = stats.norm.pdf(z, mean, scale), stats.norm.logpdf(z, mean, scale)
    left = np.trapezoid(q * (log_q - posterior.logpdf(z)), z)
    fit = np.trapezoid(q * stats.norm.logpdf(seen, weight * z, noise), z)
    bound = fit - np.trapezoid(q * (log_q - stats.norm.logpdf(z)), z)
    print(f"KL {left:.4f}, log p(x) - bound {evidence - bound:.4f}")
    assert abs(left - (evidence - bound)) < 1e-6

# %% [markdown] en
# **Problem 17.5.** The derivative goes under the integral, and $\partial p = p\, \partial \log p$:
#
# $$\frac{\partial}{\partial \phi} \mathbb{E}[f(x)] = \int f(x)\, \frac{\partial p(x|\phi)}{\partial \phi}\,dx \tag{17.33}$$
#
# $$= \mathbb{E}\left[ f(x)\, \frac{\partial \log p(x|\phi)}{\partial \phi} \right] \approx \frac{1}{I} \sum_i f(x_i)\, \frac{\partial \log p(x_i|\phi)}{\partial \phi} \tag{17.34}$$

# %% [markdown] zh
# **习题 17.5。** 导数移到积分号内，并用 $\partial p = p\, \partial \log p$：
#
# $$\frac{\partial}{\partial \phi} \mathbb{E}[f(x)] = \int f(x)\, \frac{\partial p(x|\phi)}{\partial \phi}\,dx \tag{17.33}$$
#
# $$= \mathbb{E}\left[ f(x)\, \frac{\partial \log p(x|\phi)}{\partial \phi} \right] \approx \frac{1}{I} \sum_i f(x_i)\, \frac{\partial \log p(x_i|\phi)}{\partial \phi} \tag{17.34}$$

# %% runs: 17.33, 17.34, problem 17.5
phi = 0.6


def expected(phi):
    return np.trapezoid(stats.norm.pdf(z, phi) * np.sin(z), z)


slope = (expected(phi + 1e-4) - expected(phi - 1e-4)) / 2e-4
draws = rng.normal(phi, 1, 40000)
score = np.sin(draws) * (draws - phi)
error = score.std() / np.sqrt(len(score))
print(f"derivative {slope:.4f}, score function {score.mean():.4f} +- {error:.4f}")
assert abs(score.mean() - slope) < 4 * error

# %% [markdown] en
# **Problem 17.6.** In $D$ dimensions a standard normal has its mass near the radius $\sqrt{D}$. The middle of a straight line between two draws has the radius
# $\sqrt{D/2}$, where there is none; the arc keeps it.

# %% [markdown] zh
# **习题 17.6。** 在 $D$ 维里，标准正态的质量集中在半径 $\sqrt{D}$ 附近。两个样本之间直线的中点半径为 $\sqrt{D/2}$，那里没有质量；弧线保持半径。

# %% runs: problem 17.6
D = 200
a, b = rng.standard_normal((2, D))
angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
t = np.linspace(0, 1, 21)[:, None]
arc = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
radii = {"line": np.linalg.norm((1 - t) * a + t * b, axis=1), "arc": np.linalg.norm(arc, axis=1)}
low, high = np.sqrt(stats.chi2(D).ppf([1e-4, 1 - 1e-4]))
for name, values in radii.items():
    plt.plot(t, values, label=name)
plt.axhspan(low, high, alpha=0.2)
plt.xlabel("t")
plt.ylabel("radius")
plt.legend()
assert radii["line"].min() < low < radii["arc"].min() and radii["arc"].max() < high

# %% [markdown] en
# **Problem 17.7.** The E step has the responsibilities $r_{in} = \lambda_n \mathcal{N}(x_i; \mu_n, \sigma_n^2) / \sum_m \lambda_m \mathcal{N}(x_i; \mu_m, \sigma_m^2)$. The M step with
# a multiplier for $\sum_n \lambda_n = 1$ gives
#
# $$\lambda_n = \frac{1}{I} \sum_i r_{in}, \qquad \mu_n = \frac{\sum_i r_{in} x_i}{\sum_i r_{in}}, \qquad \sigma_n^2 = \frac{\sum_i r_{in} (x_i - \mu_n)^2}{\sum_i r_{in}}$$
#
# That this is the maximum: no perturbation of the parameters raises the bound.

# %% [markdown] zh
# **习题 17.7。** E 步给出责任 $r_{in} = \lambda_n \mathcal{N}(x_i; \mu_n, \sigma_n^2) / \sum_m \lambda_m \mathcal{N}(x_i; \mu_m, \sigma_m^2)$。M 步对
# $\sum_n \lambda_n = 1$ 用乘子，得到
#
# $$\lambda_n = \frac{1}{I} \sum_i r_{in}, \qquad \mu_n = \frac{\sum_i r_{in} x_i}{\sum_i r_{in}}, \qquad \sigma_n^2 = \frac{\sum_i r_{in} (x_i - \mu_n)^2}{\sum_i r_{in}}$$
#
# 这是最大值：参数的任何扰动都不会使下界上升。

# %% runs: problem 17.7
data = np.concatenate([rng.normal(-1, 0.5, 200), rng.normal(2, 1, 300)])


def log_joint(shares, means, scales):
    return np.log(shares) + stats.norm.logpdf(data[:, None], means, scales)


values = log_joint(np.array([0.5, 0.5]), np.array([-0.5, 1.0]), np.ones(2))
r = np.exp(values - logsumexp(values, axis=1, keepdims=True))
weight = r.sum(0)
means = r.T @ data / weight
scales = np.sqrt((r * (data[:, None] - means) ** 2).sum(0) / weight)
best = (r * log_joint(weight / len(data), means, scales)).sum()
worse = []
for _ in range(200):
    shift = 0.05 * rng.standard_normal((3, 2))
    shares = weight / len(data) * np.exp(shift[0])
    moved = log_joint(shares / shares.sum(), means + shift[1], scales * np.exp(shift[2]))
    worse.append((r * moved).sum())
print(f"best {best:.3f}, best of 200 perturbations {max(worse):.3f}")
assert max(worse) < best
