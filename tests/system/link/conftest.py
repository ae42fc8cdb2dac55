import pytest

from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.site.fleet import Client, FleetSite
from tests.support.waiting import until


@pytest.fixture
def link(tmp_path, broker):
    """A link for the node `kitchen`, connected to the broker."""
    with LinkProcess(tmp_path, broker.port) as running:
        until(lambda: "connected" in running.codes)
        # A command before its subscription is lost.
        until(lambda: "Sending SUBACK to roomtone-kitchen" in broker.log)
        yield running


@pytest.fixture
def ear(link):
    with EarClient(link.socket) as client:
        until(lambda: "ear_connected" in link.codes)
        yield client


@pytest.fixture
def subscriber(broker):
    with Subscriber(broker.port) as client:
        yield client


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """With two devices, of which `study` is the stolen one, and one client of each other role."""
    with FleetSite(tmp_path_factory.mktemp("fleet")) as made:
        for node in ("kitchen", "study"):
            made.join(node)
        for role in ("subscriber", "recorder", "operator"):
            made.join("me", role)
        yield made


@pytest.fixture
def kitchen(site, tmp_path):
    settings = site.settings(site.folder / "device-kitchen")
    with LinkProcess(tmp_path, site.port, settings=settings) as link:
        until(lambda: "connected" in link.codes, what=link.log)
        yield link


@pytest.fixture
def thief(site):
    with Client(site.port, site.folder / "device-study") as client:
        yield client


@pytest.fixture
def operator(site):
    with Client(site.port, site.folder / "operator-me") as client:
        yield client
