# title en: Comparing both families
# title zh: 比较两个家族
# all_only: it trains two models, which the tests of both families do too

# %% [markdown] en
# A comparison is fair when the data, the size and the question are the same, and a difference counts when it is larger than its error on the *same* examples. Here a
# Bayesian network and a generative classifier, which models the pictures of each class and turns round by Bayes' rule,
#
# $$p(y|x) = \frac{p(x|y)\,p(y)}{\sum_k p(x|k)\,p(k)}$$
#
# answer which digit it is.

# %% [markdown] zh
# 数据、规模与问题都相同，比较才公平；差值大于它在**相同**样本上的误差，才算数。这里让贝叶斯网络和一个生成式分类器（为每一类的图像建模，再用贝叶斯规则反推类别）
#
# $$p(y|x) = \frac{p(x|y)\,p(y)}{\sum_k p(x|k)\,p(k)}$$
#
# 回答：这是哪个数字。

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import tfp_vae as tv

keras.utils.set_random_seed(0)
data = tv.data.load("digits", kind="unit_interval")
labels = np.asarray(data.test.labels)
dense = tv.layers.DenseLocalReparameterization
bnn = tv.BayesianNetwork(
    keras.Sequential([keras.layers.Flatten(), dense(64, "relu"), dense(10)]),
    tv.likelihoods.Categorical(10),
)
bnn.compile(optimizer=keras.optimizers.Adam(1e-2))
bnn.fit(data.train, epochs=30, verbose=0)
network = np.asarray(bnn.predictive(data.test, num_samples=20).probs)
print(f"network: accuracy {np.mean(network.argmax(1) == labels):.3f}")

# %% [markdown] en
# The generative classifier here is the smallest there is: for each class a probabilistic PCA, a linear VAE whose evidence is known.

# %% [markdown] zh
# 这里的生成式分类器是最小的一种：每个类一个概率主成分分析，即证据已知的线性 VAE。

# %%
from scipy.special import softmax
from sklearn.decomposition import PCA

x, test = (s.values().reshape(-1, 64) for s in (data.train, data.test))
given = np.asarray(data.train.labels)
rng = np.random.default_rng(0)  # pixels that are always 0 have no density: both get the same noise
x, test = (each + rng.normal(0, 0.1, each.shape) for each in (x, test))
log_p = np.stack([PCA(8).fit(x[given == k]).score_samples(test) for k in range(10)], 1)
generative = softmax(log_p, 1)
print(f"generative: accuracy {np.mean(generative.argmax(1) == labels):.3f}")
rows = np.arange(len(labels))
loss = {
    name: -np.log(np.maximum(probs[rows, labels], 1e-12))
    for name, probs in (("network", network), ("generative", generative))
}
difference = loss["network"] - loss["generative"]
error = difference.std() / np.sqrt(len(difference))
print(f"NLL: network {loss['network'].mean():.3f}, generative {loss['generative'].mean():.3f}")
print(f"difference {difference.mean():.3f} +- {error:.3f} nats on the same examples")
accuracies = [np.mean(each.argmax(1) == labels) for each in (network, generative)]
assert min(accuracies) > 0.9 and np.allclose(network.sum(1), 1, atol=1e-4)
plt.hist(difference, 40)
plt.xlabel("nats")

# %% [markdown] en
# `tfp-vae compare` asks more (calibration, corruptions, inputs from elsewhere, few labels, missing pixels, cost) and looks at all pairs of models together.

# %% [markdown] zh
# `tfp-vae compare` 问得更多（校准、图像损坏、分布外（OOD）输入、少量标签、缺失像素、代价），并同时考察所有模型配对。
