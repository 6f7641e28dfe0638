# title en: Generation, resynthesis, attributes, disentangling
# title zh: 生成、重合成、属性与解耦

# %% [markdown] en
# What can one do with a VAE that is trained? This chapter trains a small one on handwritten digits, 8x8 pixels that are black or white, with six latents. To *generate*, draw $z$ from the prior and decode it. The first
# row has the means of $p(x|z)$, smooth and grey. The second has draws from it: each pixel is tossed on its own, so they are speckled. Papers show means; what the model says is the second row.

# %% [markdown] zh
# 训练好的 VAE 能做什么？本章在手写数字上训练一个小的，图像为 8x8 个黑或白的像素，有六个隐变量。**生成**就是从先验抽取 $z$ 再解码。第一行是 $p(x|z)$ 的均值，平滑而发灰；
# 第二行是从中抽取的样本：每个像素各自抛硬币，所以斑斑点点。论文展示均值，而模型所说的是第二行。

# %% runs: figure 17.12
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

import tfp_vae as tv

keras.utils.set_random_seed(0)
D = 6
data = tv.data.load("digits")


def trained(objective):
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(D),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([128]), D),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([128]), data.shape),
        objective=objective,
        seed=0,
    )
    vae.compile(optimizer=keras.optimizers.Adam(3e-3))
    vae.fit(data.train, epochs=25, verbose=0)
    return vae


vae = trained(tv.objectives.ELBO())


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
# **The aggregated posterior** is the mean of the posteriors of all $I$ training examples, $q(z) = \frac{1}{I} \sum_i q(z|x_i)$. This is where the decoder was trained. Where the prior puts mass and $q(z)$ has none, the decoder
# has never been, and what is generated there may be like nothing. So the KL between them is a number to look at. The cell estimates it by draws from $q(z)$. It can be at most the mean of
# $\mathrm{KL}(q(z|x) \,\|\, p(z))$, and here it is a small part of that.

# %% [markdown] zh
# **聚合后验**是全部 $I$ 个训练样本的后验的平均，$q(z) = \frac{1}{I} \sum_i q(z|x_i)$。解码器就在这里受训。先验有质量而 $q(z)$ 没有的地方，解码器从未到过，在那里生成的可能什么都不像。
# 所以两者之间的 KL 值得一看。代码用 $q(z)$ 的样本估计它。它至多等于 $\mathrm{KL}(q(z|x) \,\|\, p(z))$ 的平均，在这里只是其中的一小部分。

# %%
x = data.train.values()
rng = np.random.default_rng(0)
noise = rng.standard_normal((len(x), D))  # one draw of each posterior: draws from q(z)


def log_densities(vae):
    """Returns the means [I, D], log q(z_i|x_i), log q(z), sum_d log q(z_d), log p(z) and the KL."""
    posterior = vae.encoder(x)
    means, scales = posterior.mean().numpy(), posterior.stddev().numpy()
    z = means + scales * noise
    gap = (z[:, None] - means) / scales
    pairs = -0.5 * gap**2 - np.log(scales) - 0.5 * np.log(2 * np.pi)  # log q(z_i|x_j), [I, I, D]
    log_q = logsumexp(pairs.sum(-1), axis=1) - np.log(len(x))
    log_each = (logsumexp(pairs, axis=1) - np.log(len(x))).sum(-1)
    own = np.diagonal(pairs).sum(0)
    log_prior = -0.5 * (z**2).sum(1) - D / 2 * np.log(2 * np.pi)
    kl = 0.5 * (scales**2 + means**2 - 1 - 2 * np.log(scales)).sum(1)
    return means, own, log_q, log_each, log_prior, kl


means, own, log_q, log_each, log_prior, kl = log_densities(vae)
aggregate = (log_q - log_prior).mean()
print(f"KL to the prior: aggregated {aggregate:.2f}, mean of all {kl.mean():.2f} nats")
assert 0 < aggregate < 0.3 * kl.mean()

