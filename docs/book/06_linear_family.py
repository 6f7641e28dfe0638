# title en: PCA, factor analysis, autoencoder, VAE: one family
# title zh: 主成分分析、因子分析、自编码器与 VAE：一个家族

# %% [markdown] en
# Five methods write an example as a few numbers and back. They differ in what they assume of the numbers, of the noise and of the maps:
#
# | | prior of z | map to x | noise | what is fitted |
# | --- | --- | --- | --- | --- |
# | PCA | none | linear, orthogonal | none | squared error |
# | probabilistic PCA | normal | linear | one variance for all pixels | likelihood |
# | factor analysis | normal | linear | a variance for each pixel | likelihood |
# | autoencoder | none | any | none | squared error |
# | VAE | normal | any | any | a bound on the likelihood |
#
# Probabilistic PCA is the middle of the table (Tipping & Bishop, 1999):
#
# $$z \sim \mathcal{N}(0, I), \qquad x = W z + \mu + \epsilon, \quad \epsilon \sim \mathcal{N}(0, \sigma^2 I)$$
#
# With the eigenvalues $\lambda_1 \geq \lambda_2 \geq \dots$ of the covariance of the data and their vectors $U$, the likelihood is greatest at
#
# $$\sigma^2 = \frac{1}{X - D} \sum_{i > D} \lambda_i, \qquad W = U_D (\Lambda_D - \sigma^2 I)^{1/2}$$

# %% [markdown] zh
# 五种方法都把一个样本写成少数几个数，再写回来。它们的区别在于对这些数、噪声和映射的假设：
#
# | | z 的先验 | 到 x 的映射 | 噪声 | 拟合什么 |
# | --- | --- | --- | --- | --- |
# | 主成分分析 | 无 | 线性、正交 | 无 | 平方误差 |
# | 概率主成分分析 | 正态 | 线性 | 所有像素同一方差 | 似然 |
# | 因子分析 | 正态 | 线性 | 每个像素各有方差 | 似然 |
# | 自编码器 | 无 | 任意 | 无 | 平方误差 |
# | VAE | 正态 | 任意 | 任意 | 似然的下界 |
#
# 概率主成分分析居于表的中间（Tipping & Bishop, 1999）：
#
# $$z \sim \mathcal{N}(0, I), \qquad x = W z + \mu + \epsilon, \quad \epsilon \sim \mathcal{N}(0, \sigma^2 I)$$
#
# 设数据协方差的特征值为 $\lambda_1 \geq \lambda_2 \geq \dots$，特征向量为 $U$，则似然最大处是
#
# $$\sigma^2 = \frac{1}{X - D} \sum_{i > D} \lambda_i, \qquad W = U_D (\Lambda_D - \sigma^2 I)^{1/2}$$

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy import linalg, stats
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis

rng = np.random.default_rng(0)
x = load_digits().data / 16
centre = x.mean(0)
x = x - centre
N, X = x.shape
D = 5
values, vectors = np.linalg.eigh(x.T @ x / N)
values, vectors = values[::-1], vectors[:, ::-1]


def evidence_of(weights, noise):
    """Returns the mean of log N(x; 0, W W' + diag(noise)) in nats."""
    covariance = weights @ weights.T + np.diag(np.broadcast_to(noise, X))
    return stats.multivariate_normal.logpdf(x, np.zeros(X), covariance).mean()


noise = values[D:].mean()
weights = vectors[:, :D] * np.sqrt(values[:D] - noise)
evidence = evidence_of(weights, noise)
print(f"PPCA in closed form: {evidence:.3f} nats, scikit-learn: {PCA(D).fit(x).score(x):.3f}")
assert abs(evidence - PCA(D).fit(x).score(x)) < 0.05  # N - 1 there, N here
for _ in range(20):  # the closed form is the best: whatever moves loses
    moved = weights + 0.02 * rng.standard_normal(weights.shape)
    assert evidence_of(moved, noise) < evidence
assert evidence_of(weights, 1.1 * noise) < evidence > evidence_of(weights, 0.9 * noise)

