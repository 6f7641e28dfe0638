# title en: Questions that an essay asked
# title zh: 一篇随笔提出的问题

# %% [markdown] en
# **Why a posterior for each example?** Most drawings of a VAE show a latent $z$ that is drawn from the prior and decoded, and then compared with an example $x$. But with which? If nothing ties $z$ to its $x$, then
# under a squared error the best that a decoder can do is to answer with the mean of all data, whatever $z$ is. Each example needs a $q(z|x)$ of its own, from which its $z$ is drawn.
#
# The cell has numbers $x$ near -2 and near 2, and fits a flexible decoder (a polynomial in $z$) twice: to latents from the prior, and to latents from a $q(z|x)$ whose mean follows $x$. It prints the
# share of the variance of $x$ that each explains.

# %% [markdown] zh
# **为什么每个样本要有自己的后验？** 多数 VAE 示意图里，隐变量 $z$ 从先验抽取，经过解码，再与一个样本 $x$ 比较。可是与哪一个？如果没有什么把 $z$ 与它的 $x$ 联系起来，
# 那么在平方误差下，解码器最好的回答就是全部数据的平均，与 $z$ 无关。每个样本都需要自己的 $q(z|x)$，它的 $z$ 由此抽取。
#
# 代码中的数 $x$ 在 -2 和 2 附近。用一个灵活的解码器（$z$ 的多项式）拟合两次：一次用先验的隐变量，一次用均值随 $x$ 变化的 $q(z|x)$ 的隐变量，并打印各自解释了 $x$ 的方差的多大比例。

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, stats

rng = np.random.default_rng(0)
x = np.concatenate([rng.normal(-2, 0.3, 1000), rng.normal(2, 0.3, 1000)])
loose = rng.standard_normal(2000)  # from the prior, tied to nothing
tied = (x - x.mean()) / x.std() * 0.95 + 0.1 * rng.standard_normal(2000)  # from q(z|x)


def decoded(z):
    """Returns the best polynomial of degree 5 in z, at z."""
    features = np.stack([z**k for k in range(6)], 1)
    return features @ np.linalg.lstsq(features, x, rcond=None)[0]


loose_share, tied_share = (1 - ((x - decoded(z)) ** 2).mean() / x.var() for z in (loose, tied))
print(f"variance explained: prior alone {loose_share:.3f}, posterior {tied_share:.3f}")
assert loose_share < 0.02 and tied_share > 0.9
assert np.abs(decoded(loose) - x.mean()).mean() < 0.1 * x.std()  # the mean, whatever z is

# %% [markdown] en
# **Noise against KL.** Let the decoder be $x = w z$ with normal noise of the scale $s$, and $q(z|x)$ a normal with the scale $\sigma$. In the bound $\sigma$ stands twice. The reconstruction loses
# $w^2 \sigma^2 / (2 s^2)$ and wants $\sigma = 0$; the KL has $\frac{1}{2}\sigma^2 - \log \sigma$ and wants $\sigma = 1$. The sum is least at
#
# $$\sigma^2 = \frac{s^2}{s^2 + w^2}$$
#
# So nobody has to choose the noise of the latents. A decoder that is exact (small $s$) gets latents that are exact; for a bad one (large $s$) the latents give up and go to the prior, $\sigma = 1$.
# In the picture the dots are found by minimising, the line is the formula.

# %% [markdown] zh
# **噪声与 KL 之争。** 设解码器为 $x = w z$ 加上尺度为 $s$ 的正态噪声，$q(z|x)$ 是尺度为 $\sigma$ 的正态。$\sigma$ 在下界里出现两次：重建损失
# $w^2 \sigma^2 / (2 s^2)$ 希望 $\sigma = 0$；KL 含有 $\frac{1}{2}\sigma^2 - \log \sigma$，希望 $\sigma = 1$。两者之和最小处是
#
# $$\sigma^2 = \frac{s^2}{s^2 + w^2}$$
#
# 所以隐变量的噪声不必由人选定。精确的解码器（$s$ 小）得到精确的隐变量；解码器差（$s$ 大）时，隐变量就放弃，退回先验，$\sigma = 1$。图中的点由最小化求得，线是公式。

# %%
w, noises = 1.0, np.array([0.1, 0.3, 1.0, 3.0])
found = []
for s in noises:

    def loss(log_scale, s=s):
        variance = np.exp(2 * log_scale)
        return 0.5 * w**2 * variance / s**2 + 0.5 * variance - log_scale

    found.append(np.exp(optimize.minimize_scalar(loss).x))
wanted = np.sqrt(noises**2 / (noises**2 + w**2))
print("scales found", np.round(found, 4), "formula", wanted.round(4))
assert np.allclose(found, wanted, atol=1e-4)
plt.loglog(noises, found, "o", label="argmin")
fine = np.geomspace(0.1, 3, 50)
plt.loglog(fine, fine / np.sqrt(fine**2 + w**2), label="s / sqrt(s$^2$ + w$^2$)")
plt.legend()
plt.xlabel("s")
plt.ylabel("sigma")

# %% [markdown] en
# **Must the prior be normal?** No. But the KL is infinite as soon as the posterior puts mass where the prior has none. A normal posterior reaches everywhere, so it does not go with a uniform prior; nor does a
# uniform posterior that looks over the edge. Inside, the KL of two uniforms is the log of the ratio of their widths. So a flat prior needs a posterior that stays inside: `--latent_prior=uniform --posterior=box`.

