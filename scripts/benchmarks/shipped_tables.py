"""Tables that come with packages, one of them written as a .csv file."""

import sys


def table(name):
    """Returns a table as a frame: penguins of palmerpenguins, the others of statsmodels."""
    if name == "penguins":
        from palmerpenguins import load_penguins

        return load_penguins()
    import statsmodels.api as sm

    return getattr(sm.datasets, name).load_pandas().data


if __name__ == "__main__":
    table(sys.argv[1]).to_csv(sys.argv[2], index=False)
