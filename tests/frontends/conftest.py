"""What the tests of the command line share."""

from collections.abc import Iterator

import pytest

from support.command_line import heddle
from support.stand_in import StandIn


@pytest.fixture
def daemon() -> Iterator[StandIn]:
    """A daemon with answers that the test names."""
    made = StandIn()
    yield made
    made.close()


@pytest.fixture
def real_daemon() -> Iterator[None]:
    """Nothing runs yet; whatever daemon the test starts is ended after it."""
    yield
    heddle("daemon", "stop")
