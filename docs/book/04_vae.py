# title en: The VAE, line by line
# title zh: 逐行写出 VAE

# %% [markdown] en
# A distribution in code has what one on paper has: draws, a log-density, a divergence. A lecture on TensorFlow wrote these lines with layers of TensorFlow 1; here
# they are with Keras 3. First the pieces: a normal whose mean and scale come from a network, a regression, a classifier.

# %% [markdown] zh
# 代码里的分布具备纸上分布所有的东西：抽样、对数密度、散度。一门 TensorFlow 课程用 TensorFlow 1 的层写过这些；这里用 Keras 3 来写。
# 先看零件：均值与尺度来自网络的正态分布、一个回归、一个分类器。

# %% runs: block 1, block 2, block 3
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions.base import tfd

keras.utils.set_random_seed(0)
hidden = tf.random.normal([4, 20])
mean = keras.layers.Dense(10)(hidden)
stddev = keras.layers.Dense(10, "softplus")(hidden) + 1e-3
dist = tfd.MultivariateNormalDiag(mean, stddev)
other = tfd.MultivariateNormalDiag(tf.zeros_like(mean), tf.ones_like(stddev))
print("draws", dist.sample().shape, "densities", dist.log_prob(dist.sample()).shape)
closed = tfd.kl_divergence(dist, other)
by_hand = 0.5 * tf.reduce_sum(stddev**2 + mean**2 - 1 - 2 * tf.math.log(stddev), -1)
assert np.allclose(closed, by_hand, rtol=1e-4)

label = tf.random.normal([4, 10])
unit = tfd.MultivariateNormalDiag(mean, tf.ones_like(mean))
squares = 0.5 * tf.reduce_sum((label - mean) ** 2, -1) + 5 * np.log(2 * np.pi)
assert np.allclose(-unit.log_prob(label), squares, rtol=1e-4)  # a squared error

classes = tf.constant([3, 1, 4, 1])
entropy = keras.losses.sparse_categorical_crossentropy(classes, mean, from_logits=True)
assert np.allclose(-tfd.Categorical(mean).log_prob(classes), entropy, rtol=1e-4)

# %% [markdown] en
# **The model.** The encoder predicts mean *and* variance, the second through a positive function,
#
# $$q(z|x, \theta) = \mathcal{N}(z;\, g_\mu(x), g_\Sigma(x)) \tag{17.20}$$
#
# $$\mathrm{ELBO} = \int q(z|x, \theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|x, \theta) \,\|\, p(z)) \tag{17.21}$$

# %% [markdown] zh
# **模型。** 编码器预测均值**和**方差，后者经过一个取正值的函数，
#
# $$q(z|x, \theta) = \mathcal{N}(z;\, g_\mu(x), g_\Sigma(x)) \tag{17.20}$$
#
# $$\mathrm{ELBO} = \int q(z|x, \theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|x, \theta) \,\|\, p(z)) \tag{17.21}$$

# %% runs: 17.20, 17.21, 17.23, block 4, block 5, block 6, figure 17.9
CODE, SHAPE = 2, (8, 8)


def make_prior():
    return tfd.MultivariateNormalDiag(tf.zeros(CODE), tf.ones(CODE))


encoder_layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(2 * CODE)]
decoder_layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(64)]


def make_encoder(images):
    features = tf.reshape(images, [-1, 64])
    for layer in encoder_layers:
        features = layer(features)
    return tfd.MultivariateNormalDiag(features[:, :CODE], tf.nn.softplus(features[:, CODE:]) + 1e-3)


def make_decoder(code):
    for layer in decoder_layers:
        code = layer(code)
    return tfd.Independent(tfd.Bernoulli(tf.reshape(code, [-1, *SHAPE])), 2)


data = tv.data.load("digits")
images = tf.constant(data.train.values().reshape(-1, *SHAPE))
prior, optimizer = make_prior(), keras.optimizers.Adam(3e-3)


def elbo(images):
    posterior = make_encoder(images)
    likelihood = make_decoder(posterior.sample())
    return likelihood.log_prob(images) - tfd.kl_divergence(posterior, prior)


first = elbo(images)
weights = [w for layer in encoder_layers + decoder_layers for w in layer.trainable_variables]
optimizer.build(weights)


@tf.function
def step(images):
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(elbo(images))
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))


for number in range(200):
    step(images[128 * (number % 8) :][:128])
last = elbo(images)
print(f"ELBO before {np.mean(first):.1f}, after {np.mean(last):.1f} nats per example")
assert np.mean(last) > np.mean(first) + 8
samples = make_decoder(prior.sample(10)).mean()
figure, axes = plt.subplots(1, 10, figsize=(9, 1))
for axis, sample in zip(axes, samples, strict=True):
    axis.imshow(sample, cmap="gray")
    axis.axis("off")

