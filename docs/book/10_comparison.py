# title en: Comparing both families
# title zh: 比较两个家族
# all_only: it trains two models, which the tests of both families do too

# %% [markdown] en
# A comparison is fair when the data, the size and the question are the same. The question here: which digit $y$ is in the picture $x$? A Bayesian network (chapter 9) answers with $p(y|x)$ itself. A *generative classifier*
# models the pictures of each class, $p(x|y)$, and turns round by Bayes' rule,
#
# $$p(y|x) = \frac{p(x|y)\,p(y)}{\sum_k p(x|k)\,p(k)}$$
#
# where the sum goes over all classes $k$. A VAE can be such a model. The size is the number of parameters that are fitted, which is printed.

# %% [markdown] zh
# 数据、规模与问题都相同，比较才公平。这里的问题是：图像 $x$ 里是哪个数字 $y$？贝叶斯网络（第 9 章）直接用 $p(y|x)$ 回答。**生成式分类器**为每一类的图像建模 $p(x|y)$，再用贝叶斯规则反推类别，
#
# $$p(y|x) = \frac{p(x|y)\,p(y)}{\sum_k p(x|k)\,p(k)}$$
#
# 其中求和遍历所有类别 $k$。VAE 就可以充当这样的模型。规模是拟合的参数个数，代码会打印出来。

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import tfp_vae as tv

keras.utils.set_random_seed(0)
data = tv.data.load("digits", kind="unit_interval")
labels, given = np.asarray(data.test.labels), np.asarray(data.train.labels)
rng = np.random.default_rng(0)  # pixels that are always 0 have no density, so all get some noise
x, test = (each.values().reshape(-1, 64) for each in (data.train, data.test))
x, test = (np.float32(each + rng.normal(0, 0.1, each.shape)) for each in (x, test))
dense = tv.layers.DenseLocalReparameterization
bnn = tv.BayesianNetwork(
    keras.Sequential([dense(64, "relu"), dense(10)]),
    tv.likelihoods.Categorical(10),
)
bnn.compile(optimizer=keras.optimizers.Adam(1e-2))
bnn.fit(x, given, epochs=30, verbose=0)
network = np.asarray(bnn.predictive(test, num_samples=20).probs)
print(f"network: {bnn.count_params()} numbers, accuracy {np.mean(network.argmax(1) == labels):.3f}")

# %% [markdown] en
# The generative classifier here is simple: for each class a probabilistic PCA, a linear VAE whose evidence is known (chapter 6).
#
# Both are scored by the negative log-likelihood (NLL): minus the log of the probability that was given to the right class, 0 at best. Their difference has an error, as the test examples are a sample. Since both see the *same* examples, the
# error is that of the mean of the differences. Take a difference for real if it is larger than two errors. In the picture each test example counts once: right of 0 the network has lost more
# nats. The few far to the left are digits on which the generative classifier is sure and wrong. They hardly matter for the accuracy, and for the NLL they matter most.

# %% [markdown] zh
# 这里的生成式分类器很简单：每个类一个概率主成分分析，即证据已知的线性 VAE（第 6 章）。
#
# 两者都按负对数似然（NLL）评分：给正确类别的概率取对数再取负，最好为 0。测试样本只是一次抽样，所以两者之差有误差。两者看的是**相同**的样本，
# 误差就是各样本之差的平均的误差。差值大于两倍误差，才可以当真。图中每个测试样本计一次：在 0 右边，网络损失的纳特更多。
# 远在左边的少数几个，是生成式分类器很有把握却答错的数字。它们对准确率几乎没有影响，对 NLL 的影响却最大。

# %%
from scipy.special import softmax
from sklearn.decomposition import PCA

log_p = np.stack([PCA(8).fit(x[given == k]).score_samples(test) for k in range(10)], 1)
generative = softmax(log_p + np.log(np.bincount(given) / len(given)), 1)
size = 10 * (8 * 64 + 64 + 1)  # W, the mean and the noise of each class
print(f"generative: {size} numbers, accuracy {np.mean(generative.argmax(1) == labels):.3f}")
rows = np.arange(len(labels))
loss = {
    name: -np.log(np.maximum(probs[rows, labels], 1e-12))
    for name, probs in (("network", network), ("generative", generative))
}
difference = loss["network"] - loss["generative"]
error = difference.std() / np.sqrt(len(difference))
print(f"NLL: network {loss['network'].mean():.3f}, generative {loss['generative'].mean():.3f}")
verdict = "counts" if abs(difference.mean()) > 2 * error else "does not count"
print(f"difference {difference.mean():.3f} +- {error:.3f} nats on the same examples: it {verdict}")
accuracies = [np.mean(each.argmax(1) == labels) for each in (network, generative)]
assert min(accuracies) > 0.9 and np.allclose(network.sum(1), 1, atol=1e-4)
assert 0.5 < size / bnn.count_params() < 2 and difference.min() < -5  # sure and wrong
plt.hist(difference, 40, log=True)
plt.xlabel("NLL of the network less that of the generative classifier, nats")
plt.ylabel("examples")

# %% [markdown] en
# `tfp-vae compare` asks more (calibration, corruptions, inputs from elsewhere, few labels, missing pixels, cost) and looks at all pairs of models together.

# %% [markdown] zh
# `tfp-vae compare` 问得更多（校准、图像损坏、分布外（OOD）输入、少量标签、缺失像素、代价），并同时考察所有模型配对。
