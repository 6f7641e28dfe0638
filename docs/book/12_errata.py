# title en: Errata of the tutorials
# title zh: 教程勘误

# %% [markdown] en
# Five public Chinese tutorials stand behind this project. What is wrong in them is shown failing here, and put right. A: a walk-through with PyTorch; B: a
# textbook chapter in translation; C: a note from EM to the VAE; D: a lecture on TensorFlow distributions.
#
# **1, 2 (A).** The formula $\frac{1}{2} \sum (1 + 2 \log \sigma - \mu^2 - \sigma^2)$ is called the KL and added to the loss. It is the *negative* KL: a loss with it rewards
# distance from the prior.

# %% [markdown] zh
# 本项目起于五篇公开的中文教程。其中的错误在这里演示并改正。A：一篇 PyTorch 讲解；B：一章教科书的译文；C：一篇从 EM 到 VAE 的笔记；
# D：一堂关于 TensorFlow 分布的课。
#
# **1、2（A）。** 公式 $\frac{1}{2} \sum (1 + 2 \log \sigma - \mu^2 - \sigma^2)$ 被称为 KL 并加进损失。它是**负的** KL：这样的损失奖励远离先验。

# %% runs: erratum 1, erratum 2
import numpy as np
from scipy import stats

rng = np.random.default_rng(0)
z = np.linspace(-12, 12, 12001)


def kl(mean, scale):
    """Returns KL(N(mean, scale^2) || N(0, 1)) by quadrature."""
    q = stats.norm.pdf(z, mean, scale)
    return np.trapezoid(q * (stats.norm.logpdf(z, mean, scale) - stats.norm.logpdf(z)), z)


mean, scale = 0.8, 0.6
wrong = 0.5 * (1 + 2 * np.log(scale) - mean**2 - scale**2)
right = 0.5 * (scale**2 + mean**2 - 1 - 2 * np.log(scale))
print(f"quadrature {kl(mean, scale):.4f}, theirs {wrong:.4f}, put right {right:.4f}")
assert wrong < 0 and abs(kl(mean, scale) - right) < 1e-6
far = 0.5 * (1 - 9 - 1)  # theirs at mean 3: lower, and so "better", than at the prior
assert far < 0.5 * (1 - 0 - 1)

# %% [markdown] en
# **3 (A).** An average over independent draws is called MCMC. It is plain Monte Carlo: a Markov chain has draws that depend on each other, so the error is larger for the
# same number.

# %% [markdown] zh
# **3（A）。** 对独立样本取平均被称为 MCMC。那只是普通的蒙特卡罗：马尔可夫链的样本彼此相关，样本数相同时误差更大。


# %% runs: erratum 3
def chain(length):
    noise, state, found = rng.standard_normal(length), 0.0, []
    for each in noise:
        state = 0.9 * state + np.sqrt(1 - 0.81) * each
        found.append(state)
    return np.array(found)


plain = np.std([rng.standard_normal(400).mean() for _ in range(100)])
markov = np.std([chain(400).mean() for _ in range(100)])
print(f"error of a mean of 400 draws: independent {plain:.3f}, chain {markov:.3f}")
assert markov > 2 * plain

# %% [markdown] en
# **4, 5 (A).** The constructor calls a class `GaussianMLP` that the text never defines (its name there is `GaussianEncoder`). And $\log y$ of a sigmoid is minus infinity in
# float32 once the logit is below about -104; logits have no such edge.

# %% [markdown] zh
# **4、5（A）。** 构造函数调用了正文从未定义的类 `GaussianMLP`（那里的名字是 `GaussianEncoder`）。另外，float32 中 logit 低于约 -104 时，
# sigmoid 的 $\log y$ 就是负无穷；用 logit 计算没有这个边界。


# %% runs: erratum 4, erratum 5
class GaussianEncoder:
    """Stands for the class that the text defines."""


try:
    GaussianMLP()
except NameError as error:
    print("theirs:", error)
else:
    raise AssertionError
assert GaussianEncoder() is not None
logit = np.float32(-120)
with np.errstate(all="ignore"):
    theirs = np.log(1 / (1 + np.exp(-logit)))
ours = -np.logaddexp(np.float32(0), -logit)
print("log of a sigmoid:", theirs, "from logits:", ours)
assert np.isinf(theirs) and ours == -120

# %% [markdown] en
# **6, 7, 8 (B).** In the first line of 17.7 the integrand lacks the prior: $\int p(x|z)\,dz$ is no evidence. In 17.13 the left side has lost its function $h$. The text at 17.20 has
# a network predict "the mean" where the formula has mean and covariance.

