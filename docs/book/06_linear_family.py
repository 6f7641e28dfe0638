# title en: PCA, factor analysis, autoencoder, VAE: one family
# title zh: 主成分分析、因子分析、自编码器与 VAE：一个家族

# %% [markdown] en
# An autoencoder with linear maps and squared errors spans the principal subspace. Probabilistic PCA adds a prior and round noise,
#
# $$z \sim \mathcal{N}(0, I), \qquad x = W z + \mu + \epsilon, \quad \epsilon \sim \mathcal{N}(0, \sigma^2 I)$$
#
# factor analysis gives each pixel its own noise, and a VAE bends the maps. A linear VAE reaches the evidence of PPCA exactly: its posterior is in the family.

# %% [markdown] zh
# 用线性映射和平方误差的自编码器张成主子空间。概率主成分分析加上先验和球形噪声，
#
# $$z \sim \mathcal{N}(0, I), \qquad x = W z + \mu + \epsilon, \quad \epsilon \sim \mathcal{N}(0, \sigma^2 I)$$
#
# 因子分析让每个像素有自己的噪声，VAE 则让映射弯曲。线性 VAE 恰好达到 PPCA 的证据：它的后验就在所用的族里。

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy import linalg, stats
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis

x = load_digits().data / 16
x = x - x.mean(0)
D = 5
values, vectors = np.linalg.eigh(x.T @ x / len(x))
values, vectors = values[::-1], vectors[:, ::-1]
noise = values[D:].mean()  # the closed form of sigma^2
weights = vectors[:, :D] * np.sqrt(values[:D] - noise)
covariance = weights @ weights.T + noise * np.eye(x.shape[1])
evidence = stats.multivariate_normal.logpdf(x, np.zeros(64), covariance).mean()
print(f"PPCA: {evidence:.3f} nats, scikit-learn: {PCA(D).fit(x).score(x):.3f}")
precision = np.eye(D) + weights.T @ weights / noise
mean = np.linalg.solve(precision, weights.T @ x.T / noise).T  # of q(z|x)
spread = np.linalg.inv(precision)
error = ((x - mean @ weights.T) ** 2).sum(1) + np.trace(weights @ spread @ weights.T)
reconstruction = -0.5 * (error / noise + 64 * np.log(2 * np.pi * noise))
kl = 0.5 * (np.trace(spread) + (mean**2).sum(1) - D - np.linalg.slogdet(spread)[1])
print(f"ELBO of the linear VAE with the posterior as encoder: {(reconstruction - kl).mean():.3f}")
assert abs((reconstruction - kl).mean() - evidence) < 1e-6

# %% [markdown] en
# A linear autoencoder, trained by least squares in turns, finds the same subspace but no density: the rotation inside it is free, and so are scales.

# %% [markdown] zh
# 线性自编码器用交替最小二乘训练，找到同一个子空间，却没有密度：子空间里的旋转是自由的，尺度也是。

# %%
rng = np.random.default_rng(0)
decoder = rng.standard_normal((64, D))
for _ in range(80):
    code = np.linalg.solve(decoder.T @ decoder, decoder.T @ x.T)
    decoder = np.linalg.solve(code @ code.T, code @ x).T
angle = np.degrees(linalg.subspace_angles(decoder, vectors[:, :D]).max())
print(f"largest angle between the subspaces: {angle:.4f} degrees")
assert angle < 1
factors = (
    FactorAnalysis(D, tol=1.0, max_iter=60).fit(x + 1e-3 * rng.standard_normal(x.shape)).score(x)
)
print(f"factor analysis: {factors:.1f} nats, as noise of its own suits pixels that hardly vary")
assert factors > evidence
figure, axes = plt.subplots(2, 5, figsize=(7, 3))
for i in range(5):
    axes[0, i].imshow(vectors[:, i].reshape(8, 8), cmap="gray")
    axes[1, i].imshow((mean[i] @ weights.T).reshape(8, 8), cmap="gray")
for axis in axes.flat:
    axis.axis("off")

# %% [markdown] en
# **Autoencoder against VAE.** The code of an autoencoder has no distribution to draw from: a standard normal code is far from those of data. The posterior means of
# the VAE, averaged over all data with their spread, are the prior.

# %% [markdown] zh
# **自编码器与 VAE。** 自编码器的编码没有可供抽样的分布：标准正态的编码离数据的编码很远。VAE 的后验对全部数据取平均，连同其散布，就是先验。

# %%
aggregated = mean.T @ mean / len(x) + spread
print("covariance of the aggregated posterior:\n", aggregated.round(3))
assert np.allclose(aggregated, np.eye(D), atol=1e-6)
assert not np.allclose(np.cov(code), np.eye(D), atol=0.2)
