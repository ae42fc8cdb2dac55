"""Which certificates are believed is the same on every Python: that of Debian 12, and the stricter one of Debian 13."""

from __future__ import annotations

import dataclasses
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.config import trust
from edge.mqtt.address import BrokerAddress
from edge.mqtt.probe import probe
from edge.mqtt.session import ClientOptions
from provisioning.fleet import site as sites
from provisioning.fleet.records import SiteSettings
from tests.conftest import ROOT
from tests.support.broker import Broker

TLS = (
    "listener {port} 127.0.0.1\nallow_anonymous true\ncafile {folder}/ca.crt\ncertfile {folder}/broker.crt\n"
    "keyfile {folder}/broker.key"
)
CONF = "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=CA:TRUE\n[server]\nsubjectAltName=IP:127.0.0.1\n"


def openssl(*arguments: str, folder: Path) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker whose authority was made as mosquitto-tls(7) says: no keyUsage, and no authorityKeyIdentifier."""
    tmp_path.chmod(0o755)
    (tmp_path / "conf").write_text(CONF)
    key = ("-newkey", "rsa:2048", "-nodes", "-config", "conf")
    openssl(
        "req",
        "-x509",
        *key,
        "-extensions",
        "ca",
        "-subj",
        "/CN=home",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        folder=tmp_path,
    )
    openssl(
        "req", *key, "-subj", "/CN=broker", "-keyout", "broker.key", "-out", "broker.csr", folder=tmp_path
    )
    openssl(
        "x509", "-req", "-in", "broker.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        "-extfile", "conf", "-extensions", "server", "-out", "broker.crt", folder=tmp_path,
    )  # fmt: skip
    (tmp_path / "broker.key").chmod(0o644)
    with Broker(TLS, folder=tmp_path) as found:
        yield found


def lax(made: ssl.SSLContext) -> None:
    """Python up to 3.12."""
    made.verify_flags &= ~(ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)


def strict(made: ssl.SSLContext) -> None:
    """Python 3.13 and later."""
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN


@pytest.fixture(params=[lax, strict], ids=lambda like: like.__name__)
def python(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[ssl.SSLContext], None]:
    """As either Python makes a context by itself."""
    real, like = ssl.create_default_context, request.param

    def made(*arguments: Any, **more: Any) -> ssl.SSLContext:
        context = real(*arguments, **more)
        like(context)
        return context

    monkeypatch.setattr(ssl, "create_default_context", made)
    return like  # type: ignore[no-any-return]


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("authority", ["ca.crt", "broker.crt"])
def test_an_authority_of_ones_own_is_believed(broker: Broker, authority: str) -> None:
    address = BrokerAddress("127.0.0.1", broker.port, tls=True, ca_file=str(broker.folder / authority))
    assert probe(address, ClientOptions("test")).connected is not None


def test_that_authority_is_one_that_strict_mode_refuses(broker: Broker) -> None:
    context = ssl.create_default_context(cafile=str(broker.folder / "ca.crt"))
    strict(context)
    address = BrokerAddress("127.0.0.1", broker.port, tls=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.mqtt.tls.client_context", lambda *_, **__: context)
        found = probe(address, ClientOptions("test"))
    assert found.connected is None
    assert "docs/brokers.md" in found.refused[0].text


@pytest.mark.usefixtures("python")
def test_a_foreign_authority_and_another_name_are_refused(broker: Broker, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "conf").write_text(CONF)
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-config", "conf", "-extensions", "ca", "-subj", "/CN=home",
        "-keyout", "ca.key", "-out", "ca.crt", folder=other,
    )  # fmt: skip
    for host, ca in (("127.0.0.1", other / "ca.crt"), ("localhost", tmp_path / "ca.crt")):
        found = probe(BrokerAddress(host, broker.port, tls=True, ca_file=str(ca)), ClientOptions("test"))
        assert found.refused[0].code in {"broker_certificate_unknown_ca", "broker_certificate_other_host"}


def test_a_site_of_our_own_passes_strict_mode(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    sites.create_site(folder, SiteSettings(name="home", hosts=("127.0.0.1",), port=8883), 30)
    context = trust.client_context(cafile=str(folder / "ca.crt"))
    strict(context)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "broker" / "broker.crt", folder / "broker" / "broker.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert ours.version() is not None
    assert ours.getpeercert()


OWN_TLS = TLS + "\nrequire_certificate true\nuse_identity_as_username true"


@pytest.mark.usefixtures("python")
def test_what_the_page_on_brokers_makes_is_believed_on_both_sides(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "brokers.md").read_text(encoding="utf-8")
    commands = page.partition("## Certificates of your own")[2].partition("```sh\n")[2].partition("```")[0]
    assert "192.168.1.2" in commands
    commands = commands.replace("192.168.1.2", "127.0.0.1")
    subprocess.run(["bash", "-e", "-c", commands], cwd=tmp_path, check=True, capture_output=True)
    with Broker(OWN_TLS, folder=tmp_path) as broker:
        address = BrokerAddress("127.0.0.1", broker.port, tls=True, ca_file=str(tmp_path / "ca.crt"))
        assert probe(address, ClientOptions("test")).connected is None
        own = {
            name: str(tmp_path / f"kitchen.{end}")
            for name, end in (("cert_file", "crt"), ("key_file", "key"))
        }
        assert probe(dataclasses.replace(address, **own), ClientOptions("test")).connected is not None
