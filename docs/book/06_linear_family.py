# title en: PCA, factor analysis, autoencoder, VAE: one family
# title zh: 主成分分析、因子分析、自编码器与 VAE：一个家族

# %% [markdown] en
# Five methods write an example $x$ of $X$ pixels as a code $z$ of $D$ numbers, and turn the code into $x$ again. They differ in what they assume of the code, of the noise and of the maps:
#
# | | prior of z | map to x | noise | what is fitted |
# | --- | --- | --- | --- | --- |
# | PCA | none | linear, orthogonal | none | squared error |
# | probabilistic PCA | normal | linear | one variance for all pixels | likelihood |
# | factor analysis | normal | linear | a variance for each pixel | likelihood |
# | autoencoder | none | any | none | squared error |
# | VAE | normal | any | any | a bound on the likelihood |
#
# Probabilistic PCA (PPCA) is the easiest of those that have a likelihood (Tipping & Bishop, 1999). A matrix $W$ and the mean $\mu$ of the data make the picture, and each pixel gets noise of the same variance:
#
# $$z \sim \mathcal{N}(0, I), \qquad x = W z + \mu + \epsilon, \quad \epsilon \sim \mathcal{N}(0, \sigma^2 I)$$
#
# Let $\lambda_1 \geq \lambda_2 \geq \dots$ be the eigenvalues of the covariance of the data, $\Lambda_D$ the diagonal matrix of the first $D$ of them and $U_D$ their eigenvectors, as columns. The likelihood is greatest at
#
# $$\sigma^2 = \frac{1}{X - D} \sum_{i > D} \lambda_i, \qquad W = U_D (\Lambda_D - \sigma^2 I)^{1/2}$$
#
# So the noise is the mean of the variances that are left over. The cell compares this with scikit-learn, and asserts that 20 other matrices and two other noises all have a lower likelihood. All data here have their mean taken off, so $\mu = 0$.

# %% [markdown] zh
# 五种方法都把一个有 $X$ 个像素的样本 $x$ 写成由 $D$ 个数组成的编码 $z$，再由编码变回 $x$。它们的区别在于对编码、噪声和映射的假设：
#
# | | z 的先验 | 到 x 的映射 | 噪声 | 拟合什么 |
# | --- | --- | --- | --- | --- |
# | 主成分分析 | 无 | 线性、正交 | 无 | 平方误差 |
# | 概率主成分分析 | 正态 | 线性 | 所有像素同一方差 | 似然 |
# | 因子分析 | 正态 | 线性 | 每个像素各有方差 | 似然 |
# | 自编码器 | 无 | 任意 | 无 | 平方误差 |
# | VAE | 正态 | 任意 | 任意 | 似然的下界 |
#
# 在有似然的方法中，概率主成分分析（PPCA）最简单（Tipping & Bishop, 1999）。矩阵 $W$ 与数据的均值 $\mu$ 产生图像，每个像素再加上方差相同的噪声：
#
# $$z \sim \mathcal{N}(0, I), \qquad x = W z + \mu + \epsilon, \quad \epsilon \sim \mathcal{N}(0, \sigma^2 I)$$
#
# 设 $\lambda_1 \geq \lambda_2 \geq \dots$ 是数据协方差的特征值，$\Lambda_D$ 是前 $D$ 个组成的对角矩阵，$U_D$ 以它们的特征向量为列。似然最大处是
#
# $$\sigma^2 = \frac{1}{X - D} \sum_{i > D} \lambda_i, \qquad W = U_D (\Lambda_D - \sigma^2 I)^{1/2}$$
#
# 所以噪声就是剩下的各方差的平均。代码与 scikit-learn 比较，并断言另外 20 个矩阵和两种噪声的似然都更低。这里的数据都已减去均值，所以 $\mu = 0$。

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
# so an encoder with a linear mean and one constant covariance is exact: the ELBO *is* the evidence. An encoder of independent latents is exact too, because the columns
# of $W$ are orthogonal, and so $M$ is diagonal. Now rotate them by an orthogonal matrix $R$. The evidence of $W R$ is the same, and PPCA does not care. An encoder of independent latents does: it loses
#
# $$\frac{1}{2} \left( \sum_d \log M_{dd} - \log \det M \right)$$
#
# nats, with the $M$ of $W R$. So a VAE prefers the axes of PCA, where PPCA has no preference.