# %% [markdown] en
# **In this package** the three functions are three arguments. Given its weights, the same numbers come out: bound, posterior and likelihood are those distributions.

# %% [markdown] zh
# **在本包里**，这三个函数是三个参数。给定权重，得到同样的数：下界、后验和似然就是那些分布。

# %%
vae = tv.VAE(
    prior=tv.priors.StandardNormal(CODE),
    encoder=tv.encoders.Gaussian(tv.networks.mlp([64]), CODE),
    decoder=tv.decoders.Bernoulli(tv.networks.mlp([64]), data.shape),
    seed=0,
)
x = data.test.values()[:32]
outputs = vae(x, seed=1)
by_hand = outputs.likelihood.log_prob(x) - tfd.kl_divergence(outputs.posterior, vae.prior())
loss = vae.compute_loss(x=x, y_pred=outputs)
print(f"by hand {np.mean(by_hand):.4f}, the package {-float(loss):.4f}")
assert np.isclose(np.mean(by_hand), -float(loss), rtol=1e-5)

# %% [markdown] en
# **The expectation** is estimated by draws, and one is enough for training; the KL to a standard normal has a closed form; draws are a function of parameters and noise:
#
# $$\mathbb{E}[a(z)] \approx \frac{1}{N} \sum_n a(z_n), \qquad \mathrm{ELBO} \approx \log p(x|z^*) - \mathrm{KL} \tag{17.22, 17.23}$$
#
# $$\mathrm{KL} = \frac{1}{2} \left( \mathrm{Tr}\,\Sigma + \mu^T \mu - D - \log \det \Sigma \right), \qquad z^* = \mu + \Sigma^{1/2} \epsilon \tag{17.24, 17.25}$$

# %% [markdown] zh
# **期望**用抽样估计，训练时一个样本就够；对标准正态的 KL 有封闭形式；样本是参数与噪声的函数：
#
# $$\mathbb{E}[a(z)] \approx \frac{1}{N} \sum_n a(z_n), \qquad \mathrm{ELBO} \approx \log p(x|z^*) - \mathrm{KL} \tag{17.22, 17.23}$$
#
# $$\mathrm{KL} = \frac{1}{2} \left( \mathrm{Tr}\,\Sigma + \mu^T \mu - D - \log \det \Sigma \right), \qquad z^* = \mu + \Sigma^{1/2} \epsilon \tag{17.24, 17.25}$$

# %% runs: 17.22, 17.24, 17.25
rng = np.random.default_rng(0)
mu, factor = np.array([0.5, -1.0]), np.array([[0.8, 0.0], [0.3, 0.5]])
sigma = factor @ factor.T
closed = 0.5 * (np.trace(sigma) + mu @ mu - 2 - np.log(np.linalg.det(sigma)))
z = mu + rng.standard_normal((20000, 2)) @ factor.T
inverse = np.linalg.inv(sigma)
log_q = -0.5 * np.einsum("ni,ij,nj->n", z - mu, inverse, z - mu) - 0.5 * np.log(
    np.linalg.det(sigma)
)
ratios = log_q + 0.5 * (z**2).sum(1)
error = ratios.std() / np.sqrt(len(ratios))
print(f"KL closed {closed:.4f}, from draws {ratios.mean():.4f} +- {error:.4f}")
assert abs(ratios.mean() - closed) < 4 * error

# %% [markdown] en
# **Reparameterisation against the score function.** Both estimate $\partial_\mu \mathbb{E}[f(z)]$ without bias; the first uses the slope of $f$, the second its value only,
# and pays in variance.

# %% [markdown] zh
# **重参数化与得分函数。** 两者都无偏地估计 $\partial_\mu \mathbb{E}[f(z)]$；前者用到 $f$ 的斜率，后者只用函数值，代价是方差。

# %% runs: figure 17.11
noise = rng.standard_normal(20000)
location, scale = 1.0, 0.7
draws = location + scale * noise
path = 2 * draws  # of f(z) = z^2, by dz/dmu = 1
score = draws**2 * noise / scale
print(f"truth {2 * location}, path {path.mean():.3f} (sd {path.std():.2f}), ", end="")
print(f"score {score.mean():.3f} (sd {score.std():.2f})")
for estimate in (path, score):
    assert abs(estimate.mean() - 2 * location) < 4 * estimate.std() / np.sqrt(len(estimate))
assert score.std() > 2 * path.std()
plt.hist([path, score], 60, range=(-10, 15), histtype="step")