# %% [markdown] zh
# **6、7、8（B）。** 17.7 第一行的被积函数少了先验：$\int p(x|z)\,dz$ 不是证据。17.13 左边丢了函数 $h$。17.20 处的文字说网络预测“均值”，而公式里有均值和协方差。

# %% runs: erratum 6, erratum 7, erratum 8
weight, noise, x = 0.5, 0.4, 0.7
likelihood = stats.norm.pdf(x, weight * z, noise)
truth = stats.norm.pdf(x, 0, np.hypot(weight, noise))
theirs, ours = np.trapezoid(likelihood, z), np.trapezoid(likelihood * stats.norm.pdf(z), z)
print(f"p(x) {truth:.4f}: without the prior {theirs:.4f}, with it {ours:.4f}")
assert abs(theirs - truth) > 0.5 and abs(ours - truth) < 1e-6
y = np.linspace(1e-3, 1, 2001)  # uniform
h = 0.1 * y
without, within = np.log(np.trapezoid(y, y)), np.log(np.trapezoid(h, y))
right_side = np.trapezoid(np.log(h), y)
print(f"17.13: E log h {right_side:.3f}, log E y {without:.3f}, log E h {within:.3f}")
steep = np.trapezoid(np.log(10 * y), y)  # with another h the printed form fails
assert steep > without and within > right_side
one, two = 0.5 * (1 + 0.8**2 - 1), kl(0.8, 0.3)  # scale fixed at 1, scale predicted
posterior = 1 / np.sqrt(1 + weight**2 / noise**2)
gap_mean_only = kl(0.0, 1 / posterior)  # a posterior of scale 1 seen in units of the right one
print(f"a scale that is not predicted costs {gap_mean_only:.3f} nats here")
assert gap_mean_only > 0.05 and one != two

# %% [markdown] en
# **9 (C).** "$\log p(x) = \int q(z) \log p(x|z)\,dz$" is false: without the condition, $\log p(x)$ does not depend on $z$ and comes out of the integral.
#
# **10 (C).** The last KL has $+\log \sigma^2$; the sign is minus. **11 (C).** The KL of two multivariate normals has $\log(\det\Sigma_q / \det\Sigma_p)$, not the inverse.

# %% [markdown] zh
# **9（C）。** “$\log p(x) = \int q(z) \log p(x|z)\,dz$”不成立：去掉条件，$\log p(x)$ 与 $z$ 无关，可以提到积分之外。
#
# **10（C）。** 最后的 KL 写作 $+\log \sigma^2$；符号应为负。**11（C）。** 两个多元正态的 KL 里是 $\log(\det\Sigma_q / \det\Sigma_p)$，不是其倒数。

# %% runs: erratum 9, erratum 10, erratum 11
q = stats.norm.pdf(z, 0.3, 0.5)
theirs = np.trapezoid(q * stats.norm.logpdf(x, weight * z, noise), z)
ours = np.trapezoid(q * np.log(truth), z)
print(f"log p(x) {np.log(truth):.4f}: theirs {theirs:.4f}, put right {ours:.4f}")
assert abs(theirs - np.log(truth)) > 0.05 and abs(ours - np.log(truth)) < 1e-6
plus = 0.5 * (np.log(scale**2) + scale**2 + mean**2 - 1)
minus = 0.5 * (-np.log(scale**2) + scale**2 + mean**2 - 1)
assert abs(plus - kl(mean, scale)) > 0.5 and abs(minus - kl(mean, scale)) < 1e-6
p_cov, q_cov = np.diag([0.5, 2.0]), np.array([[1.0, 0.3], [0.3, 0.4]])
draws = rng.multivariate_normal([0, 0], p_cov, 40000)
ratios = stats.multivariate_normal([0, 0], p_cov).logpdf(draws)
ratios = ratios - stats.multivariate_normal([0, 0], q_cov).logpdf(draws)
rest = np.trace(np.linalg.inv(q_cov) @ p_cov) - 2
determinants = np.log(np.linalg.det(p_cov) / np.linalg.det(q_cov))
theirs, ours = 0.5 * (rest + determinants), 0.5 * (rest - determinants)
print(f"KL of two normals: draws {ratios.mean():.3f}, theirs {theirs:.3f}, put right {ours:.3f}")
error = ratios.std() / 200
assert abs(theirs - ratios.mean()) > 10 * error and abs(ours - ratios.mean()) < 4 * error

