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
# **3 (A).** The average over draws of $q(z|x)$ that stands for the expectation is called MCMC. It is plain Monte Carlo: the draws are independent. A Markov chain is for
# what cannot be drawn from directly, such as $p(z|x)$, of which only $p(z)\,p(x|z)$ is known; its draws depend on each other, and the same number of them says less. The
# cell runs both on $z \sim \mathcal{N}(0, 1)$, $x|z \sim \mathcal{N}(z, 1)$ at $x = 2$, where $p(z|x) = \mathcal{N}(1, 1/2)$.

# %% [markdown] zh
# **3（A）。** 用 $q(z|x)$ 的样本平均代替期望，被称为 MCMC。那只是普通的蒙特卡罗：样本彼此独立。马尔可夫链用于无法直接抽样的分布，例如只知道 $p(z)\,p(x|z)$ 的 $p(z|x)$；
# 它的样本彼此相关，同样多的样本说明的更少。这里在 $z \sim \mathcal{N}(0, 1)$、$x|z \sim \mathcal{N}(z, 1)$、$x = 2$ 上运行两者，此时 $p(z|x) = \mathcal{N}(1, 1/2)$。


# %% runs: erratum 3
def metropolis(length, x=2.0, width=0.7):
    """Returns a chain for p(z|x), which asks for p(z) p(x|z) alone."""
    steps, levels = width * rng.standard_normal(length), np.log(rng.random(length))
    state, found = 1.0, []
    known = -0.5 * state**2 - 0.5 * (x - state) ** 2
    for step, level in zip(steps, levels, strict=True):
        moved = state + step
        value = -0.5 * moved**2 - 0.5 * (x - moved) ** 2
        if level < value - known:
            state, known = moved, value
        found.append(state)
    return np.array(found)


def lag_one(draws):
    """Returns the correlation of a draw with the one before it."""
    return np.corrcoef(draws[:-1], draws[1:])[0, 1]


def their_average(length):
    """Returns the draws that the tutorial averages over: those of q(z|x) itself."""
    return 1.0 + np.sqrt(0.5) * rng.standard_normal(length)


walk, independent = metropolis(40000), their_average(40000)
print(f"correlation of neighbours: theirs {lag_one(independent):.3f}, a chain {lag_one(walk):.3f}")
assert abs(lag_one(independent)) < 0.03  # nothing in it is a chain
assert lag_one(walk) > 0.7 and abs(walk.mean() - 1) < 0.05 and abs(walk.var() - 0.5) < 0.05
blocks = {"independent": independent.reshape(100, 400), "chain": walk.reshape(100, 400)}
errors = {name: block.mean(axis=1).std() for name, block in blocks.items()}
print("error of a mean of 400 draws:", {k: round(float(v), 4) for k, v in errors.items()})
assert abs(errors["independent"] / np.sqrt(0.5 / 400) - 1) < 0.3  # sd / sqrt(n), as of independent
assert errors["chain"] > 2 * errors["independent"]

# %% [markdown] en
# **4 (A).** The constructor of the VAE calls a class `GaussianMLP` that the text never defines; its encoder is called `GaussianEncoder` there. Python looks a name up
# when the line runs, so that the class definition passes and every attempt to build a model fails. Put right, the model is built, its encoder gives a mean and a scale
# per example, and the ELBO of its draws is that of quadrature.
#
# **18 (A).** Training is written as $\mathrm{argmin}_{\phi, \theta}\, \mathrm{KL}(q_\phi(z|x) \,\|\, p_\theta(z|x))$, and $\log p_\theta(x)$ is then dropped as a constant. It is one for the encoder's $\phi$, but not for
# the model's $\theta$: that is what learns from it. The cell has a model of one weight, $x|z \sim \mathcal{N}(w z, 1)$, and data made with $w = 2$. With the best encoder the KL is 0 whatever $w$ is, and
# says nothing about it. The ELBO is greatest at the right $w$.
#
# **5 (A).** $\log y$ of a sigmoid is minus infinity in float32 once the logit is below about -104; logits have no such edge.

