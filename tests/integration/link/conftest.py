import pytest

from tests.integration.link.parts import EarClient, LinkProcess, Subscriber, until


@pytest.fixture
def link(tmp_path, broker):
    """A link for the node `kitchen`, connected to the broker."""
    with LinkProcess(tmp_path, broker.port) as running:
        until(lambda: "connected to" in running.log)
        yield running


@pytest.fixture
def ear(link):
    with EarClient(link.socket) as client:
        until(lambda: "the ear is connected" in link.log)
        yield client


@pytest.fixture
def subscriber(broker):
    with Subscriber(broker.port) as client:
        yield client