# %% [markdown] en
# **PPCA is a linear VAE.** Its posterior is normal with one covariance for all examples,
#
# $$p(z|x) = \mathcal{N}\left( M^{-1} W^\top x,\; \sigma^2 M^{-1} \right), \qquad M = W^\top W + \sigma^2 I$$
#
# so that an encoder with a linear mean and a constant covariance is exact: the ELBO *is* the evidence. An encoder of independent latents is exact too, because the columns
# of $W$ are orthogonal. Rotate them, $W R$: the evidence stays, and the encoder of independent latents misses something, unless it rotates them back. So a VAE chooses axes
# where PPCA has no choice.

# %% [markdown] zh
# **概率主成分分析是线性 VAE。** 它的后验是正态，对所有样本协方差相同，
#
# $$p(z|x) = \mathcal{N}\left( M^{-1} W^\top x,\; \sigma^2 M^{-1} \right), \qquad M = W^\top W + \sigma^2 I$$
#
# 因此均值线性、协方差固定的编码器是精确的：ELBO **就是**证据。隐变量相互独立的编码器也精确，因为 $W$ 的列正交。
# 把它们旋转为 $W R$：证据不变，而独立隐变量的编码器会有所损失，除非转回去。所以 VAE 会选择坐标轴，而概率主成分分析没有可选的。


# %%
def elbo_of(weights, diagonal):
    """Returns the mean ELBO of the best linear encoder, with all covariances or independent."""
    precision = np.eye(D) + weights.T @ weights / noise
    mean = np.linalg.solve(precision, weights.T @ x.T / noise).T
    spread = np.diag(1 / np.diag(precision)) if diagonal else np.linalg.inv(precision)
    error = ((x - mean @ weights.T) ** 2).sum(1) + np.trace(weights @ spread @ weights.T)
    reconstruction = -0.5 * (error / noise + X * np.log(2 * np.pi * noise))
    kl = 0.5 * (np.trace(spread) + (mean**2).sum(1) - D - np.linalg.slogdet(spread)[1])
    return (reconstruction - kl).mean(), mean, spread


elbo, mean, spread = elbo_of(weights, diagonal=False)
rotation = stats.ortho_group.rvs(D, random_state=1)
turned = weights @ rotation
gaps = {
    "all covariances": evidence - elbo,
    "independent": evidence - elbo_of(weights, True)[0],
    "rotated, all covariances": evidence_of(turned, noise) - elbo_of(turned, False)[0],
    "rotated, independent": evidence_of(turned, noise) - elbo_of(turned, True)[0],
}
print({name: round(float(gap), 6) for name, gap in gaps.items()}, "nats below the evidence")
assert max(list(gaps.values())[:3]) < 1e-6 < 1e-3 < gaps["rotated, independent"]
precision = np.eye(D) + turned.T @ turned / noise
closed = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
assert abs(closed - gaps["rotated, independent"]) < 1e-6

# %% [markdown] en
# **EM finds it without eigenvectors**, and a linear autoencoder finds the same subspace: least squares in turns is EM in the limit $\sigma^2 \to 0$, where the posterior is
# a point. What it finds has no density: rotation, scale and even skew inside the subspace are free, since $W A$ and $A^{-1} z$ reconstruct the same.

# %% [markdown] zh
# **EM 不用特征向量也能找到它**，线性自编码器找到同一个子空间：交替最小二乘就是 $\sigma^2 \to 0$ 极限下的 EM，此时后验是一个点。
# 它找到的没有密度：子空间里的旋转、尺度乃至斜切都是自由的，因为 $W A$ 与 $A^{-1} z$ 重建出同样的结果。

# %%
em, em_noise, climb = rng.standard_normal((X, D)), 1.0, []
for _ in range(60):
    inverse = np.linalg.inv(em.T @ em + em_noise * np.eye(D))
    code = x @ em @ inverse  # E step: means, and one covariance
    second = N * em_noise * inverse + code.T @ code
    em = x.T @ code @ np.linalg.inv(second)  # M step
    rest = (x**2).sum() - 2 * (code * (x @ em)).sum() + np.trace(second @ em.T @ em)
    em_noise = rest / (N * X)
    climb.append(evidence_of(em, em_noise))
print(f"EM: {climb[0]:.2f}, {climb[4]:.2f}, ..., {climb[-1]:.3f} nats; closed form {evidence:.3f}")
assert np.all(np.diff(climb) > -1e-8) and evidence - climb[-1] < 0.05
decoder = rng.standard_normal((X, D))
for _ in range(80):
    code = np.linalg.solve(decoder.T @ decoder, decoder.T @ x.T).T
    decoder = np.linalg.solve(code.T @ code, code.T @ x).T
