# title en: Bayesian networks
# title zh: 贝叶斯网络

# %% [markdown] en
# The latent is now the weights $w$, shared by all $N$ examples. Per example the bound is
#
# $$\frac{1}{N}\,\mathrm{ELBO} = \frac{1}{N} \sum_i \mathbb{E}_{q(w)}[\log p(y_i|x_i, w)] - \frac{1}{N}\,\mathrm{KL}(q(w) \,\|\, p(w))$$
#
# The KL is a sum over all weights, divided by N once. The lecture's network has one layer; put right, its lines are these.

# %% [markdown] zh
# 现在隐变量是权重 $w$，由全部 $N$ 个样本共有。每个样本的下界是
#
# $$\frac{1}{N}\,\mathrm{ELBO} = \frac{1}{N} \sum_i \mathbb{E}_{q(w)}[\log p(y_i|x_i, w)] - \frac{1}{N}\,\mathrm{KL}(q(w) \,\|\, p(w))$$
#
# KL 对全部权重求和，只除以 N 一次。课程中的网络只有一层；改正之后就是下面几行。

# %% runs: block 7
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions.base import tfd

keras.utils.set_random_seed(0)
data = tv.data.load("digits")
x = tf.reshape(data.train.values(), [-1, 64])
labels = tf.constant(np.asarray(data.train.labels))
N = len(labels)
mean = tf.Variable(tf.zeros([64, 10]))
raw = tf.Variable(tf.fill([64, 10], -2.0))
bias = tf.Variable(tf.zeros([10]))
prior = tfd.Independent(tfd.Normal(tf.zeros([64, 10]), 1.0), 2)


def define_network(images):
    posterior = tfd.Independent(tfd.Normal(mean, tf.nn.softplus(raw) + 1e-4), 2)
    logits = images @ posterior.sample() + bias
    return tfd.Categorical(logits), posterior


optimizer = keras.optimizers.Adam(0.02)
optimizer.build([mean, raw, bias])


@tf.function
def step():
    with tf.GradientTape() as tape:
        dist, posterior = define_network(x)
        kl = tfd.kl_divergence(posterior, prior)
        bound = tf.reduce_mean(dist.log_prob(labels)) - kl / N
        loss = -bound
    slopes = tape.gradient(loss, [mean, raw, bias])
    optimizer.apply_gradients(zip(slopes, [mean, raw, bias], strict=True))
    return bound, kl


trace = [[float(v) for v in step()] for _ in range(300)]
bound, kl = trace[-1]
print(f"bound {bound:.3f} nats per example; KL of all weights {kl:.0f} nats, KL / N {kl / N:.3f}")
assert bound > trace[0][0]
plt.plot([each[0] for each in trace])
plt.xlabel("step")
plt.ylabel("bound, nats")

# %% [markdown] en
# **What the weights know.** The predictive distribution is the *average of probabilities* over draws. Its entropy has two parts: what is in the data (the mean entropy
# of a draw) and what the weights do not know (the rest, their mutual information with the label).

# %% [markdown] zh
# **权重知道什么。** 预测分布是对抽样的**概率取平均**。它的熵有两部分：数据本身的（每次抽样的熵的平均），以及权重所不知道的（其余部分，即权重与标签的互信息）。

# %%
test = tf.reshape(data.test.values(), [-1, 64])
strange = tf.constant(np.random.default_rng(0).permuted(test.numpy(), axis=1))


def parts(images, draws=40):
    probs = np.stack([define_network(images)[0].probs_parameter() for _ in range(draws)])
    average = probs.mean(0)
    total = -(average * np.log(average + 1e-12)).sum(-1)
    inside = -(probs * np.log(probs + 1e-12)).sum(-1).mean(0)
    return average, inside, total - inside


average, aleatoric, epistemic = parts(test)
accuracy = np.mean(average.argmax(1) == np.asarray(data.test.labels))
elsewhere = parts(strange)[2]
print(f"accuracy {accuracy:.3f}; not known: digits {epistemic.mean():.3f}, ", end="")
print(f"shuffled pixels {elsewhere.mean():.3f} nats")
assert accuracy > 0.75 and np.all(epistemic > -1e-6) and elsewhere.mean() > epistemic.mean()

# %% [markdown] en
# **In this package** a layer brings posterior, prior and KL, and `fit` reads N. Here the same layer, not trained, is asked for its KL and its bound.

# %% [markdown] zh
# **在本包里**，层自带后验、先验与 KL，`fit` 读出 N。这里对同样的、未经训练的层询问其 KL 与下界。

# %%
layer = tv.layers.DenseReparameterization(10)
bnn = tv.BayesianNetwork(
    keras.Sequential([keras.layers.Flatten(), layer]), tv.likelihoods.Categorical(10)
)
bnn.adapt(data.train)
outputs = bnn(data.train.values()[:64], training=False)
total = float(bnn.kl_divergence())
own = float(tf.reduce_sum(tfd.kl_divergence(layer.posterior, layer.prior)))
print(f"KL of the model {total:.1f}, of its layer {own:.1f} nats")
assert abs(total - own) < 1e-2 * abs(own)

# %% [markdown] en
# **Against Monte Carlo.** For two weights the posterior can be sampled (random-walk Metropolis) and integrated. The best normal without correlation has its mean and is
# narrower, because the KL punishes mass where the posterior has none.

# %% [markdown] zh
# **与蒙特卡罗对照。** 只有两个权重时，后验可以抽样（随机游走 Metropolis），也可以积分。没有相关的最好的正态分布均值相同而更窄，因为 KL 惩罚放在后验为零之处的质量。

# %%
rng = np.random.default_rng(0)
inputs = rng.standard_normal((60, 2)) @ np.array([[1.0, 0.9], [0.0, 0.45]])
answers = rng.random(60) < 1 / (1 + np.exp(-inputs @ np.array([1.5, -0.5])))
signs = 2.0 * answers - 1


def log_posterior(w):
    return -np.logaddexp(0, -signs * (w @ inputs.T)).sum(-1) - 0.5 * (w**2).sum(-1)


chain, w, value = [], np.zeros((50, 2)), log_posterior(np.zeros((50, 2)))
for _ in range(1500):
    moved = w + 0.5 * rng.standard_normal(w.shape)
    proposed = log_posterior(moved)
    accepted = np.log(rng.random(50)) < proposed - value
    w = np.where(accepted[:, None], moved, w)
    value = np.where(accepted, proposed, value)
    chain.append(w)
draws = np.concatenate(chain[300:])
side = np.linspace(-3, 5, 161)
grid = np.stack(np.meshgrid(side, side - 2, indexing="ij"), -1)
mass = np.exp(log_posterior(grid.reshape(-1, 2)).reshape(161, 161))
mass /= mass.sum()
exact = (mass[..., None] * grid).sum((0, 1))
deviation = np.sqrt((mass[..., None] * (grid - exact) ** 2).sum((0, 1)))
print("mean: chain", draws.mean(0).round(2), "integral", exact.round(2))
assert np.allclose(draws.mean(0), exact, atol=0.1)
precision = np.linalg.inv(np.cov(draws.T))
mean_field = 1 / np.sqrt(np.diag(precision))
print("deviation: posterior", deviation.round(2), "mean field", mean_field.round(2))
assert np.all(mean_field < deviation)
plt.contour(grid[..., 0], grid[..., 1], mass)
plt.plot(*draws[::60].T, ".", ms=2)