# %% [markdown] zh
# **先验必须是正态的吗？** 不必。但只要后验在先验为零的地方有质量，KL 就是无穷大。正态后验处处有质量，所以不能与均匀先验搭配；伸出边缘的均匀后验也不行。
# 在内部，两个均匀分布的 KL 是宽度之比的对数。所以平坦的先验需要一个留在其内的后验：`--latent_prior=uniform --posterior=box`。


# %%
def kl_from(q, prior, points):
    """Returns KL(q || prior) by quadrature; points cover q."""
    inside = q.pdf(points) > 0
    gap = q.logpdf(points[inside]) - prior.logpdf(points[inside])
    return np.trapezoid(q.pdf(points[inside]) * gap, points[inside])


prior, points = stats.uniform(-1, 2), np.linspace(-4, 4, 80001)
kls = {
    "uniform, inside": kl_from(stats.uniform(-0.5, 0.7), prior, points),
    "uniform, over the edge": kl_from(stats.uniform(0.5, 0.7), prior, points),
    "normal": kl_from(stats.norm(0, 0.2), prior, points),
}
print("KL to a uniform prior:", {name: round(float(kl), 4) for name, kl in kls.items()})
assert abs(kls["uniform, inside"] - np.log(2 / 0.7)) < 1e-3
assert np.isinf(kls["uniform, over the edge"]) and np.isinf(kls["normal"])

# %% [markdown] en
# **Where is the variation?** Calculus of variations looks for the *function* that makes a number greatest or least. Here the function is the density $q$, and the number is its KL to $p$: it is 0 for
# $q = p$ and for no other density. The cell bends $q$ away from $p$ in three ways, and the KL rises each time.
#
# **Conditional VAE.** Suppose that each example has a class $y$. The simplest way to tell the model is to give each class its own prior, $p(z|y) = \mathcal{N}(\mu_y, I)$, with a learned $\mu_y$. Then only one term of
# the loss changes; here $\mu_d$ and $\sigma_d$ are mean and scale of latent $d$ under $q(z|x)$:
#
# $$\mathrm{KL} = \frac{1}{2} \sum_d \left[ (\mu_d - \mu_{y,d})^2 + \sigma_d^2 - \log \sigma_d^2 - 1 \right]$$
#
# To draw an example of class $y$, draw $z$ from $p(z|y)$ and decode. With a learned scale $\sigma_y$ as well, as `--class_prior` has it,
#
# $$\mathrm{KL} = \frac{1}{2} \sum_d \left[ \frac{(\mu_d - \mu_{y,d})^2 + \sigma_d^2}{\sigma_{y,d}^2} - \log \frac{\sigma_d^2}{\sigma_{y,d}^2} - 1 \right]$$

# %% [markdown] zh
# **变分在哪里？** 变分法寻找使某个数最大或最小的**函数**。这里的函数是密度 $q$，那个数是它到 $p$ 的 KL：$q = p$ 时为 0，其他任何密度都不为 0。代码用三种方式使 $q$ 偏离 $p$，KL 每次都增大。
#
# **条件 VAE。** 设每个样本有类别 $y$。告诉模型的最简单办法，是给每个类自己的先验 $p(z|y) = \mathcal{N}(\mu_y, I)$，其中 $\mu_y$ 是学习得到的。
# 于是损失只改变一项；这里 $\mu_d$ 和 $\sigma_d$ 是 $q(z|x)$ 下隐变量 $d$ 的均值和尺度：
#
# $$\mathrm{KL} = \frac{1}{2} \sum_d \left[ (\mu_d - \mu_{y,d})^2 + \sigma_d^2 - \log \sigma_d^2 - 1 \right]$$
#
# 要生成类别 $y$ 的样本，就从 $p(z|y)$ 抽取 $z$ 再解码。若尺度 $\sigma_y$ 也由学习得到（`--class_prior` 即如此），
#
# $$\mathrm{KL} = \frac{1}{2} \sum_d \left[ \frac{(\mu_d - \mu_{y,d})^2 + \sigma_d^2}{\sigma_{y,d}^2} - \log \frac{\sigma_d^2}{\sigma_{y,d}^2} - 1 \right]$$

# %%
z = np.linspace(-8, 8, 8001)
p = stats.norm.pdf(z)
for bump in (np.sin(z), np.cos(3 * z), z**3 - 3 * z):
    q = p * np.exp(0.1 * bump * np.exp(-0.1 * z**2))
    q /= np.trapezoid(q, z)
    kl = np.trapezoid(q * np.log(q / p), z)
    print(f"KL of a perturbed density {kl:.5f}")
    assert kl > 1e-4
mean, scale, of_class = 0.4, 0.7, 1.5
q = stats.norm.pdf(z, mean, scale)
for width in (1.0, 0.6):
    ratio = scale**2 / width**2
    closed = 0.5 * ((mean - of_class) ** 2 / width**2 + ratio - np.log(ratio) - 1)
    numeric = np.trapezoid(q * (np.log(q) - stats.norm.logpdf(z, of_class, width)), z)
    print(f"KL to a class with the scale {width}: {closed:.5f}, numeric {numeric:.5f}")
    assert abs(closed - numeric) < 1e-6
