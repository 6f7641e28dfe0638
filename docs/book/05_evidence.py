# title en: Evidence: three ways to estimate it
# title zh: 证据：三种估计方法

# %% [markdown] en
# How likely is a new example $x$ under a trained model? The answer is the evidence: the likelihood, averaged over the prior. An average can be estimated from draws $z_n$ of the prior:
#
# $$p(x) = \int p(x|z)\,p(z)\,dz = \mathbb{E}_{p(z)}[p(x|z)] \approx \frac{1}{N} \sum_n p(x|z_n) \tag{17.26, 17.27}$$
#
# This *naive* estimate fails where there are many latents (the *curse of dimension*): nearly every draw explains $x$ badly, and the few that matter are hardly ever met.
# *Importance sampling* draws from another density $q$, which knows where to look, and weights each draw, so that what $q$ draws too often counts less:
#
# $$p(x) \approx \frac{1}{N} \sum_n \frac{p(x|z_n)\,p(z_n)}{q(z_n)}, \qquad z_n \sim q \tag{17.28}$$
#
# A VAE has a good $q$ at hand: its encoder, $q(z|x)$.
#
# To see an error one has to know the truth. So the model here is linear: $x$ is $W z$ and normal noise of the scale 0.3, and then $p(x) = \mathcal{N}(x;\, 0,\, W W^\top + 0.3^2 I)$. The
# cell takes 10 examples for each number of latents $D$, and 1000 draws for each example. The left picture has the mean error of $\log p(x)$: that of the naive estimate grows with $D$.
# The right one says why: the share of the draws that carry the estimate, $(\sum_n w_n)^2 / (N \sum_n w_n^2)$, where $w_n$ is the weight of a draw (its term in the sum). It is 1 if all draws
# weigh the same, and $1/N$ if a single one has all the weight.

# %% [markdown] zh
# 在训练好的模型下，一个新样本 $x$ 有多可能？答案就是证据：似然在先验下的平均。平均可以用先验的样本 $z_n$ 来估计：
#
# $$p(x) = \int p(x|z)\,p(z)\,dz = \mathbb{E}_{p(z)}[p(x|z)] \approx \frac{1}{N} \sum_n p(x|z_n) \tag{17.26, 17.27}$$
#
# 隐变量一多，这种**朴素**估计就失灵（**维数灾难**）：几乎每个样本都不能解释 $x$，要紧的少数又几乎抽不到。
# **重要性采样**改从另一个知道该往哪里找的密度 $q$ 抽样，并给每个样本加权，使 $q$ 抽得过多的少算一些：
#
# $$p(x) \approx \frac{1}{N} \sum_n \frac{p(x|z_n)\,p(z_n)}{q(z_n)}, \qquad z_n \sim q \tag{17.28}$$
#
# VAE 手头就有一个好的 $q$：它的编码器 $q(z|x)$。
#
# 要看出误差，就得知道真值。所以这里的模型是线性的：$x$ 等于 $W z$ 加上尺度为 0.3 的正态噪声，于是 $p(x) = \mathcal{N}(x;\, 0,\, W W^\top + 0.3^2 I)$。
# 对每个隐变量个数 $D$ 取 10 个数据样本，每个用 1000 次抽样。左图是 $\log p(x)$ 的平均误差：朴素估计的误差随 $D$ 增大。
# 右图说明原因：真正支撑估计的抽样所占的比例 $(\sum_n w_n)^2 / (N \sum_n w_n^2)$，其中 $w_n$ 是一次抽样的权重（和式中的一项）。
# 各次抽样权重相同时它为 1；全部权重落在一次抽样上时它为 $1/N$。

# %% runs: 17.26, 17.27, 17.28
import itertools

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import logsumexp

rng = np.random.default_rng(0)


def model(latents):
    """Returns W [X, D] of p(x|z) = N(x; W z, 0.3^2 I), and an example x [X], X = 2 D."""
    weights = rng.standard_normal((2 * latents, latents)) / np.sqrt(latents)
    return weights, weights @ rng.standard_normal(latents) + 0.3 * rng.standard_normal(2 * latents)


def known(weights, x):
    covariance = weights @ weights.T + 0.09 * np.eye(len(x))
    return stats.multivariate_normal.logpdf(x, np.zeros(len(x)), covariance)


def log_likelihood(weights, x, z):
    """Returns log p(x|z) of z [..., D]."""
    return (-0.5 * ((x - z @ weights.T) / 0.3) ** 2 - np.log(0.3 * np.sqrt(2 * np.pi))).sum(-1)


