# title en: The evidence lower bound
# title zh: 证据下界

# %% [markdown] en
# **Jensen's inequality.** The logarithm is concave: the log of a mean is at least the mean of the logs,
#
# $$g(\mathbb{E}[y]) \ge \mathbb{E}[g(y)], \quad \log \mathbb{E}[y] \ge \mathbb{E}[\log y] \tag{17.10, 17.11}$$
#
# $$\log \int p(y)\,y\,dy \ge \int p(y) \log y\,dy, \quad \log \int p(y)\,h(y)\,dy \ge \int p(y) \log h(y)\,dy \tag{17.12, 17.13}$$

# %% [markdown] zh
# **詹森不等式。** 对数是凹函数：平均的对数不小于对数的平均，
#
# $$g(\mathbb{E}[y]) \ge \mathbb{E}[g(y)], \quad \log \mathbb{E}[y] \ge \mathbb{E}[\log y] \tag{17.10, 17.11}$$
#
# $$\log \int p(y)\,y\,dy \ge \int p(y) \log y\,dy, \quad \log \int p(y)\,h(y)\,dy \ge \int p(y) \log h(y)\,dy \tag{17.12, 17.13}$$

# %% runs: 17.10, 17.11, figure 17.4
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

points = np.array([0.2, 0.5, 0.9, 1.6, 2.4, 3.0])
left, right = np.log(points.mean()), np.log(points).mean()
print(f"log of the mean {left:.3f}, mean of the logs {right:.3f}")
assert left > right
curve = np.linspace(0.1, 3.3, 200)
plt.plot(curve, np.log(curve), "k")
plt.fill(points, np.log(points), alpha=0.3)
plt.plot(points.mean(), right, "o")

# %% runs: 17.12, 17.13, figure 17.5
y = np.linspace(1e-4, 1 - 1e-4, 4001)
p = stats.beta.pdf(y, 3, 2)
for h in (y, 0.5 + y**2, np.exp(np.sin(5 * y))):
    left, right = np.log(np.trapezoid(p * h, y)), np.trapezoid(p * np.log(h), y)
    print(f"{left:.4f} >= {right:.4f}")
    assert left > right
plt.plot(y, p)
plt.plot(y, np.log(y), "k")
plt.ylim(-3, 2.5)

# %% [markdown] en
# **The bound.** Multiply and divide by any density $q(z)$, then apply the inequality:
#
# $$\log p(x) = \log \int p(x, z)\,dz = \log \int q(z) \frac{p(x, z)}{q(z)}\,dz \ge \int q(z) \log \frac{p(x, z)}{q(z)}\,dz \tag{17.14, 17.15}$$
#
# With parameters $\theta$ of $q$ and $\phi$ of the model,
#
# $$\mathrm{ELBO}(\theta, \phi) = \int q(z|\theta) \log \frac{p(x, z|\phi)}{q(z|\theta)}\,dz \tag{17.16}$$
#
# $$= \log p(x|\phi) - \mathrm{KL}(q(z|\theta) \,\|\, p(z|x, \phi)) \tag{17.17}$$
#
# $$= \int q(z|\theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|\theta) \,\|\, p(z)) \tag{17.18}$$
#
# All three forms are the same number; on a grid of $z$ each can be computed.

# %% [markdown] zh
# **下界。** 乘以再除以任意密度 $q(z)$，然后用不等式：
#
# $$\log p(x) = \log \int p(x, z)\,dz = \log \int q(z) \frac{p(x, z)}{q(z)}\,dz \ge \int q(z) \log \frac{p(x, z)}{q(z)}\,dz \tag{17.14, 17.15}$$
#
# 设 $q$ 的参数为 $\theta$，模型的参数为 $\phi$，
#
# $$\mathrm{ELBO}(\theta, \phi) = \int q(z|\theta) \log \frac{p(x, z|\phi)}{q(z|\theta)}\,dz \tag{17.16}$$
#
# $$= \log p(x|\phi) - \mathrm{KL}(q(z|\theta) \,\|\, p(z|x, \phi)) \tag{17.17}$$
#
# $$= \int q(z|\theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|\theta) \,\|\, p(z)) \tag{17.18}$$
#
# 三种形式是同一个数；在 $z$ 的网格上，每一种都能算出来。

# %% runs: 17.14, 17.15, 17.16, 17.17, 17.18
z = np.linspace(-7, 7, 6001)
prior = stats.norm.logpdf(z)


