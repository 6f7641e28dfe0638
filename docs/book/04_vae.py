# title en: The VAE, line by line
# title zh: 逐行写出 VAE

# %% [markdown] en
# A VAE is two networks and the bound of chapter 3. The *encoder* reads an example $x$ and answers with a distribution over latents, $q(z|x)$. The *decoder* reads a latent $z$ and
# answers with a distribution over examples, $p(x|z)$. In code a distribution is an object that can do what one on paper can: `sample()` draws from it, `log_prob(x)` is its
# log-density, `kl_divergence(q, p)` compares two. A lecture on TensorFlow wrote these lines for TensorFlow 1; here they are with Keras 3.
#
# First the pieces. The cell makes a normal distribution whose mean and standard deviation come out of a network. Then it asserts two facts that are worth knowing: minus the
# log-density of a normal with standard deviation 1 is the squared error (halved, plus a constant), and minus the log-probability of a class is the cross-entropy. So whoever
# trains by a squared error has chosen a normal likelihood already.

# %% [markdown] zh
# VAE 就是两个网络加上第 3 章的下界。**编码器**读入样本 $x$，给出隐变量的分布 $q(z|x)$；**解码器**读入隐变量 $z$，给出样本的分布 $p(x|z)$。
# 代码里的分布是一个对象，纸上能做的它都能做：`sample()` 抽样，`log_prob(x)` 是对数密度，`kl_divergence(q, p)` 比较两个分布。
# 一门 TensorFlow 课程用 TensorFlow 1 写过这些；这里用 Keras 3 来写。
#
# 先看零件。下面的代码建立一个正态分布，其均值和标准差由网络给出。然后断言两个值得知道的事实：标准差为 1 的正态，其负对数密度就是平方误差（减半，再加常数）；
# 类别的负对数概率就是交叉熵。所以，用平方误差训练的人其实已经选定了正态似然。

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
# **The model.** The encoder predicts a mean *and* a variance for each latent. A variance has to be positive, so its output goes through softplus, $\log(1 + e^a)$:
#
# $$q(z|x, \theta) = \mathcal{N}(z;\, g_\mu(x), g_\Sigma(x)) \tag{17.20}$$
#
# $$\mathrm{ELBO} = \int q(z|x, \theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|x, \theta) \,\|\, p(z)) \tag{17.21}$$
#
# The heart of the code is `elbo`: it encodes, draws one latent, decodes, and takes the KL off. `step` computes its gradient by all weights and lets Adam go uphill. The pictures are
# means of $p(x|z)$ for latents $z$ that were drawn from the prior: digits that nobody wrote, still blurred after 200 steps.

# %% [markdown] zh
# **模型。** 编码器为每个隐变量预测均值**和**方差。方差必须为正，所以网络的输出要经过 softplus，即 $\log(1 + e^a)$：
#
# $$q(z|x, \theta) = \mathcal{N}(z;\, g_\mu(x), g_\Sigma(x)) \tag{17.20}$$
#
# $$\mathrm{ELBO} = \int q(z|x, \theta) \log p(x|z, \phi)\,dz - \mathrm{KL}(q(z|x, \theta) \,\|\, p(z)) \tag{17.21}$$
#
# 代码的核心是 `elbo`：编码、抽取一个隐变量、解码，再减去 KL；`step` 求它对全部权重的梯度，由 Adam 往上走。图像是从先验抽取 $z$ 之后 $p(x|z)$ 的均值：
# 没有人写过的数字；只训练了 200 步，还很模糊。

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
# **In this package** the three functions are three arguments, and `fit` is the loop. The cell asserts that nothing else happens: the loss of the model is minus the bound, computed
# by hand from its own distributions.

# %% [markdown] zh
# **在本包里**，这三个函数是三个参数，循环由 `fit` 完成。代码断言除此之外什么也没有发生：模型的损失就是负的下界，而这个下界是用它自己的分布手工算出的。

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
# **Three tricks** make the bound cheap. The mean under $q(z|x)$ is estimated from draws, and one draw is enough for training, as many examples are averaged anyway. The KL to a
# standard normal has a formula ($D$ is the number of latents). And a draw is written as a function of the parameters and of noise $\epsilon$ that does not depend on them, so that a
# gradient can pass through it: the *reparameterisation trick*, 17.25.
#
# $$\mathbb{E}[a(z)] \approx \frac{1}{N} \sum_n a(z_n), \qquad \mathrm{ELBO} \approx \log p(x|z^*) - \mathrm{KL} \tag{17.22, 17.23}$$
#
# $$\mathrm{KL} = \frac{1}{2} \left( \mathrm{Tr}\,\Sigma + \mu^T \mu - D - \log \det \Sigma \right), \qquad z^* = \mu + \Sigma^{1/2} \epsilon \tag{17.24, 17.25}$$

# %% [markdown] zh
# **三个技巧**使下界容易计算。在 $q(z|x)$ 之下的平均由抽样估计；训练时抽一次就够，因为反正要对许多样本取平均。到标准正态的 KL 有公式（$D$ 是隐变量的个数）。
# 样本写成参数与噪声 $\epsilon$ 的函数，噪声与参数无关，梯度因此可以穿过它：这就是**重参数化技巧**（17.25）。
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
# **Why not without the trick?** The gradient of a mean, here $\partial_\mu \mathbb{E}[f(z)]$, can also be estimated from the values of $f$ alone, by the *score function*. Both estimates
# are right on average. The cell runs both for $f(z) = z^2$, where the truth is 2: those of the score function scatter more than twice as much, so that training needs many more draws.

# %% [markdown] zh
# **不用这个技巧行吗？** 平均的梯度（这里是 $\partial_\mu \mathbb{E}[f(z)]$）也可以只用 $f$ 的值来估计，这就是**得分函数**。两种估计平均而言都对。
# 代码对 $f(z) = z^2$ 运行两者，真值为 2：得分函数的估计分散程度在两倍以上，训练因此需要多得多的样本。

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
labels = ["reparameterisation", "score function"]
plt.hist([path, score], 60, range=(-10, 15), histtype="step", label=labels)
plt.axvline(2 * location, color="k", lw=1)
plt.legend()
