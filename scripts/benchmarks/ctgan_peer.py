"""ctgan: its TVAE or CTGAN, fitted to a .csv file; rows that it draws are another one.

ctgan's licence is the Business Source License 1.1: its source can be read and measured, but is not
free for every use. It is a peer here and no part of this package.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from ctgan import CTGAN, TVAE


def main():
    """Reads, fits, draws, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("drawn")
    parser.add_argument("--model", choices=("TVAE", "CTGAN"))
    parser.add_argument("--classes", default="", help="columns of classes, with commas between")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    np.random.seed(given.seed)  # noqa: NPY002 - what ctgan draws by
    frame = pd.read_csv(given.file, dtype={name: str for name in given.classes.split(",") if name})
    kind = {"TVAE": TVAE, "CTGAN": CTGAN}[given.model]
    model = kind(epochs=given.epochs, enable_gpu=False)
    model.fit(frame, [name for name in given.classes.split(",") if name])
    model.sample(len(frame)).to_csv(given.drawn, index=False)


if __name__ == "__main__":
    main()
