"""What the tests of hostile files start from."""

import pytest
from hostile_cases import members


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Returns the members of a good file."""
    return members(tmp_path_factory.mktemp("good"))


@pytest.fixture
def marker(tmp_path):
    """Returns the file that a payload would leave, and checks that none did."""
    marker = tmp_path / "ran"
    yield marker
    assert not marker.exists(), "the payload ran"
