# title en: Generation, resynthesis, attributes, disentangling
# title zh: 生成、重合成、属性与解耦

# %% [markdown] en
# A small VAE of the digits serves all sections. Draws from the prior are pictures of the model; a mean is smooth, a draw has the noise of the likelihood too.

# %% [markdown] zh
# 一个小的数字 VAE 供各节使用。从先验抽取的样本是模型的图像；均值是平滑的，抽样还带有似然的噪声。

# %% runs: figure 17.12
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp

import tfp_vae as tv

keras.utils.set_random_seed(0)
D = 6
data = tv.data.load("digits")
vae = tv.VAE(
    prior=tv.priors.StandardNormal(D),
    encoder=tv.encoders.Gaussian(tv.networks.mlp([128]), D),
    decoder=tv.decoders.Bernoulli(tv.networks.mlp([128]), data.shape),
    seed=0,
)
vae.compile(optimizer=keras.optimizers.Adam(3e-3))
vae.fit(data.train, epochs=25, verbose=0)


def show(rows):
    figure, axes = plt.subplots(len(rows), len(rows[0]), squeeze=False)
    figure.set_size_inches(0.8 * len(rows[0]), 0.8 * len(rows))
    for axis, image in zip(axes.flat, (each for row in rows for each in row), strict=True):
        axis.imshow(np.reshape(image, (8, 8)), cmap="gray", vmin=0, vmax=1)
        axis.axis("off")


drawn = vae.generate(10, seed=0)
show([drawn["mean"], drawn["sample"]])
assert 0 <= drawn["mean"].min() and set(np.unique(drawn["sample"])) <= {0.0, 1.0}

# %% [markdown] en
# **The aggregated posterior** $q(z) = \frac{1}{I} \sum_i q(z|x_i)$ is where the decoder was trained. Its distance to the prior is what samples suffer from.

# %% [markdown] zh
# **聚合后验** $q(z) = \frac{1}{I} \sum_i q(z|x_i)$ 是解码器受训的地方。它与先验的距离就是样本所受的损失。

# %%
x = data.train.values()
posterior = vae.encoder(x)
means, scales = posterior.mean().numpy(), posterior.stddev().numpy()


def log_density(z):
    """Returns log q(z | x_i) of each pair, [Z, I, D]."""
    gap = (z[:, None] - means) / scales
    return -0.5 * gap**2 - np.log(scales) - 0.5 * np.log(2 * np.pi)


rng = np.random.default_rng(0)
some = rng.choice(len(means), 300)
z = means[some] + scales[some] * rng.standard_normal((300, D))
pairs = log_density(z)
log_q = logsumexp(pairs.sum(-1), axis=1) - np.log(len(means))
log_prior = -0.5 * (z**2).sum(1) - D / 2 * np.log(2 * np.pi)
aggregate = (log_q - log_prior).mean()
print(f"KL of the aggregated posterior to the prior: {aggregate:.2f} nats")
assert aggregate > -0.3

# %% [markdown] en
# **Resynthesis.** Encode, move, decode. The vector of an attribute is the difference of two means. Interpolation goes along the sphere, as a straight line leaves the
# shell in which a normal of many dimensions has its mass.

# %% [markdown] zh
# **重合成。** 编码、移动、解码。属性向量是两个均值之差。插值沿球面进行，因为直线会离开高维正态分布质量所在的球壳。

# %% runs: figure 17.13
labels = np.asarray(data.train.labels)
zero, eight = means[labels == 0], means[labels == 8]
attribute = eight.mean(0) - zero.mean(0)
start = zero[0]
path = start + np.linspace(-0.5, 1.25, 8)[:, None] * attribute
show([vae.decoder(path.astype("float32")).mean().numpy()])
side = np.sign((path - (zero.mean(0) + eight.mean(0)) / 2) @ attribute)
assert side[0] == -1 and side[-1] == 1


def slerp(a, b, t):
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


line = [start + t * (eight[0] - start) for t in np.linspace(0, 1, 8)]
arc = [slerp(start, eight[0], t) for t in np.linspace(0, 1, 8)]
show([vae.decoder(np.float32(way)).mean().numpy() for way in (line, arc)])
norms = [np.linalg.norm(way, axis=1).min() for way in (line, arc)]
print("smallest norm along the line and the arc:", np.round(norms, 2))
assert norms[0] < norms[1]

# %% [markdown] en
# **Disentangling** adds terms to the loss, of each posterior ($r_1$) or of the aggregated one ($r_2$):
#
# $$L = -\mathrm{ELBO} + \lambda_1\, \mathbb{E}[r_1(q(z|x))] + \lambda_2\, r_2(q(z)) \tag{17.29}$$
#
# $$\mathrm{ELBO}_\beta = \log p(x|z^*) - \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z)) \tag{17.30}$$
#
# The mean KL has three parts: what the latents know of $x$, their total correlation, and the distance of each from its prior.

# %% [markdown] zh
# **解耦**在损失里加项，或是每个后验的（$r_1$），或是聚合后验的（$r_2$）：
#
# $$L = -\mathrm{ELBO} + \lambda_1\, \mathbb{E}[r_1(q(z|x))] + \lambda_2\, r_2(q(z)) \tag{17.29}$$
#
# $$\mathrm{ELBO}_\beta = \log p(x|z^*) - \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z)) \tag{17.30}$$
#
# 平均 KL 由三部分组成：隐变量对 $x$ 所知的、它们的总相关，以及各自到先验的距离。

# %% runs: 17.29, 17.30, figure 17.14
own = pairs[np.arange(300), some].sum(-1)
log_each = (logsumexp(pairs, axis=1) - np.log(len(means))).sum(-1)
parts = {
    "information": (own - log_q).mean(),
    "total correlation": (log_q - log_each).mean(),
    "per dimension": (log_each - log_prior).mean(),
}
kl = (own - log_prior).mean()
print({name: round(float(value), 2) for name, value in parts.items()}, "sum", round(float(kl), 2))
assert abs(sum(parts.values()) - kl) < 1e-3
beta = tv.objectives.ELBO(beta=4.0)
outputs = vae(x[:64], seed=1)
reconstruction = np.mean(outputs.likelihood.log_prob(x[:64]))
closed = np.mean(0.5 * (scales**2 + means**2 - 1 - 2 * np.log(scales)).sum(1)[:64])
regularised = -(reconstruction - closed) + 3.0 * closed  # 17.29 with r1 = KL, lambda1 = beta - 1
vae.objective = beta
loss = float(vae.compute_loss(x=x[:64], y_pred=outputs))
print(f"17.30 by the package {loss:.3f}, 17.29 by hand {regularised:.3f}")
assert abs(loss - regularised) < 1e-2
middle, moves = means.mean(0), np.linspace(-2, 2, 7)
rows = []
for latent in range(3):
    codes = np.tile(middle, (7, 1))
    codes[:, latent] = moves
    rows.append(vae.decoder(np.float32(codes)).mean().numpy())
show(rows)