angle = np.degrees(linalg.subspace_angles(decoder, vectors[:, :D]).max())
print(f"largest angle between the autoencoder's subspace and that of PCA: {angle:.4f} degrees")
assert angle < 1
skew = rng.standard_normal((D, D)) + 3 * np.eye(D)
assert np.allclose(code @ decoder.T, (code @ np.linalg.inv(skew).T) @ (decoder @ skew).T)
squares = ((x - code @ decoder.T) ** 2).sum(1).mean()
assert abs(squares - values[D:].sum()) < 1e-3 * squares  # what PCA leaves over

# %% [markdown] en
# **Factor analysis** gives each pixel a variance of its own. On the digits, whose edges vary less than their middle, that is worth many nats; what PPCA calls noise is an
# average that is wrong for nearly every pixel. A VAE whose decoder has a scale per pixel is factor analysis with bent maps.

# %% [markdown] zh
# **因子分析**让每个像素有自己的方差。手写数字的边缘比中间变化小，因此这值许多纳特；概率主成分分析的噪声是平均值，对几乎每个像素都不对。
# 解码器带有逐像素尺度的 VAE，就是映射弯曲的因子分析。

# %%
varies = x.var(0) > 1e-3  # a pixel that hardly varies has a density without an upper limit
kept = x[:, varies]
factors, plain = FactorAnalysis(D, tol=0.01).fit(kept), PCA(D).fit(kept)
loadings, variances = factors.components_.T, factors.noise_variance_
print(f"{varies.sum()} pixels: factor analysis {factors.score(kept):.2f} nats, "
      f"PPCA {plain.score(kept):.2f}")  # fmt: skip
print(f"variances of the noise: {variances.min():.1e} to {variances.max():.3f}, "
      f"PPCA {plain.noise_variance_:.3f}")  # fmt: skip
assert factors.score(kept) > plain.score(kept) + 1
covariance = loadings @ loadings.T + np.diag(variances)
known = stats.multivariate_normal.logpdf(kept, kept.mean(0), covariance).mean()
assert abs(known - factors.score(kept)) < 1e-6
shown = {name: np.full(X, np.nan) for name in ("FA noise", "PPCA noise")}
shown["FA noise"][varies] = np.log(variances)
shown["PPCA noise"][varies] = np.log(plain.noise_variance_)
limits = {"vmin": np.log(variances.min()), "vmax": np.log(variances.max())}
figure, axes = plt.subplots(1, 7, figsize=(8, 1.6), layout="constrained")
pictures = {f"PC {n + 1}": vectors[:, n] for n in range(5)} | shown
for axis, (title, image) in zip(axes, pictures.items(), strict=True):
    noisy = title in shown
    axis.imshow(image.reshape(8, 8), cmap="viridis" if noisy else "gray", **limits if noisy else {})
    axis.set_title(title, fontsize=8)
    axis.axis("off")

# %% [markdown] en
# **Autoencoder against VAE.** An autoencoder reconstructs better: it has no noise to pay for. Ask both for something new, by decoding $z \sim \mathcal{N}(0, I)$. The
# aggregated posterior of the linear VAE and its covariance,
#
# $$\frac{1}{N} \sum_n q(z|x_n), \qquad \frac{1}{N} \sum_n m_n m_n^\top + \sigma^2 M^{-1} = I,$$
#
# say that it is the prior, so that its samples have the covariance of the data. The codes of the autoencoder have some covariance, which nothing in its training fixes; a standard
# normal code is not one of them. Whitened afterwards, it draws too, without the noise, and then it is PPCA again.

# %% [markdown] zh
# **自编码器与 VAE。** 自编码器重建得更好：它不必为噪声付代价。再让两者生成新样本，即解码 $z \sim \mathcal{N}(0, I)$。线性 VAE 的聚合后验及其协方差
#
# $$\frac{1}{N} \sum_n q(z|x_n), \qquad \frac{1}{N} \sum_n m_n m_n^\top + \sigma^2 M^{-1} = I,$$
#
# 说明它就是先验，因此它的样本具有数据的协方差。自编码器的编码也有某个协方差，但训练并不固定它；标准正态的编码不在其中。
# 事后白化，它也能抽样，只是没有噪声，那又成了概率主成分分析。

