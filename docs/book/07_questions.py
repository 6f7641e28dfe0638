# title en: Questions that an essay asked
# title zh: 一篇随笔提出的问题

# %% [markdown] en
# **Why a posterior for each example?** If $z$ came from the prior alone, nothing would tie it to its $x$: the best decoder under squared errors is then the mean of all
# data, whatever $z$ is.

# %% [markdown] zh
# **为什么每个样本要有自己的后验？** 如果 $z$ 只来自先验，就没有什么把它与它的 $x$ 联系起来：在平方误差下，最好的解码器就是全部数据的平均，与 $z$ 无关。

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, stats

rng = np.random.default_rng(0)
x = np.concatenate([rng.normal(-2, 0.3, 1000), rng.normal(2, 0.3, 1000)])
loose = rng.standard_normal(2000)  # from the prior, tied to nothing
tied = (x - x.mean()) / x.std() * 0.95 + 0.1 * rng.standard_normal(2000)  # from q(z|x)


def explained(z):
    features = np.stack([z**k for k in range(6)], 1)
    fit = features @ np.linalg.lstsq(features, x, rcond=None)[0]
    return 1 - ((x - fit) ** 2).mean() / x.var()


print(f"variance explained: prior alone {explained(loose):.3f}, posterior {explained(tied):.3f}")
assert explained(loose) < 0.02 and explained(tied) > 0.9

# %% [markdown] en
# **Noise against KL.** Let the decoder be $x = w z$ with noise $s$. The reconstruction wants $\sigma = 0$, the KL wants $\sigma = 1$; the bound settles at
# $\sigma^2 = s^2 / (s^2 + w^2)$. A good decoder (small $s$) buys a small $\sigma$, a bad one gives it up. Nobody chooses the noise by hand.

# %% [markdown] zh
# **噪声与 KL 之争。** 设解码器为 $x = w z$，噪声为 $s$。重建希望 $\sigma = 0$，KL 希望 $\sigma = 1$；下界停在
# $\sigma^2 = s^2 / (s^2 + w^2)$。好的解码器（$s$ 小）换得小的 $\sigma$，差的则放弃。噪声不由人选定。

# %%
w, noises = 1.0, np.array([0.1, 0.3, 1.0, 3.0])
found = []
for s in noises:

    def loss(log_scale, s=s):
        variance = np.exp(2 * log_scale)
        return 0.5 * w**2 * variance / s**2 + 0.5 * (variance - 1) - log_scale

    found.append(np.exp(optimize.minimize_scalar(loss).x))
wanted = np.sqrt(noises**2 / (noises**2 + w**2))
print("scales found", np.round(found, 4), "formula", wanted.round(4))
assert np.allclose(found, wanted, atol=1e-4)
plt.loglog(noises, found, "o", label="argmin")
plt.loglog(noises, wanted, label="s / sqrt(s$^2$ + w$^2$)")
plt.legend()
plt.xlabel("s")
plt.ylabel("sigma")

# %% [markdown] en
# **Must the prior be normal?** Not at all, but a uniform posterior that reaches outside a uniform prior has an infinite KL, and inside it the KL is the log of the ratio
# of widths. So a flat prior goes with a posterior that ends where it ends (`--latent_prior=uniform --posterior=box`).

# %% [markdown] zh
# **先验必须是正态的吗？** 完全不必，但均匀后验若伸到均匀先验之外，KL 就是无穷大；在其内部，KL 是宽度之比的对数。
# 所以平坦的先验要配一个在同样地方终止的后验（`--latent_prior=uniform --posterior=box`）。


# %%
def kl_of_uniforms(a, b, low=-1.0, high=1.0):
    return np.log((high - low) / (b - a)) if low <= a < b <= high else np.inf


grid = np.linspace(-0.5, 0.2, 10001)
q, p = stats.uniform(-0.5, 0.7), stats.uniform(-1, 2)
numeric = np.trapezoid(q.pdf(grid) * (q.logpdf(grid) - p.logpdf(grid)), grid)
print(f"inside {kl_of_uniforms(-0.5, 0.2):.4f} (numeric {numeric:.4f}), across the edge inf")
assert abs(kl_of_uniforms(-0.5, 0.2) - numeric) < 1e-6
assert np.isinf(kl_of_uniforms(0.5, 1.2))

# %% [markdown] en
# **Where is the variation?** In the KL: of all densities, $q = p$ alone has none, so that pushing the bound up moves a function, not a number. A perturbation of any
# shape raises it.
#
# **Conditional VAE.** The simplest one gives each class its own mean, $p(z|y) = \mathcal{N}(\mu_y, I)$:
#
# $$\mathrm{KL} = \frac{1}{2} \sum_d \left[ (\mu_d - \mu_{y,d})^2 + \sigma_d^2 - \log \sigma_d^2 - 1 \right]$$
#
# Here a scale $\sigma_y$ may be learned too (`--class_prior`).

# %% [markdown] zh
# **变分在哪里？** 在 KL 里：所有密度之中只有 $q = p$ 的 KL 为零，所以抬高下界移动的是一个函数，而不是一个数。任何形状的扰动都使它增大。
#
# **条件 VAE。** 最简单的一种给每个类自己的均值，$p(z|y) = \mathcal{N}(\mu_y, I)$：
#
# $$\mathrm{KL} = \frac{1}{2} \sum_d \left[ (\mu_d - \mu_{y,d})^2 + \sigma_d^2 - \log \sigma_d^2 - 1 \right]$$
#
# 这里也可以学习尺度 $\sigma_y$（`--class_prior`）。

# %%
z = np.linspace(-8, 8, 8001)
p = stats.norm.pdf(z)
for bump in (np.sin(z), np.cos(3 * z), z**3 - 3 * z):
    q = p * np.exp(0.1 * bump * np.exp(-0.1 * z**2))
    q /= np.trapezoid(q, z)
    kl = np.trapezoid(q * np.log(q / p), z)
    print(f"KL of a perturbed density {kl:.5f}")
    assert kl > 0
mean, scale, of_class = 0.4, 0.7, 1.5
closed = 0.5 * ((mean - of_class) ** 2 + scale**2 - np.log(scale**2) - 1)
q = stats.norm.pdf(z, mean, scale)
numeric = np.trapezoid(q * (np.log(q) - stats.norm.logpdf(z, of_class)), z)
print(f"KL to the prior of a class: {closed:.5f}, numeric {numeric:.5f}")
assert abs(closed - numeric) < 1e-6