def naive(weights, x, draws):
    """Returns the logs of the weights of draws from the prior."""
    return log_likelihood(weights, x, rng.standard_normal((draws, weights.shape[1])))


def encoder(weights, x, widening=1.2):
    """Returns q: the posterior, a little too wide, as an encoder's would be."""
    precision = np.eye(weights.shape[1]) + weights.T @ weights / 0.09
    mean = np.linalg.solve(precision, weights.T @ x / 0.09)
    return stats.multivariate_normal(mean, widening * np.linalg.inv(precision))


def importance(weights, x, draws):
    q = encoder(weights, x)
    z = q.rvs(draws, random_state=rng).reshape(draws, -1)
    return log_likelihood(weights, x, z) + stats.norm.logpdf(z).sum(-1) - q.logpdf(z)


def log_mean(log_w):
    return logsumexp(log_w, axis=0) - np.log(len(log_w))


def carrying(log_w):
    return np.exp(2 * logsumexp(log_w) - logsumexp(2 * log_w)) / len(log_w)


def row(values, digits=2):
    return " ".join(f"{value:.{digits}f}" for value in values)


sizes = (1, 2, 4, 8, 16)
figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
errors = {}
for draw in (naive, importance):
    found = np.zeros((len(sizes), 2))
    for at, latents in enumerate(sizes):
        for weights, x in (model(latents) for _ in range(10)):
            log_w = draw(weights, x, 1000)
            found[at] += np.array([log_mean(log_w) - known(weights, x), carrying(log_w)]) / 10
    errors[draw.__name__], shares = found.T
    print(f"{draw.__name__:<10} error, nats: {row(found[:, 0])}; share: {row(shares, 4)}")
    axes[0].plot(sizes, found[:, 0], "o-", label=draw.__name__)
    axes[1].semilogy(sizes, found[:, 1], "o-", label=draw.__name__)
assert errors["naive"][-1] < -3 and np.all(np.abs(errors["importance"]) < 0.1)
for axis, title in zip(axes, ("error of log p(x), nats", "share that carries"), strict=True):
    axis.set_title(title, fontsize=10)
    axis.set_xticks(sizes)
    axis.set_xlabel("D")
    axis.legend()

# %% [markdown] en
# **A tighter bound.** The estimate of $p(x)$ is right on average; its logarithm is, by Jensen's inequality, too low on average. With $K$ draws from $q$ this is the *importance-weighted* bound,
#
# $$L_K = \mathbb{E}\left[ \log \frac{1}{K} \sum_{k=1}^{K} w_k \right], \qquad \mathrm{ELBO} = L_1 \le L_2 \le \dots \le \log p(x)$$
#
# Two mistakes are common, and the picture shows both. One puts the closed KL in the place of the ratio $p(z_k) / q(z_k)$ of each draw: at $K = 1$ it is the ELBO on average, and with more draws it climbs
# past $\log p(x)$ and bounds nothing. The other has the sign of the log weights turned, so that the *worst* draw counts most: it falls as $K$ grows.

# %% [markdown] zh
# **更紧的下界。** $p(x)$ 的估计平均而言是对的；按詹森不等式，它的对数平均而言偏低。用 $q$ 的 $K$ 个样本，这就是**重要性加权**下界：
#
# $$L_K = \mathbb{E}\left[ \log \frac{1}{K} \sum_{k=1}^{K} w_k \right], \qquad \mathrm{ELBO} = L_1 \le L_2 \le \dots \le \log p(x)$$
#
# 有两个常见的错误，图中都画了出来。一个是用 KL 的闭式代替每个样本的比值 $p(z_k) / q(z_k)$：$K = 1$ 时平均而言就是 ELBO，样本一多就越过 $\log p(x)$，什么也不限制。
# 另一个是对数权重的符号反了，于是**最差**的样本算得最多：$K$ 越大，它越低。

# %%
weights, x = model(8)
q, truth, counts = encoder(weights, x, 2.0), known(weights, x), 2 ** np.arange(9)
z = q.rvs((256, 200), random_state=rng)  # [K, repeats, D]
fit, log_ratio = log_likelihood(weights, x, z), stats.norm.logpdf(z).sum(-1) - q.logpdf(z)
kl = 0.5 * (np.trace(q.cov) + q.mean @ q.mean - 8 - np.linalg.slogdet(q.cov)[1])
curves = {
    "importance-weighted": [log_mean((fit + log_ratio)[:k]).mean() for k in counts],
    "closed KL": [log_mean(fit[:k]).mean() - kl for k in counts],
    "sign turned": [-log_mean(-(fit + log_ratio)[:k]).mean() for k in counts],
}
right, closed, turned = curves.values()
print(f"log p(x) {truth:.2f}; with 1, 16 and 256 draws:")
for name, values in curves.items():
    print(f"  {name:<20}", row(values[::4]))
    plt.semilogx(counts, values, "o-", label=name)
