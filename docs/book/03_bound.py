# title en: The evidence lower bound
# title zh: 证据下界

# %% [markdown] en
# A model with latents is trained by making log p(x) large, and log p(x) is an integral that nobody can compute. The way out is a number that can be computed and that is
# never above log p(x): a *lower bound*. Push the bound up, and log p(x) has to be at least as high. It comes from one fact about logarithms.
#
# **Jensen's inequality.** The logarithm bends downwards (it is *concave*). So the log of a mean is at least the mean of the logs. Try it with 1 and 9: the mean is 5 and its
# log 1.61, the logs are 0 and 2.20 with the mean 1.10. For any concave function $g$ and any random $y$,
#
# $$g(\mathbb{E}[y]) \ge \mathbb{E}[g(y)], \quad \log \mathbb{E}[y] \ge \mathbb{E}[\log y] \tag{17.10, 17.11}$$
#
# $$\log \int p(y)\,y\,dy \ge \int p(y) \log y\,dy, \quad \log \int p(y)\,h(y)\,dy \ge \int p(y) \log h(y)\,dy \tag{17.12, 17.13}$$
#
# In the first picture the six corners lie on the curve of the log, and their average, the dot, lies below it. The second picture has a density $p(y)$ and the log that is averaged
# under it.

# %% [markdown] zh
# 训练带隐变量的模型，就是让 log p(x) 变大，而 log p(x) 是一个谁也算不出的积分。出路是找一个能算出来、又绝不超过 log p(x) 的数：**下界**。把下界推高，
# log p(x) 就至少有那么高。下界来自关于对数的一个事实。
#
# **詹森不等式。** 对数曲线向下弯（它是**凹**函数），所以平均的对数不小于对数的平均。用 1 和 9 试一试：平均是 5，其对数为 1.61；两个对数是 0 和 2.20，平均为 1.10。
# 对任意凹函数 $g$ 和任意随机的 $y$，
#
# $$g(\mathbb{E}[y]) \ge \mathbb{E}[g(y)], \quad \log \mathbb{E}[y] \ge \mathbb{E}[\log y] \tag{17.10, 17.11}$$
#
# $$\log \int p(y)\,y\,dy \ge \int p(y) \log y\,dy, \quad \log \int p(y)\,h(y)\,dy \ge \int p(y) \log h(y)\,dy \tag{17.12, 17.13}$$
#
# 第一幅图中六个角都在对数曲线上，它们的平均（圆点）在曲线之下。第二幅图是密度 $p(y)$，以及在它之下取平均的对数。

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
plt.plot(curve, np.log(curve), "k", label="log y")
plt.fill(points, np.log(points), alpha=0.3)
plt.plot(points.mean(), right, "o", label="E[log y]")
plt.plot(points.mean(), left, "s", label="log E[y]")
plt.xlabel("y")
plt.legend()

# %% runs: 17.12, 17.13, figure 17.5
y = np.linspace(1e-4, 1 - 1e-4, 4001)
p = stats.beta.pdf(y, 3, 2)
for h in (y, 0.5 + y**2, np.exp(np.sin(5 * y))):
    left, right = np.log(np.trapezoid(p * h, y)), np.trapezoid(p * np.log(h), y)
    print(f"{left:.4f} >= {right:.4f}")
    assert left > right
plt.plot(y, p, label="p(y)")
plt.plot(y, np.log(y), "k", label="log y")
plt.xlabel("y")
plt.legend()
plt.ylim(-3, 2.5)

# %% [markdown] en
# **The bound.** Take any density $q(z)$ that you like. Multiply and divide by it, so that the integral becomes a mean under $q(z)$, and move the log inside:
#
# $$\log p(x) = \log \int p(x, z)\,dz = \log \int q(z) \frac{p(x, z)}{q(z)}\,dz \ge \int q(z) \log \frac{p(x, z)}{q(z)}\,dz \tag{17.14, 17.15}$$
#
# The right side is the *evidence lower bound* (ELBO), as $p(x)$ is called the evidence. It depends on the parameters $\theta$ of $q$ and on those of the model, $\phi$. It can be
# written in three ways:
#
# $$\mathrm{ELBO}(\theta, \phi) = \int q(z|\theta) \log \frac{p(x, z|\phi)}{q(z|\theta)}\,dz \tag{17.16}$$
#
# $$= \log p(x|\phi) - \mathrm{KL}(q(z|\theta) \,\|\, p(z|x, \phi)) \tag{17.17}$$
#
# $$= \int q(z|\theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|\theta) \,\|\, p(z)) \tag{17.18}$$
#
# KL is the *Kullback-Leibler divergence*, $\mathrm{KL}(q \,\|\, p) = \int q \log (q / p)\,dz$: how far $q$ is from $p$. It is 0 where both are the same, and otherwise positive. The
# second form says how much the bound misses: the distance of $q$ from the true posterior. The third form is the one that is computed: how well $x$ is explained by latents drawn
# from $q$, less how far $q$ is from the prior. All three are the same number; the cell computes each on a grid of $z$.

