# title en: Bayesian networks
# title zh: 贝叶斯网络

# %% [markdown] en
# An ordinary network has one number for each weight. A *Bayesian* network has a distribution over each, $q(w)$: many networks that all fit the data, and that disagree where there
# are none. So the weights $w$ are the latent now, and all $N$ examples share them. Per example the bound is
#
# $$\frac{1}{N}\,\mathrm{ELBO} = \frac{1}{N} \sum_i \mathbb{E}_{q(w)}[\log p(y_i|x_i, w)] - \frac{1}{N}\,\mathrm{KL}(q(w) \,\|\, p(w))$$
#
# The KL is a sum over all weights, divided by N once. The lecture's network has one layer; put right, its lines are these.

# %% [markdown] zh
# 普通网络的每个权重是一个数。**贝叶斯**网络的每个权重是一个分布 $q(w)$：也就是许多网络，它们都符合数据，而在没有数据的地方意见不一。
# 所以现在隐变量是权重 $w$，由全部 $N$ 个样本共有。每个样本的下界是
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
# **What the weights know.** To predict, draw the weights many times and average the *probabilities*. How unsure the average is, its entropy, has two parts. Some doubt is in the data:
# a smudged 7 may be a 1 for every network (the mean entropy of a draw, *aleatoric*). The rest is what the weights do not know: the networks disagree (*epistemic*). On digits whose
# pixels were shuffled this second part should be larger, and the cell asserts it.

# %% [markdown] zh
# **权重知道什么。** 预测时多次抽取权重，对**概率**取平均。平均之后有多不确定，用熵来衡量，它分两部分。一部分在数据里：一个模糊的 7，每个网络都可能看成 1
# （每次抽样的熵的平均，**偶然**不确定性）。其余是权重所不知道的：各个网络意见不一（**认知**不确定性）。像素打乱的数字，这第二部分应当更大，代码对此作了断言。

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
# **Against Hamiltonian Monte Carlo.** With two weights the posterior can be integrated on a grid, so whatever approximates it can be judged. Hamiltonian Monte Carlo (HMC) lets $w$
# roll like a ball in the landscape of $-\log p(w|\mathrm{data})$: it is pushed at random, follows the slope for some steps, and the place where it ends is accepted with a probability that
# makes up for the error of the steps. Its draws, the dots, have mean and spread of the posterior. The best normal whose weights are *independent* (mean field) has about the same
# mean and is narrower: the KL punishes mass where the posterior, the contours, has none. For a whole network `tv.reference(data)` does this in one call.

# %% [markdown] zh
# **与哈密顿蒙特卡罗对照。** 只有两个权重时，后验可以在网格上积分，所以一切近似都能受到检验。哈密顿蒙特卡罗（HMC）让 $w$ 像小球一样在 $-\log p(w|\mathrm{data})$ 的地形里滚动：
# 随机推一下，沿坡走若干步，再以一定的概率接受终点，这个概率抵消步长带来的误差。它的样本（圆点）具有后验的均值和宽度。各权重**相互独立**的最好的正态（平均场）均值相近，但更窄：
# KL 惩罚放在后验（等高线）为零之处的质量。对整个网络，`tv.reference(data)` 一次调用就能做到。

# %%
rng = np.random.default_rng(0)
inputs = rng.standard_normal((60, 2)) @ np.array([[1.0, 0.9], [0.0, 0.45]])
answers = rng.random(60) < 1 / (1 + np.exp(-inputs @ np.array([1.5, -0.5])))
signs = 2.0 * answers - 1


def log_posterior(w):
    return -np.logaddexp(0, -signs * (w @ inputs.T)).sum(-1) - 0.5 * (w**2).sum(-1)


def slope(w):
    return (signs / (1 + np.exp(signs * (w @ inputs.T)))) @ inputs - w


def roll(w, momentum, step=0.25, count=8):
    """Follows the slope by leapfrog steps."""
    for _ in range(count):
        momentum = momentum + step / 2 * slope(w)
        w = w + step * momentum
        momentum = momentum + step / 2 * slope(w)
    return w, momentum


def energy(w, momentum):
    return 0.5 * (momentum**2).sum(-1) - log_posterior(w)


chain, rates, w = [], [], np.zeros((50, 2))
for _ in range(400):
    push = rng.standard_normal(w.shape)
    moved, end = roll(w, push)
    accepted = np.log(rng.random(50)) < energy(w, push) - energy(moved, end)
    w = np.where(accepted[:, None], moved, w)
    chain.append(w)
    rates.append(accepted.mean())
draws = np.concatenate(chain[100:])
print(f"HMC accepts {np.mean(rates):.2f} of its moves")
assert np.mean(rates) > 0.8
side = np.linspace(-3, 5, 161)
grid = np.stack(np.meshgrid(side, side - 2, indexing="ij"), -1)
mass = np.exp(log_posterior(grid.reshape(-1, 2)).reshape(161, 161))
mass /= mass.sum()
exact = (mass[..., None] * grid).sum((0, 1))
deviation = np.sqrt((mass[..., None] * (grid - exact) ** 2).sum((0, 1)))
print("mean: HMC", draws.mean(0).round(2), "integral", exact.round(2))
assert np.allclose(draws.mean(0), exact, atol=0.05)
assert np.allclose(draws.std(0), deviation, rtol=0.05)
precision = np.linalg.inv(np.cov(draws.T))
mean_field = 1 / np.sqrt(np.diag(precision))
print("deviation: posterior", deviation.round(2), "mean field", mean_field.round(2))
assert np.all(mean_field < deviation)
plt.plot(*draws[::20].T, ".", ms=2)
plt.contour(grid[..., 0], grid[..., 1], mass, colors="k", linewidths=0.8)
plt.xlim(-1, 3.5)
plt.ylim(-2, 2.5)
plt.xlabel("w1")
plt.ylabel("w2")