# %% [markdown] zh
# **4（A）。** VAE 的构造函数调用了正文从未定义的类 `GaussianMLP`；那里的编码器名为 `GaussianEncoder`。Python 在执行到那一行时才查找名字，
# 所以类的定义可以通过，而每次建立模型都会失败。改正之后模型可以建立，编码器为每个样本给出均值和尺度，抽样得到的 ELBO 与数值积分一致。
#
# **18（A）。** 训练被写成 $\mathrm{argmin}_{\phi, \theta}\, \mathrm{KL}(q_\phi(z|x) \,\|\, p_\theta(z|x))$，随后把 $\log p_\theta(x)$ 当作常数略去。它对编码器的 $\phi$ 是常数，对模型的 $\theta$ 却不是：
# $\theta$ 正是靠它学习的。代码用只有一个权重的模型 $x|z \sim \mathcal{N}(w z, 1)$，数据由 $w = 2$ 产生。用最好的编码器，无论 $w$ 是多少，KL 都为 0，对它毫无说明；
# ELBO 则在正确的 $w$ 处最大。
#
# **5（A）。** float32 中 logit 低于约 -104 时，sigmoid 的 $\log y$ 就是负无穷；用 logit 计算没有这个边界。


# %% runs: erratum 4, erratum 5, erratum 18
class GaussianEncoder:
    """q(z|x) with a mean and the logarithm of a scale, both linear in x."""

    def __init__(self, latents, inputs):
        self.weights = 0.3 * rng.standard_normal((inputs, 2 * latents))

    def __call__(self, x):
        mean, log_scale = np.split(x @ self.weights, 2, axis=-1)
        return mean, np.exp(log_scale)


class TheirVAE:
    """Its constructor, with the name that stands there."""

    def __init__(self, latents, inputs):
        self.encoder = GaussianMLP(latents, inputs)  # noqa: F821


class VAE(TheirVAE):
    """The constructor with the name that is defined, and one pass."""

    def __init__(self, latents, inputs):
        self.encoder = GaussianEncoder(latents, inputs)

    def elbo(self, x, noise):
        means, scales = self.encoder(x)
        latents = means + scales * noise  # [draws, examples, 1]
        fit = stats.norm.logpdf(x[:, 0], latents[..., 0], 1.0).mean(axis=0)
        return fit - 0.5 * (scales**2 + means**2 - 1 - 2 * np.log(scales)).sum(axis=-1)


try:
    TheirVAE(1, 2)
except NameError as error:
    print("theirs:", error)
else:
    raise AssertionError
model, examples = VAE(1, 2), rng.standard_normal((5, 2))
means, scales = model.encoder(examples)
assert means.shape == scales.shape == (5, 1) and np.all(scales > 0)
drawn = model.elbo(examples, rng.standard_normal((20000, 5, 1)))
known = []
for value, centre, width in zip(examples[:, 0], means[:, 0], scales[:, 0], strict=True):
    density = stats.norm.pdf(z, centre, width)
    joint = stats.norm.logpdf(z) + stats.norm.logpdf(value, z, 1.0)
    known.append(np.trapezoid(density * (joint - stats.norm.logpdf(z, centre, width)), z))
print("ELBO of draws:", drawn.round(2), "by quadrature:", np.round(known, 2))
assert np.allclose(drawn, known, atol=0.1)
slopes, made = np.array([0.0, 1.0, 2.0, 3.0]), np.sqrt(5.0) * rng.standard_normal((500, 1))
line, kls, elbos = np.linspace(-12, 12, 1201), [], []
for slope in slopes:
    joint = stats.norm.logpdf(line) + stats.norm.logpdf(made, slope * line, 1.0)
    log_p = np.log(np.trapezoid(np.exp(joint), line, axis=1))
    log_q = stats.norm.logpdf(line, slope * made / (1 + slope**2), 1 / np.sqrt(1 + slope**2))
    q = np.exp(log_q)
    kls.append(np.trapezoid(q * (log_q - joint + log_p[:, None]), line, axis=1).mean())
    elbos.append(np.trapezoid(q * (joint - log_q), line, axis=1).mean())
print(f"w {slopes}: KL {np.abs(kls).round(3)}, ELBO {np.round(elbos, 3)}")
assert np.max(np.abs(kls)) < 1e-3 and slopes[np.argmax(elbos)] == 2.0
logit = np.float32(-120)
with np.errstate(all="ignore"):
    theirs = np.log(1 / (1 + np.exp(-logit)))
ours = -np.logaddexp(np.float32(0), -logit)
print("log of a sigmoid:", theirs, "from logits:", ours)
assert np.isinf(theirs) and ours == -120

