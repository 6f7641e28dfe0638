"""pyod: its VAE or AutoEncoder, fitted to rows of an .npz file; scores of others are an .npy."""

import argparse

import numpy as np
import torch


def main():
    """Reads, fits, scores, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="an .npz of train [N, D] and rows [n, D]")
    parser.add_argument("scores")
    parser.add_argument("--model", choices=("VAE", "AutoEncoder"))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.model == "VAE":
        from pyod.models.vae import VAE as Model
    else:
        from pyod.models.auto_encoder import AutoEncoder as Model
    with np.load(given.file) as arrays:
        train, rows = arrays["train"], arrays["rows"]
    model = Model(
        epoch_num=given.epochs, batch_size=min(32, len(train)), random_state=given.seed, verbose=0
    )
    np.save(given.scores, model.fit(train).decision_function(rows))


if __name__ == "__main__":
    main()