# %% [markdown] en
# **Resynthesis** changes an example: encode it, move its code, decode. To move along an *attribute*, take the mean code of examples that have it, less that of examples that have not. Here that is the way from the sevens to the
# sixes. In the first picture a seven goes along it, from a step back to a little past the end. A classifier of pixels that never saw the VAE (logistic regression) says of all sevens what they have become.
#
# To *interpolate* between two examples, go along an arc rather than a straight line: the line takes a short cut through the middle, where a normal of many dimensions has hardly any mass (problem 17.6). In the second
# picture the first row is the line and the second the arc. With six latents the two hardly differ.

# %% [markdown] zh
# **重合成**改变一个样本：编码，移动它的编码，再解码。要沿某个**属性**移动，就取有此属性的样本的平均编码，减去没有的样本的平均编码。这里是从数字七到数字六的方向。
# 第一幅图中，一个七沿它移动，从后退一步到略微越过终点。一个从未见过 VAE 的像素分类器（逻辑回归）说出所有的七变成了什么。
#
# 在两个样本之间**插值**，应沿弧线而不是直线：直线抄近路穿过中间，高维正态在那里几乎没有质量（习题 17.6）。第二幅图中第一行是直线，第二行是弧线；只有六个隐变量时，两者相差很小。

# %% runs: figure 17.13
labels = np.asarray(data.train.labels)
seven, six = means[labels == 7], means[labels == 6]
attribute = six.mean(0) - seven.mean(0)


def decoded(codes):
    return vae.decoder(np.float32(codes)).mean().numpy()


start = seven[0]
show([decoded(start + np.linspace(-0.5, 1.25, 8)[:, None] * attribute)])
classifier = LogisticRegression(max_iter=200).fit(x.reshape(len(x), -1), labels)
for step in (0.0, 1.25):
    named = classifier.predict(decoded(seven + step * attribute).reshape(len(seven), -1))
    counts = np.bincount(named, minlength=10) / len(named)
    print(f"{step:.2f} of the way: called a seven {counts[7]:.2f}, a six {counts[6]:.2f}")
    assert counts[6 if step else 7] > 0.8


def slerp(a, b, t):
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


line = [start + t * (six[0] - start) for t in np.linspace(0, 1, 8)]
arc = [slerp(start, six[0], t) for t in np.linspace(0, 1, 8)]
show([decoded(way) for way in (line, arc)])
norms = [np.linalg.norm(way, axis=1).min() for way in (line, arc)]
print("smallest norm along the line and the arc:", np.round(norms, 2))
assert norms[0] < norms[1]

# %% [markdown] en
# **Disentangling** wants each latent to stand for one cause of the pictures. It adds terms to the loss, of each posterior ($r_1$, weight $\lambda_1$) or of the aggregated one ($r_2$, weight $\lambda_2$):
#
# $$L = -\mathrm{ELBO} + \lambda_1\, \mathbb{E}[r_1(q(z|x))] + \lambda_2\, r_2(q(z)) \tag{17.29}$$
#
# The beta-VAE takes the KL for $r_1$, with $\lambda_1 = \beta - 1$:
#
# $$\mathrm{ELBO}_\beta = \log p(x|z^*) - \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z)) \tag{17.30}$$
#
# The mean KL has three parts,
#
# $$\mathbb{E}[\mathrm{KL}(q(z|x) \,\|\, p(z))] = \mathbb{E}\left[\log \frac{q(z|x)}{q(z)}\right] + \mathbb{E}\left[\log \frac{q(z)}{\prod_d q(z_d)}\right] + \sum_d \mathbb{E}\left[\log \frac{q(z_d)}{p(z_d)}\right]$$
#
# what the latents know of $x$ (*information*), how much they depend on each other (*total correlation*), and how far each is from its prior. The beta-VAE punishes all three, and so it forgets $x$. The total correlation VAE punishes the
# second alone; as $r_2$ it is 0 where the latents are independent. The cell trains one with $\lambda_2 = 9$: its total correlation is lower, and it knows no less of $x$. Each row of the picture moves one latent of it from -2 to 2 and leaves the others at their
# mean. What a row means the eye has to judge: independent latents need not be causes.