# %% [markdown] en
# **6, 7, 8 (B).** In the first line of 17.7 the integrand lacks the prior: $\int p(x|z)\,dz$ is no evidence. In 17.13 the left side has lost its function $h$. The text at 17.20 has
# a network predict "the mean" where the formula has mean and covariance: a scale that no network
# predicts is the same for every example, and the bound is lower for all where $p(z|x)$ is wider or narrower than that. The last part of the cell has
# $x|z \sim \mathcal{N}(e^z, 0.3^2)$, where a large $x$ says exactly what $z$ was and a small one does not.

# %% [markdown] zh
# **6、7、8（B）。** 17.7 第一行的被积函数少了先验：$\int p(x|z)\,dz$ 不是证据。17.13 左边丢了函数 $h$。17.20 处的文字说网络预测“均值”，而公式里有均值和协方差：
# 不由网络预测的尺度对每个样本都一样，凡是 $p(z|x)$ 更宽或更窄之处，下界都更低。最后一部分用 $x|z \sim \mathcal{N}(e^z, 0.3^2)$：
# 大的 $x$ 几乎完全确定 $z$；小的则不然。

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
x_bent, line = np.array([0.1, 0.5, 1.0, 3.0, 6.0]), np.linspace(-6, 4, 4001)
log_joint = stats.norm.logpdf(line) + stats.norm.logpdf(x_bent[:, None], np.exp(line), 0.3)
log_p = np.log(np.trapezoid(np.exp(log_joint), line, axis=1))
widths = np.geomspace(0.02, 1.5, 60)
best = np.full((len(x_bent), len(widths)), -np.inf)  # ELBO of the best mean for each scale
for at, width in enumerate(widths):
    for middle in np.linspace(-3.0, 2.0, 101):
        q = stats.norm.pdf(line, middle, width)
        fit = np.trapezoid(q * log_joint, line, axis=1)
        best[:, at] = np.maximum(best[:, at], fit + np.log(width) + 0.5 * np.log(2 * np.pi * np.e))
own = log_p - best.max(axis=1)
shared = log_p - best[:, best.mean(axis=0).argmax()]
right = widths[best.argmax(axis=1)]
print("best scale of q for each x:", right.round(2))
print(f"nats missed: scale per example {own.mean():.3f}, one scale for all {shared.mean():.3f}")
assert np.all(own > -1e-3) and shared.mean() > own.mean() + 0.2
assert right.max() > 5 * right.min()  # one number cannot be right for all
a, b = np.polyfit(x_bent[1:3], right[1:3] ** 2, 1)  # a variance that is linear in x
assert a * 6 + b < 0 < np.logaddexp(0, a * 6 + b)  # is negative elsewhere: a positive transform

# %% [markdown] en
# **9 (C).** "$\log p(x) = \int q(z) \log p(x|z)\,dz$" is false: without the condition, $\log p(x)$ does not depend on $z$ and comes out of the integral. The line before it has
# $\int p(x|z)\,q(z)\,dz$ for $p(x)$, with $q$ where the prior belongs.
#
# **10 (C).** The last KL has $+\log \sigma^2$; the sign is minus. **11 (C).** The KL of two multivariate normals has $\log(\det\Sigma_q / \det\Sigma_p)$, not the inverse.

# %% [markdown] zh
# **9（C）。** “$\log p(x) = \int q(z) \log p(x|z)\,dz$”不成立：去掉条件，$\log p(x)$ 与 $z$ 无关，可以提到积分之外。它的上一行以 $\int p(x|z)\,q(z)\,dz$ 表示 $p(x)$，
# 在该用先验的地方用了 $q$。
#
# **10（C）。** 最后的 KL 写作 $+\log \sigma^2$；符号应为负。**11（C）。** 两个多元正态的 KL 里是 $\log(\det\Sigma_q / \det\Sigma_p)$，不是其倒数。

# %% runs: erratum 9, erratum 10, erratum 11
q = stats.norm.pdf(z, 0.3, 0.5)
theirs = np.trapezoid(q * stats.norm.logpdf(x, weight * z, noise), z)
ours = np.trapezoid(q * np.log(truth), z)
print(f"log p(x) {np.log(truth):.4f}: theirs {theirs:.4f}, put right {ours:.4f}")
assert abs(theirs - np.log(truth)) > 0.05 and abs(ours - np.log(truth)) < 1e-6
under_q = np.trapezoid(q * stats.norm.pdf(x, weight * z, noise), z)
print(f"p(x) {truth:.4f}: with q in the place of the prior {under_q:.4f}")
assert abs(under_q - truth) > 0.05
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
# **14 (C).** The decoder ends in tanh, with values in (-1, 1), for pictures in [0, 1]: half of its range cannot be right. There the cross-entropy has no value, and with
# squared errors black, which most pixels are, is where tanh is steepest: what comes into it with an error goes out with it. A sigmoid is flat there. Match support and
# likelihood.

