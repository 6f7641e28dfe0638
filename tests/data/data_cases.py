"""What the tests of data expect of errors and of loaded data."""

import re

import pytest

SPLITS = ("train", "validation", "test")


def refused(*words, error=ValueError):
    """Expects an error made to the mould, in one line, that says all `words`."""
    said = "".join(f"(?=.*{re.escape(str(word))})" for word in words)
    return pytest.raises(error, match=f"^{said}.*Expected.*Received.*$")


def splits_of(loaded):
    return [getattr(loaded, name) for name in SPLITS]


def sizes(loaded):
    return tuple(len(split) for split in splits_of(loaded))