def f(z, phi):
    return phi * z + 0.5 * np.sin(3 * z)


def integrate(values):
    return np.trapezoid(values, z)


def log_p(x, phi):
    return logsumexp(stats.norm.logpdf(x, f(z, phi), 0.5) + prior) + np.log(z[1] - z[0])


def elbo(x, theta, phi):
    log_q = stats.norm.logpdf(z, *theta)
    return integrate(np.exp(log_q) * (stats.norm.logpdf(x, f(z, phi), 0.5) + prior - log_q))


x, theta, phi = 1.2, (0.8, 0.4), 1.0
log_q = stats.norm.logpdf(z, *theta)
q = np.exp(log_q)
likelihood = stats.norm.logpdf(x, f(z, phi), 0.5)
posterior = likelihood + prior - log_p(x, phi)
forms = (
    elbo(x, theta, phi),
    log_p(x, phi) - integrate(q * (log_q - posterior)),
    integrate(q * likelihood) - integrate(q * (log_q - prior)),
)
print("three forms", np.round(forms, 6), "log p(x)", round(log_p(x, phi), 6))
assert np.ptp(forms) < 1e-6 and max(forms) < log_p(x, phi)
assert abs(integrate(np.exp(posterior)) - 1) < 1e-6

# %% [markdown] en
# **What moves when.** With $\theta$ fixed the bound is a curve over $\phi$ below log p; a better $\theta$ is another, higher curve. EM alternates between the two moves,
# a VAE makes both at once.

# %% [markdown] zh
# **什么在移动。** 固定 $\theta$ 时，下界是 $\phi$ 的一条曲线，位于 log p 之下；更好的 $\theta$ 是另一条更高的曲线。EM 轮流作这两种移动，VAE 同时作两种。

# %% runs: figure 17.6, figure 17.10
phis = np.linspace(0.3, 2.2, 40)
truth = np.array([log_p(x, each) for each in phis])
plt.plot(phis, truth, "k")
thetas = [(0.8, 0.4), (1.3, 0.35), (0.6, 0.25)]
for theta in thetas:
    below = np.array([elbo(x, theta, each) for each in phis])
    assert np.all(below < truth)
    plt.plot(phis, below)
place, path = np.array([0.2, -1.0, 0.5]), []  # mean and log scale of q, phi
for _ in range(60):
    value = elbo(x, (place[0], np.exp(place[1])), place[2])
    path.append((place[2], value))
    slope = []
    for step in 1e-4 * np.eye(3):
        moved = place + step
        slope.append((elbo(x, (moved[0], np.exp(moved[1])), moved[2]) - value) / 1e-4)
    place = place + 0.05 * np.array(slope)
assert path[-1][1] > path[0][1]
plt.plot(*np.array(path).T, "k.", ms=3)
plt.xlabel("phi")
plt.ylabel("nats")
plt.ylim(-4, -0.5)

# %% [markdown] en
# **The variational approximation.** The best normal is close where the posterior has one mode. Where it has two, the gap is what the family lacks.

# %% [markdown] zh
# **变分近似。** 后验只有一个峰时，最好的正态分布很接近它；有两个峰时，差距就是这个族所缺少的。

# %% runs: figure 17.8
from scipy import optimize


def gap(log_target):
    """Returns the least KL of a normal to a density on the grid, and that normal."""

    def kl(place):
        log_q = stats.norm.logpdf(z, place[0], np.exp(place[1]))
        return integrate(np.exp(log_q) * (log_q - np.maximum(log_target, -200)))

    starts = ([0.0, 0.0], [1.0, -1.0], [-1.0, -1.0])
    found = min(
        (optimize.minimize(kl, s, method="Nelder-Mead") for s in starts), key=lambda r: r.fun
    )
    return found.fun, (found.x[0], np.exp(found.x[1]))


one = stats.norm.logpdf(z, 0.6, 0.5)
two = np.logaddexp(stats.norm.logpdf(z, -1.2, 0.4), stats.norm.logpdf(z, 1.2, 0.4)) - np.log(2)
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
gaps = []
for axis, target in zip(axes, (one, two), strict=True):
    value, best = gap(target)
    gaps.append(value)
    axis.plot(z, np.exp(target))
    axis.plot(z, stats.norm.pdf(z, *best))
    axis.set_xlim(-3, 3)
print("gaps, nats", np.round(gaps, 4))
assert gaps[0] < 1e-6 and gaps[1] > 0.3