# %% [markdown] en
# **12 (C).** The function for the KL term of the loss returns $-\mathrm{KL}$: descending it moves the posterior away from the prior.
#
# **13 (C).** Decoded pictures of several draws are averaged and then compared. By Jensen's inequality that is no bound: averaging comes after the logarithm.
#
# **14 (C).** The decoder ends in tanh, with values in (-1, 1), for pictures in [0, 1]: half of its range cannot be right. Match support and likelihood.

# %% [markdown] zh
# **12（C）。** 损失中 KL 项的函数返回 $-\mathrm{KL}$：沿它下降会使后验远离先验。
#
# **13（C）。** 几个样本解码出的图像先取平均再比较。按詹森不等式，那不是下界：取平均应在取对数之后。
#
# **14（C）。** 解码器以 tanh 结尾，取值在 (-1, 1)，而图像在 [0, 1]：它的值域有一半不可能对。支撑集与似然要相配。

# %% runs: erratum 12, erratum 13, erratum 14
place = {"theirs": 0.5, "ours": 0.5}
for _ in range(50):
    place["theirs"] -= 0.1 * -place["theirs"]  # the slope of -KL in the mean
    place["ours"] -= 0.1 * place["ours"]
print("mean of q after 50 steps:", {k: round(v, 3) for k, v in place.items()})
assert abs(place["theirs"]) > 10 and abs(place["ours"]) < 0.01
pictures = np.array([[0.0], [1.0]])  # two draws, decoded; the example is between them
seen, spread = np.array([0.5]), 0.2
averaged = stats.norm.logpdf(seen, pictures.mean(0), spread).sum()
bound = stats.norm.logpdf(seen, pictures, spread).mean()
evidence = np.log(stats.norm.pdf(seen, pictures, spread).mean())
print(f"log p(x) {evidence:.2f}: of the mean picture {averaged:.2f}, mean of logs {bound:.2f}")
assert averaged > evidence + 1 and bound <= evidence + 1e-9
outputs = np.tanh(rng.standard_normal(1000))
assert (outputs < 0).mean() > 0.4 and np.all(1 / (1 + np.exp(-outputs)) > 0)

# %% [markdown] en
# **15 (D).** The lecture says to divide the KL by the number of examples, and its code takes the *mean* over the 784 rows of the weights and does not divide. Both are
# wrong for every N but one: the sum over all weights, over N, is right, and the full-data gradient is then the mean of those of batches.
#
# **16 (D).** `matmul(weights, images)` has shapes that do not fit, and a ReLU on logits cannot say that a class is unlikely. **17 (D).** A softplus without a floor
# underflows, and the KL is infinite.

# %% [markdown] zh
# **15（D）。** 课程说把 KL 除以样本数，代码却对权重的 784 行取**平均**，而没有除。除了某一个 N，两者都不对：应对全部权重求和再除以 N，
# 这样全体数据的梯度才是各批次梯度的平均。
#
# **16（D）。** `matmul(weights, images)` 的形状不相配；对 logit 用 ReLU 就无法表示某个类不可能。**17（D）。** 没有下限的 softplus 会下溢，KL 变为无穷大。

# %% runs: erratum 15, erratum 16, erratum 17
rows, classes, N = 784, 10, 55000
each = kl(0.1, 0.2)
total = rows * classes * each
theirs, ours = classes * each, total / N
print(f"KL in the loss: theirs {theirs:.3f}, put right {ours:.3f} nats per example")
assert theirs / ours > 50
batches = rng.standard_normal((10, 5))
assert np.isclose((batches.mean(1) - ours).mean(), batches.mean() - ours)
weights, images = rng.standard_normal((rows, classes)), rng.random((32, rows))
try:
    weights @ images
except ValueError:
    print("weights @ images:", weights.shape, images.shape, "do not fit")
else:
    raise AssertionError
logits = images @ weights
assert logits.shape == (32, classes)
certain = np.array([5.0, -5.0])
soft = np.exp(np.maximum(certain, 0)) / np.exp(np.maximum(certain, 0)).sum()
assert soft[1] > 50 * np.exp(-10)  # what a ReLU leaves of a class that is all but excluded
raw = np.float32(-120)
scale = np.log1p(np.exp(raw))
with np.errstate(divide="ignore"):
    without, floored = -np.log(scale), -np.log(scale + np.float32(1e-6))
print(f"-log of the scale: without a floor {without}, with one {floored:.1f}")
assert np.isinf(without) and np.isfinite(floored)