# %% [markdown] zh
# **12（C）。** 损失中 KL 项的函数返回 $-\mathrm{KL}$：沿它下降会使后验远离先验。
#
# **13（C）。** 几个样本解码出的图像先取平均再比较。按詹森不等式，那不是下界：取平均应在取对数之后。
#
# **14（C）。** 解码器以 tanh 结尾，取值在 (-1, 1)，而图像在 [0, 1]：它的值域有一半不可能对。那里交叉熵没有值；
# 用平方误差时，多数像素是黑的，而 0 正是 tanh 最陡之处：输入的误差原样输出；sigmoid 在那里是平的。支撑集与似然要相配。

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
black = np.zeros(4000)
error = 0.3 * rng.standard_normal(4000)  # of what comes into the last function
theirs, ours = np.tanh(np.arctanh(black) + error), 1 / (1 + np.exp(-(-6.0 + error)))
with np.errstate(invalid="ignore"):
    entropy = -np.log1p(-theirs), -(1.0 * np.log(theirs))  # of a black and of a white pixel
print(f"black pixels below 0: {np.mean(theirs < 0):.2f}, without a cross-entropy of a white one: "
      f"{np.mean(~np.isfinite(entropy[1])):.2f}")  # fmt: skip
assert abs(np.mean(theirs < 0) - 0.5) < 0.05 and np.mean(np.isnan(entropy[1])) > 0.4
assert np.min(entropy[0]) < 0  # a "cross-entropy" below that of a perfect prediction
rms = [np.sqrt(np.mean((each - black) ** 2)) for each in (theirs, ours)]
print(f"error of a black pixel: tanh {rms[0]:.4f}, sigmoid {rms[1]:.4f}")
assert rms[0] > 50 * rms[1] and np.all((ours > 0) & (ours < 1))
logits = -6.0 + error
right = np.logaddexp(0, logits)  # cross-entropy of black from logits
assert np.all(np.isfinite(right)) and np.all(right > 0) and np.allclose(right, -np.log1p(-ours))

# %% [markdown] en
# **15 (D).** The lecture says to divide the KL by the number of examples $N$, and its code takes the *mean* over the 784 rows of the weights instead. So the sum over all weights is divided by 784, which is right
# only for $N = 784$. The posterior then is as wide after a million examples as after a few. The cell has one weight, the mean of $N$ numbers with variance 1 and the prior $\mathcal{N}(0, 1)$: its
# variance is $1 / (N + 1)$.
#
# **16 (D).** `matmul(weights, images)` has shapes that do not fit, and a ReLU on logits cannot say that a class is unlikely. **17 (D).** A softplus without a floor
# underflows, and the KL is infinite.

# %% [markdown] zh
# **15（D）。** 课程说把 KL 除以样本数 $N$，代码却对权重的 784 行取**平均**。于是对全部权重的和除以了 784，只有 $N = 784$ 时才对。
# 这样，看过一百万个样本的后验与只看过几个样本的一样宽。代码用一个权重，即方差为 1 的 $N$ 个数的均值，先验为 $\mathcal{N}(0, 1)$：它的方差是 $1 / (N + 1)$。
#
# **16（D）。** `matmul(weights, images)` 的形状不相配；对 logit 用 ReLU 就无法表示某个类不可能。**17（D）。** 没有下限的 softplus 会下溢，KL 变为无穷大。

# %% runs: erratum 15, erratum 16, erratum 17
rows, classes, N = 784, 10, 55000
each = kl(0.1, 0.2)
total = rows * classes * each
theirs, ours = classes * each, total / N
print(f"KL in the loss: theirs {theirs:.3f}, put right {ours:.3f} nats per example")
assert theirs / ours > 50
variances = np.geomspace(1e-6, 1, 20001)  # of q, with the parts of the loss that depend on it
for count in (50, 784, 55000):
    likelihood, divergence = 0.5 * variances, 0.5 * (variances - np.log(variances))
    by_784, by_n = (variances[np.argmin(likelihood + divergence / c)] for c in (rows, count))
    print(f"N {count}: variance {1 / (count + 1):.1e}, theirs {by_784:.1e}, put right {by_n:.1e}")
    assert np.isclose(by_n, 1 / (count + 1), rtol=1e-2)
    assert np.isclose(by_784, by_n, rtol=1e-2) == (count == rows)
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