# %% [markdown] zh
# **下界。** 任取一个密度 $q(z)$，乘以它再除以它，积分就成为在 $q(z)$ 之下的平均，然后把对数移到里面：
#
# $$\log p(x) = \log \int p(x, z)\,dz = \log \int q(z) \frac{p(x, z)}{q(z)}\,dz \ge \int q(z) \log \frac{p(x, z)}{q(z)}\,dz \tag{17.14, 17.15}$$
#
# 右边就是**证据下界**（ELBO），因为 $p(x)$ 叫作证据。它取决于 $q$ 的参数 $\theta$ 和模型的参数 $\phi$，有三种写法：
#
# $$\mathrm{ELBO}(\theta, \phi) = \int q(z|\theta) \log \frac{p(x, z|\phi)}{q(z|\theta)}\,dz \tag{17.16}$$
#
# $$= \log p(x|\phi) - \mathrm{KL}(q(z|\theta) \,\|\, p(z|x, \phi)) \tag{17.17}$$
#
# $$= \int q(z|\theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|\theta) \,\|\, p(z)) \tag{17.18}$$
#
# KL 是 **Kullback-Leibler 散度**，$\mathrm{KL}(q \,\|\, p) = \int q \log (q / p)\,dz$，表示 $q$ 离 $p$ 有多远：两者相同时为 0，否则为正。第二种写法说明下界差多少：
# 就是 $q$ 到真实后验的距离。第三种写法用于计算：从 $q$ 抽取的隐变量能把 $x$ 解释得多好，再减去 $q$ 离先验有多远。三者是同一个数；代码在 $z$ 的网格上逐一计算。

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
# **Two ways up.** With $\theta$ fixed the bound is a curve over $\phi$, which lies below log p(x), the black curve. Another $\theta$ has another curve. So the bound can be raised in two
# ways: move along a curve (change the model), or jump to a higher one (change $q$). EM takes turns between the two. A VAE makes both moves at once, by gradient ascent: the dots.

# %% [markdown] zh
# **两条上升的路。** 固定 $\theta$ 时，下界是 $\phi$ 的一条曲线，位于黑色的 log p(x) 曲线之下；另一个 $\theta$ 对应另一条曲线。所以抬高下界有两种办法：
# 沿曲线移动（改变模型），或跳到更高的曲线（改变 $q$）。EM 轮流作这两种移动，VAE 用梯度上升同时作两种：图中的点。

# %% runs: figure 17.6, figure 17.10
phis = np.linspace(0.3, 2.2, 40)
truth = np.array([log_p(x, each) for each in phis])
plt.plot(phis, truth, "k", label="log p(x)")
thetas = [(0.8, 0.4), (1.3, 0.35), (0.6, 0.25)]
for theta in thetas:
    below = np.array([elbo(x, theta, each) for each in phis])
    assert np.all(below < truth)
    plt.plot(phis, below, label=f"ELBO, q = N({theta[0]}, {theta[1]}$^2$)")
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
plt.legend()
plt.xlabel("phi")
plt.ylabel("nats")
plt.ylim(-4, -0.5)

# %% [markdown] en
# **The variational approximation.** A VAE looks for $q$ among normal distributions only. Left: a posterior with one peak, and the best normal lies on top of it. Right: two peaks. The best
# normal sits on one of them and leaves out the other, and the bound stays below log p(x) by the KL that is printed, however long one trains.

# %% [markdown] zh
# **变分近似。** VAE 只在正态分布里寻找 $q$。左图：后验只有一个峰，最好的正态与它重合。右图：有两个峰，最好的正态落在其中一个上，舍弃另一个；
# 无论训练多久，下界总比 log p(x) 低打印出的 KL。

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
    axis.plot(z, np.exp(target), label="p(z|x)")
    axis.plot(z, stats.norm.pdf(z, *best), "--", label="q(z)")
    axis.set_xlabel("z")
    axis.legend()
    axis.set_xlim(-3, 3)
print("gaps, nats", np.round(gaps, 4))
assert gaps[0] < 1e-6 and gaps[1] > 0.3
