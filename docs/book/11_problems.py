# title en: The seven problems of the textbook chapter
# title zh: 教科书该章的七道习题

# %% [markdown] en
# Each problem is stated in short, solved, and the solution is checked by numbers.
#
# **Problem 17.1.** *How many parameters has a mixture of $n = 5$ normals?* It has $n$ means (any number), $n$ scales (above 0) and $n$ shares (from 0 to 1, with the sum 1, so that the last follows from the rest):
# $3n - 1$ free numbers, 14 for $n = 5$. The cell moves each of the 15 numbers a little, the shares kept in proportion, and asks how many independent ways of changing the density that makes.
#
# **Problem 17.2.** *Show that the logarithm is concave.* The second derivative of $\log x$ is $-1/x^2$, below zero for every $x > 0$.

# %% [markdown] zh
# 每道习题先简述题意，再给出解答，并用数值检验。
#
# **习题 17.1。** 问 $n = 5$ 个正态的混合有多少参数。它有 $n$ 个均值（任意数）、$n$ 个尺度（大于 0）和 $n$ 个份额（0 到 1 之间，和为 1，所以最后一个由其余的决定）：
# $3n - 1$ 个自由的数，$n = 5$ 时为 14。代码把 15 个数各移动一点（份额保持比例），看密度有多少种互相独立的变化。
#
# **习题 17.2。** 证明对数是凹函数。$\log x$ 的二阶导数是 $-1/x^2$，对一切 $x > 0$ 都小于零。

# %% runs: problem 17.1, problem 17.2
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

n = 5
places = np.linspace(-12, 12, 400)


def mixture(logits, means, log_scales):
    parts = stats.norm.pdf(places[:, None], means, np.exp(log_scales))
    return parts @ (np.exp(logits) / np.exp(logits).sum())


at = np.array([np.zeros(n), np.linspace(-8, 8, n), np.zeros(n)])
moves = 1e-4 * np.eye(3 * n).reshape(-1, 3, n)
changes = [(mixture(*(at + each)) - mixture(*(at - each))) / 2e-4 for each in moves]
free = np.linalg.matrix_rank(np.array(changes), tol=1e-6)
print(f"{len(moves)} numbers, {free} of them free")
assert free == 3 * n - 1 == 14
x = np.geomspace(0.01, 100, 500)
step = 1e-4 * x
second = (np.log(x + step) - 2 * np.log(x) + np.log(x - step)) / step**2
assert np.all(second < 0) and np.allclose(second, -1 / x**2, rtol=1e-4)

# %% [markdown] en
# **Problem 17.3.** *Show that $x^{2n}$ is convex, and that the square of a mean is at most the mean of squares.* A function is convex where its second derivative is never negative; that of $x^{2n}$ is
# $2n(2n-1)x^{2n-2} \ge 0$, as an even power is. For a convex function $g$ Jensen's inequality turns round, and $g(x) = x^2$ gives the second claim:
#
# $$g(\mathbb{E}[y]) \le \mathbb{E}[g(y)], \qquad \mathbb{E}[x]^2 \le \mathbb{E}[x^2] \tag{17.31}$$

# %% [markdown] zh
# **习题 17.3。** 证明 $x^{2n}$ 是凸函数，且平均的平方不大于平方的平均。二阶导数处处不为负的函数是凸的；$x^{2n}$ 的二阶导数是
# $2n(2n-1)x^{2n-2} \ge 0$，因为偶次幂不为负。对凸函数 $g$，詹森不等式反向；取 $g(x) = x^2$ 就得到第二个结论：
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
    known = 2 * n * (2 * n - 1) * points ** (2 * n - 2)
    bend = ((points + 1e-3) ** (2 * n) - 2 * points ** (2 * n) + (points - 1e-3) ** (2 * n)) / 1e-6
    assert np.all(known >= 0) and np.allclose(bend, known, rtol=1e-4, atol=1e-4)

# %% [markdown] en
# **Problem 17.4.** *Find the bound from the KL between $q$ and the posterior.* By Bayes' rule $\log p(z|x) = \log p(x|z) + \log p(z) - \log p(x)$. Put it in; $\log p(x)$ does not depend on $z$ and comes out of the integral:
#
# $$\mathrm{KL}(q \,\|\, p(z|x)) = \int q(z|x) \log \frac{q(z|x)}{p(z|x)}\,dz = \log p(x) - \mathbb{E}_q[\log p(x|z)] + \mathrm{KL}(q \,\|\, p(z)) \tag{17.32}$$
#
# What is subtracted from $\log p(x)$ is the bound, 17.18: $\mathbb{E}_q[\log p(x|z)] - \mathrm{KL}(q \,\|\, p(z))$. The cell checks it for three $q$ in a model whose posterior is known; the last $q$ is the posterior, and the KL is 0.