# %%
aggregated = mean.T @ mean / N + spread
print("aggregated posterior, largest distance from I:", np.abs(aggregated - np.eye(D)).max())
assert np.allclose(aggregated, np.eye(D), atol=1e-6)
codes = np.cov(code.T)
print("standard deviations of the autoencoder's codes:", np.sqrt(np.diag(codes)).round(2))
assert not np.allclose(codes, np.eye(D), atol=0.2)
own_error = ((x - mean @ weights.T) ** 2).sum(1).mean()
print(f"squared error of a reconstruction: autoencoder {squares:.3f}, VAE {own_error:.3f}")
assert squares < own_error
z = rng.standard_normal((20000, D))
truth = values[0]  # the variance along the first principal axis
first = vectors[:, 0]
along = {
    "VAE": np.var(z @ weights.T @ first) + noise,
    "autoencoder": np.var(z @ decoder.T @ first),
    "autoencoder, whitened": np.var(z @ np.linalg.cholesky(codes).T @ decoder.T @ first),
}
print(
    f"variance along the first axis: data {truth:.2f},", {k: round(v, 2) for k, v in along.items()}
)
assert abs(along["VAE"] / truth - 1) < 0.05 < 0.2 < abs(along["autoencoder"] / truth - 1)
assert abs(along["autoencoder, whitened"] / truth - 1) < 0.05
figure, axes = plt.subplots(3, 8, figsize=(7, 2.9), layout="constrained")
rows = ("digits", x[:8]), ("VAE: samples", z[:8] @ weights.T), ("AE: N(0, I)", z[:8] @ decoder.T)
for line, (title, images) in zip(axes, rows, strict=True):
    for axis, image in zip(line, images, strict=True):
        axis.imshow((image + centre).reshape(8, 8), cmap="gray", vmin=0, vmax=1)
        axis.axis("off")
    line[0].set_title(title, fontsize=8, loc="left")

# %% [markdown] en
# **What bending buys.** On a bent curve in the plane with one latent, a straight line must call the bend noise. A curve, here the exact one, does not; its posterior is no
# longer normal, and the bound of a normal encoder is below the evidence. That is the price at which a VAE leaves this family: chapters 2, 3 and 5 are about it.

# %% [markdown] zh
# **弯曲换来什么。** 平面中的一条弯曲线，只用一个隐变量：直线只好把弯曲算作噪声；曲线（这里用精确的那条）则不必。此时后验不再是正态，正态编码器的下界低于证据。
# 这就是 VAE 离开这个家族的代价：第 2、3、5 章谈的就是它。

# %%
grid = np.linspace(-6, 6, 1201)
bend = np.stack([grid, 0.8 * grid**2 - 0.8], -1)
scale = 0.25
hidden = rng.standard_normal(400)
points = np.stack([hidden, 0.8 * hidden**2 - 0.8], -1) + scale * rng.standard_normal((400, 2))
log_likelihood = stats.norm.logpdf(points[:, None], bend, scale).sum(-1)  # [points, grid]
log_joint = log_likelihood + stats.norm.logpdf(grid)
bent = np.log(np.trapezoid(np.exp(log_joint), grid, axis=1))
straight = PCA(1).fit(points).score_samples(points)
best = np.full(len(points), -np.inf)  # of normal encoders, each the best for its point
for width in np.geomspace(0.05, 1.2, 30):
    for place in np.linspace(-3, 3, 61):
        q = stats.norm.pdf(grid, place, width)
        entropy = 0.5 * np.log(2 * np.pi * np.e * width**2)
        best = np.maximum(best, log_joint @ q * (grid[1] - grid[0]) + entropy)
print(f"straight {straight.mean():.3f}, bent {bent.mean():.3f}, its ELBO {best.mean():.3f} nats")
assert bent.mean() > straight.mean() + 0.3
assert np.all(best < bent + 1e-6) and 0.005 < (bent - best).mean() < 0.5
figure, axis = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
axis.plot(*points.T, ".", ms=3, color="#8a94a0")
seen = np.abs(grid) < 2.6
axis.plot(*bend[seen].T, color="#d1495b", label="bent, one latent")
fit = PCA(1).fit(points)
ends = fit.mean_ + np.array([[-2.5], [2.5]]) * np.sqrt(fit.explained_variance_) * fit.components_
axis.plot(*ends.T, color="#1f77b4", label="PPCA, one latent")
axis.legend()