plt.axhline(truth, color="k", lw=1, label="log p(x)")
plt.ylim(truth - 10, truth + 5)
plt.xlabel("K")
plt.ylabel("nats")
plt.legend()
assert np.all(np.diff(right) > -0.05) and right[0] + 0.5 < right[-1] < truth + 0.1
assert abs(closed[0] - right[0]) < 0.5 < closed[-1] - truth and np.all(np.diff(turned) < 0)

# %% [markdown] en
# **Annealing** needs no encoder. It goes from the prior to the posterior in $T$ steps, through the densities $p(x|z)^{\beta_t}\,p(z)$ with $0 = \beta_0 < \beta_1 < \dots < \beta_T = 1$. Each of
# 100 chains begins with a draw from the prior. A step multiplies its weight by the ratio of two neighbouring densities, and then moves it a little by the rule of Metropolis, so that it follows the new density:
#
# $$\log w = \sum_{t=1}^{T} (\beta_t - \beta_{t-1}) \log p(x|z_{t-1})$$
#
# The mean of $w$ over the chains estimates $p(x)$. The picture has the mean error over three examples with 12 latents by $T$, and that of the naive estimate with as many draws as annealing makes, $100\,T$. With few steps
# neither is of use; with many annealing arrives, and the naive estimate does not.

# %% [markdown] zh
# **退火**不需要编码器。它用 $T$ 步从先验走到后验，途经密度 $p(x|z)^{\beta_t}\,p(z)$，其中 $0 = \beta_0 < \beta_1 < \dots < \beta_T = 1$。
# 100 条链各从先验的一个样本出发。每一步先把权重乘以相邻两个密度之比，再按 Metropolis 规则稍作移动，使链跟上新的密度：
#
# $$\log w = \sum_{t=1}^{T} (\beta_t - \beta_{t-1}) \log p(x|z_{t-1})$$
#
# 各链 $w$ 的平均就是 $p(x)$ 的估计。图中是 12 个隐变量的三个数据样本上的平均误差随 $T$ 的变化，以及抽样次数与退火相同（$100\,T$）的朴素估计。
# 步数少时两者都没有用；步数多时退火到达真值，朴素估计到不了。


# %%
def annealed(weights, x, steps, chains=100):
    """Returns the logs of the weights of the chains."""
    z = rng.standard_normal((chains, weights.shape[1]))
    betas = np.linspace(0, 1, steps + 1) ** 3  # small steps first: there the density changes most
    fit, log_w, scale = log_likelihood(weights, x, z), np.zeros(chains), 0.5
    for before, after in itertools.pairwise(betas):
        log_w += (after - before) * fit
        moved = z + scale * rng.standard_normal(z.shape)
        there = log_likelihood(weights, x, moved)
        gain = after * (there - fit) + 0.5 * ((z**2).sum(-1) - (moved**2).sum(-1))
        accepted = np.log(rng.random(chains)) < gain
        z, fit = np.where(accepted[:, None], moved, z), np.where(accepted, there, fit)
        scale *= 1.05 if accepted.mean() > 0.3 else 0.95
    return log_w


examples, lengths = [model(12) for _ in range(3)], (10, 30, 100, 300, 1000)
errors = {}
for name, draw in (("annealed", annealed), ("naive", lambda w, x, steps: naive(w, x, 100 * steps))):
    by_example = [[log_mean(draw(*e, steps)) - known(*e) for steps in lengths] for e in examples]
    errors[name] = np.mean(by_example, axis=0)
    print(f"{name:<8} error, nats, for T of {lengths}: {row(errors[name])}")
    plt.semilogx(lengths, errors[name], "o-", label=name)
plt.xlabel("T")
plt.ylabel("error of log p(x), nats")
plt.legend()
assert abs(errors["annealed"][-1]) < 1.5 < abs(errors["naive"][-1])
assert errors["annealed"][0] < errors["annealed"][2] < errors["annealed"][-1]

# %% [markdown] en
# `vae.log_evidence(data, num_samples)` is the importance-sampled estimate and says how many draws carried it; `tfp-vae bounds` anneals.

# %% [markdown] zh
# `vae.log_evidence(data, num_samples)` 是重要性采样的估计，并说明支撑它的有效样本有多少；`tfp-vae bounds` 作退火。
