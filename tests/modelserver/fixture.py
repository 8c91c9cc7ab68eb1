"""The fixture `model_server`; the conftest takes it by importing it."""

from collections.abc import Iterator

import pytest

from .server import ModelServer


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A model server on a free loopback port, closed with the test, whatever still waits in it."""
    with ModelServer() as server:
        yield server
