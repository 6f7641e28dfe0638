"""What half precision costs in nats: the VAE of V1 trained in both, from the same weights."""

import numpy as np

EPOCHS, SEEDS, NUM_SAMPLES = 5, (0, 1), 16
PRECISIONS = ("float32", "mixed_bfloat16")
PRECISION_TABLE = (
    "seed | test ELBO, float32 | mixed_bfloat16 | difference, nats",
    "{seed} | {float32:.2f} | {mixed_bfloat16:.2f} | {difference:+.3f} +- {difference_se:.3f}",
)


def _bound(precision: str, seed: int, data, epochs: int) -> np.ndarray:
    """Returns the ELBO of every test image after training."""
    from ours import make_vae

    arrays = {"x": data.train.stored, "y": data.train.labels}
    vae, split = make_vae("P1", arrays, 128, policy=precision, seed=seed, jit_compile=True)
    vae.fit(split, batch_size=128, epochs=epochs, verbose=0)
    return vae.bounds(data.test, NUM_SAMPLES, seed=0).elbo


def measure_precision(data, epochs: int = EPOCHS) -> list[dict]:
    """Returns the test ELBO of both precisions by seed and on average, and how far they are apart.

    Weights, order, binarisation and noise of a seed are the same in both, so the difference is
    taken image by image, which leaves a small standard error.
    """
    import keras

    print(f"\nP1: test ELBO after {epochs} epochs in both precisions", flush=True)
    rows = []
    for seed in SEEDS:
        bounds = {name: _bound(name, seed, data, epochs) for name in PRECISIONS}
        difference = bounds["mixed_bfloat16"].astype(float) - bounds["float32"]
        rows.append(
            {
                "item": "P1",
                "seed": seed,
                **{name: float(elbo.mean()) for name, elbo in bounds.items()},
                "difference": float(difference.mean()),
                "difference_se": float(difference.std(ddof=1) / np.sqrt(len(difference))),
            }
        )
        print(f"  {rows[-1]}", flush=True)
    keras.config.set_dtype_policy("float32")
    mean = {key: float(np.mean([row[key] for row in rows])) for key in (*PRECISIONS, "difference")}
    # Between seeds: what another training would give, not only other images.
    error = np.std([row["difference"] for row in rows], ddof=1) / np.sqrt(len(rows))
    return [*rows, {"item": "P1", "seed": "mean", **mean, "difference_se": float(error)}]
