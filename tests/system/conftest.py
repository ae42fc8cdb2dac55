"""What all integration tests share."""

import pytest

from tests.support.broker import Broker


@pytest.fixture
def broker(tmp_path_factory):
    """A mosquitto that lets anybody in, for one test."""
    with Broker(folder=tmp_path_factory.mktemp("broker")) as running:
        yield running