# %% [markdown] zh
# **解耦**希望每个隐变量代表图像的一个成因。它在损失里加项，或是每个后验的（$r_1$，权重 $\lambda_1$），或是聚合后验的（$r_2$，权重 $\lambda_2$）：
#
# $$L = -\mathrm{ELBO} + \lambda_1\, \mathbb{E}[r_1(q(z|x))] + \lambda_2\, r_2(q(z)) \tag{17.29}$$
#
# beta-VAE 以 KL 为 $r_1$，$\lambda_1 = \beta - 1$：
#
# $$\mathrm{ELBO}_\beta = \log p(x|z^*) - \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z)) \tag{17.30}$$
#
# 平均 KL 由三部分组成，
#
# $$\mathbb{E}[\mathrm{KL}(q(z|x) \,\|\, p(z))] = \mathbb{E}\left[\log \frac{q(z|x)}{q(z)}\right] + \mathbb{E}\left[\log \frac{q(z)}{\prod_d q(z_d)}\right] + \sum_d \mathbb{E}\left[\log \frac{q(z_d)}{p(z_d)}\right]$$
#
# 即隐变量对 $x$ 知道多少（**信息**）、它们彼此依赖多少（**总相关**），以及各自离先验有多远。beta-VAE 三者都惩罚，因此会忘记 $x$；总相关 VAE 只惩罚第二项，
# 以它为 $r_2$：隐变量独立时它为 0。代码以 $\lambda_2 = 9$ 训练一个：它的总相关更低，而对 $x$ 知道的并不更少。图中每一行把它的一个隐变量从 -2 移到 2，其余保持平均。
# 每一行意味着什么，要由眼睛判断：独立的隐变量未必是成因。

# %% runs: 17.29, 17.30, figure 17.14
closed = kl[:64].mean()
model = trained(tv.objectives.BetaTC(beta=10.0))
parts = {}
for name, each in (("ELBO", vae), ("total correlation VAE", model)):
    middle, own, log_q, log_each, log_prior, kl = log_densities(each)
    parts[name] = [(own - log_q).mean(), (log_q - log_each).mean(), (log_each - log_prior).mean()]
    error = (own - log_prior - kl).std() / np.sqrt(len(kl))
    print(f"{name}: information {parts[name][0]:.2f}, total correlation {parts[name][1]:.2f}, "
          f"per latent {parts[name][2]:.2f}; sum {sum(parts[name]):.2f}, KL {kl.mean():.2f}")  # fmt: skip
    assert abs(sum(parts[name]) - kl.mean()) < 4 * error
plain, independent = parts.values()
assert independent[1] < 0.8 * plain[1] and independent[0] > 0.9 * plain[0]
outputs = vae(x[:64], seed=1)
reconstruction = np.mean(outputs.likelihood.log_prob(x[:64]))
regularised = -(reconstruction - closed) + 3.0 * closed  # 17.29 with r1 = KL, lambda1 = beta - 1
vae.objective = tv.objectives.ELBO(beta=4.0)
loss = float(vae.compute_loss(x=x[:64], y_pred=outputs))
print(f"17.30 by the package {loss:.3f}, 17.29 by hand {regularised:.3f}")
assert abs(loss - regularised) < 1e-2
moves, rows = np.linspace(-2, 2, 7), []
for latent in np.argsort(-middle.var(0))[:3]:  # the three that move most from example to example
    codes = np.tile(middle.mean(0), (7, 1))
    codes[:, latent] = moves
    rows.append(model.decoder(np.float32(codes)).mean().numpy())
show(rows)
