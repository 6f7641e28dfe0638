"""Registries: names from the text of files, members that are imported when they are asked for."""

import subprocess
import sys

import pytest

from tfp_vae import peek
from tfp_vae.methods import METHODS
from tfp_vae.registry import Registry


@pytest.fixture
def family():
    """Returns a registry of a room of ours, with toys that are taken back."""
    found = Registry("tfp_vae.methods.weights", "method", first=("vi", "swag"))
    with found.temporary():
        yield found


def _toy(name="Toy"):
    return type(name, (), {})


def test_names_are_those_of_the_files_in_their_order_without_an_import(family):
    names = list(family)
    assert (
        names[:2] == ["vi", "swag"]
        and names[2:] == sorted(names[2:])
        and len(family) == len(METHODS)
    )
    assert "map" in family and "toy" not in family and 3 not in family
    assert family.meanings["swag"] == "SWAG"
    code = (
        "import sys; from tfp_vae import peek; r = peek.registry('objectives.BOUNDS'); "
        "print(list(r)[:1], len(r.meanings) == len(r), 'keras' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == "['elbo'] True False".split()


def test_a_toy_is_found_by_name_and_in_its_group_until_it_is_taken_back(family):
    with family.temporary():
        toy = family.register("toy", "a toy", "toys")(_toy())
        assert family["toy"] is toy and family.meanings["toy"] == "a toy"
        assert family.group("toys") == ("toy",) and "toy" not in family.group()
        assert family.register("toy", "another")(_toy())  # the same class, from a reloaded module
        with pytest.raises(ValueError, match=r"two of the name 'toy'.*Expected.*method.*Received"):
            family.register("toy")(_toy("Other"))
    assert "toy" not in family and len(family) == len(METHODS) and family.group("toys") == ()


def test_a_room_inside_a_room_has_members_of_its_own():
    bounds, gradients = (peek.names(f"objectives.{x}") for x in ("BOUNDS", "gradients.GRADIENTS"))
    assert {"elbo", "iwae"} <= set(bounds) and {"path", "dreg"} <= set(gradients)
    assert not set(bounds) & set(gradients)


def test_an_unknown_name_is_refused_with_the_nearest(family):
    assert family.check("laplace") == "laplace"
    with pytest.raises(ValueError, match=r"Unknown method.*vi, swag.*'laplac'.*Did you mean lapla"):
        family["laplac"]


def test_what_is_no_registry_is_not_peeked_at_as_one():
    with pytest.raises(LookupError, match=r"networks.ACTIVATIONS is not a registry.*Expected one"):
        peek.registry("networks.ACTIVATIONS")
    with pytest.raises(LookupError, match=r"has no NOTHING"):
        peek.registry("objectives.NOTHING")
