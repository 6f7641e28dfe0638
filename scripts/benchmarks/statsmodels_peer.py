"""statsmodels: a table that comes with it, written as a .csv file."""

import sys

import statsmodels.api as sm

if __name__ == "__main__":
    getattr(sm.datasets, sys.argv[1]).load_pandas().data.to_csv(sys.argv[2], index=False)