# %% [markdown] zh
# **习题 17.4。** 从 $q$ 与后验之间的 KL 推出下界。按贝叶斯规则，$\log p(z|x) = \log p(x|z) + \log p(z) - \log p(x)$。代入；$\log p(x)$ 与 $z$ 无关，可提到积分之外：
#
# $$\mathrm{KL}(q \,\|\, p(z|x)) = \int q(z|x) \log \frac{q(z|x)}{p(z|x)}\,dz = \log p(x) - \mathbb{E}_q[\log p(x|z)] + \mathrm{KL}(q \,\|\, p(z)) \tag{17.32}$$
#
# 从 $\log p(x)$ 中减去的正是下界（17.18）：$\mathbb{E}_q[\log p(x|z)] - \mathrm{KL}(q \,\|\, p(z))$。代码在后验已知的模型里对三个 $q$ 检验；最后一个 $q$ 就是后验，KL 为 0。

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
# **Problem 17.5.** *Show that the derivative of a mean is itself a mean (the score function estimator, REINFORCE).* The derivative goes under the integral, and $\partial p = p\, \partial \log p$. Checked for $f(x) = \sin x$ and $x \sim \mathcal{N}(\phi, 1)$:
#
# $$\frac{\partial}{\partial \phi} \mathbb{E}[f(x)] = \int f(x)\, \frac{\partial p(x|\phi)}{\partial \phi}\,dx \tag{17.33}$$
#
# $$= \mathbb{E}\left[ f(x)\, \frac{\partial \log p(x|\phi)}{\partial \phi} \right] \approx \frac{1}{I} \sum_i f(x_i)\, \frac{\partial \log p(x_i|\phi)}{\partial \phi} \tag{17.34}$$

# %% [markdown] zh
# **习题 17.5。** 证明平均的导数本身也是一个平均（得分函数估计，REINFORCE）。导数移到积分号内，并用 $\partial p = p\, \partial \log p$。
# 下面对 $f(x) = \sin x$、$x \sim \mathcal{N}(\phi, 1)$ 检验：
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
# **Problem 17.6.** *Why does one interpolate along an arc?* In $D$ dimensions a standard normal has nearly all its mass near the radius $\sqrt{D}$. The middle of a straight line between two draws has about the radius
# $\sqrt{D/2}$, where there is hardly any; the arc goes from one radius to the other. In the picture, for $D = 200$, all but two draws in ten thousand have a radius inside the band: the line leaves it.

# %% [markdown] zh
# **习题 17.6。** 为什么沿弧线插值？在 $D$ 维里，标准正态的质量几乎都在半径 $\sqrt{D}$ 附近。两个样本之间直线的中点半径约为 $\sqrt{D/2}$，那里几乎没有质量；
# 弧线则从一个半径过渡到另一个。图中 $D = 200$，每一万个样本只有两个的半径落在色带之外：直线离开了它。

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
# **Problem 17.7.** *Derive the EM algorithm of a mixture of normals.* In the E step the posterior of $z$ is, by Bayes' rule, $r_{in} = \lambda_n \mathcal{N}(x_i; \mu_n, \sigma_n^2) / \sum_m \lambda_m \mathcal{N}(x_i; \mu_m, \sigma_m^2)$
# (the *responsibility* of class $n$ for example $i$ of $I$). The M step makes the bound greatest, that is $\sum_{in} r_{in} \log [\lambda_n \mathcal{N}(x_i; \mu_n, \sigma_n^2)]$. Its derivative by $\lambda_n$, less a
# multiplier $\eta$ for $\sum_n \lambda_n = 1$, is $\sum_i r_{in} / \lambda_n - \eta$. Where it is 0, $\lambda_n = \sum_i r_{in} / \eta$, and as the shares sum to one, $\eta = I$. The derivatives by $\mu_n$ and $\sigma_n$ have no multiplier. So
#
# $$\lambda_n = \frac{1}{I} \sum_i r_{in}, \qquad \mu_n = \frac{\sum_i r_{in} x_i}{\sum_i r_{in}}, \qquad \sigma_n^2 = \frac{\sum_i r_{in} (x_i - \mu_n)^2}{\sum_i r_{in}}$$
#
# Checked: none of 200 perturbations of the parameters raises the bound.

# %% [markdown] zh
# **习题 17.7。** 推导正态混合的 EM 算法。E 步中，按贝叶斯规则，$z$ 的后验是 $r_{in} = \lambda_n \mathcal{N}(x_i; \mu_n, \sigma_n^2) / \sum_m \lambda_m \mathcal{N}(x_i; \mu_m, \sigma_m^2)$
# （$I$ 个样本中，类 $n$ 对样本 $i$ 的**责任**）。M 步使下界最大，即使 $\sum_{in} r_{in} \log [\lambda_n \mathcal{N}(x_i; \mu_n, \sigma_n^2)]$ 最大。它对 $\lambda_n$ 的导数，
# 减去约束 $\sum_n \lambda_n = 1$ 的乘子 $\eta$，是 $\sum_i r_{in} / \lambda_n - \eta$。令其为 0，得 $\lambda_n = \sum_i r_{in} / \eta$；份额之和为一，所以 $\eta = I$。对 $\mu_n$ 和 $\sigma_n$ 的导数没有乘子。于是
#
# $$\lambda_n = \frac{1}{I} \sum_i r_{in}, \qquad \mu_n = \frac{\sum_i r_{in} x_i}{\sum_i r_{in}}, \qquad \sigma_n^2 = \frac{\sum_i r_{in} (x_i - \mu_n)^2}{\sum_i r_{in}}$$
#
# 检验：参数的 200 次扰动都不会使下界上升。

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