# %% [markdown] zh
# **概率主成分分析是线性 VAE。** 它的后验是正态，对所有样本协方差相同，
#
# $$p(z|x) = \mathcal{N}\left( M^{-1} W^\top x,\; \sigma^2 M^{-1} \right), \qquad M = W^\top W + \sigma^2 I$$
#
# 因此均值线性、协方差固定的编码器是精确的：ELBO **就是**证据。隐变量相互独立的编码器也精确，因为 $W$ 的列正交，$M$ 是对角的。
# 现在用正交矩阵 $R$ 旋转它们。$W R$ 的证据不变，概率主成分分析无所谓；隐变量独立的编码器却会损失
#
# $$\frac{1}{2} \left( \sum_d \log M_{dd} - \log \det M \right)$$
#
# 纳特，其中 $M$ 由 $W R$ 算出。所以 VAE 偏好主成分分析的坐标轴，而概率主成分分析没有偏好。


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
for name, gap in gaps.items():
    print(f"{name:<25} ELBO below the evidence by {abs(gap):.4f} nats")
assert max(list(gaps.values())[:3]) < 1e-6 < 1e-3 < gaps["rotated, independent"]
M = turned.T @ turned + noise * np.eye(D)
closed = 0.5 * (np.log(np.diag(M)).sum() - np.linalg.slogdet(M)[1])
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
# average that is wrong for nearly every pixel. In the picture are the five axes of PCA and the log of the variance of the noise (dark is small, white was left out as it hardly varies):
# factor analysis has little noise at the edges. A VAE whose decoder has a scale per pixel is factor analysis with bent maps.

# %% [markdown] zh
# **因子分析**让每个像素有自己的方差。手写数字的边缘比中间变化小，因此这值许多纳特；概率主成分分析的噪声是平均值，对几乎每个像素都不对。
# 图中是主成分分析的五个轴，以及噪声方差的对数（暗色为小，白色的像素几乎不变，没有参加）：因子分析在边缘的噪声很小。
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
# **Autoencoder against VAE.** An autoencoder reconstructs better: its code may be as exact as it likes. Ask both for something new, by decoding $z \sim \mathcal{N}(0, I)$. The
# *aggregated posterior* is the mean of $q(z|x_n)$ over all $N$ examples: where the codes lie. With the means $m_n$ of $q(z|x_n)$, its covariance in the linear VAE is
#
# $$\frac{1}{N} \sum_n m_n m_n^\top + \sigma^2 M^{-1} = I,$$
#
# that of the prior. So what is drawn, noise included, varies along the axes of PCA as the data do. The codes of the autoencoder have some covariance, which nothing in its training fixes; here they are tiny,
# and a standard normal code is far outside of them. In the picture its samples are black and white patches. If its codes are given the covariance $I$ afterwards (*whitened*), it draws too, and then it is PPCA
# without the noise. (That the covariances agree does not make the aggregated posterior normal: the linear VAE draws smears, too.)

# %% [markdown] zh
# **自编码器与 VAE。** 自编码器重建得更好：它的编码可以要多精确有多精确。再让两者生成新样本，即解码 $z \sim \mathcal{N}(0, I)$。
# **聚合后验**是 $q(z|x_n)$ 对全部 $N$ 个样本的平均，即编码所在之处。设 $q(z|x_n)$ 的均值为 $m_n$，线性 VAE 聚合后验的协方差是
#
# $$\frac{1}{N} \sum_n m_n m_n^\top + \sigma^2 M^{-1} = I,$$
#
# 与先验的相同。因此连同噪声在内，生成的样本沿主成分轴的变化与数据一样。自编码器的编码也有某个协方差，但训练并不固定它；这里的编码非常小，标准正态的编码远在其外。
# 图中它的样本是黑白的斑块。若事后把编码的协方差变为 $I$（**白化**），它也能抽样，那就成了没有噪声的概率主成分分析。
# （协方差一致，并不表示聚合后验就是正态：线性 VAE 生成的也只是模糊的痕迹。）

# %%
aggregated = mean.T @ mean / N + spread
print(f"aggregated posterior, largest distance from I: {np.abs(aggregated - np.eye(D)).max():.0e}")
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
print(f"variance along the first axis: data {truth:.2f}", end="")
print("".join(f", {name} {value:.2f}" for name, value in along.items()))
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
# **What bending buys.** The points of the picture lie along a bent curve in the plane; one latent says where on it. A straight line must call the bend noise. A curve, here the one that made the points, need not, and
# its evidence is higher. But its posterior is no longer normal, so the bound of the best normal encoder is below its evidence. That is the price at which a VAE leaves this family: chapters 2, 3 and 5 are about it.

# %% [markdown] zh
# **弯曲换来什么。** 图中的点沿平面上的一条弯曲线分布，一个隐变量说明在线上何处。直线只好把弯曲算作噪声；曲线（这里就用产生这些点的那条）则不必，证据也更高。
# 但此时后验不再是正态，最好的正态编码器的下界低于证据。这就是 VAE 离开这个家族的代价：第 2、3、5 章谈的就是它。

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
