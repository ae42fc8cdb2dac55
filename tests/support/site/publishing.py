"""A site that publishes models, with its hub: real keys, real metadata, and a real HTTPS server that can misbehave."""

from __future__ import annotations

import contextlib
import http.server
import io
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge.cli.main import main
from edge.inference import bundle as bundles
from edge.releases import archive
from edge.releases.metadata import Target
from provisioning.publish import bundle_checks as publish
from provisioning.publish import setup
from provisioning.publish.catalogue import About, Catalogue
from provisioning.publish.hub_repository import HubRepository
from provisioning.publish.signing import sign_targets

PASSPHRASE = b"correct horse"


def ask(_name: str, _is_new: bool) -> bytes:
    return PASSPHRASE


class Site:
    """`now` may be moved; `hub` is the folder that the server serves."""

    def __init__(self, folder: Path, profile: str = "home", url: str = "https://hub.invalid/updates") -> None:
        self.folder = folder
        self.offset = timedelta()
        self.catalogue: Catalogue = setup.init(
            folder / "models", About(profile=profile, url=url), ask, self.now
        )
        self.hub = HubRepository(self.catalogue.hub, self.now, lambda: self.now().timestamp())

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    @property
    def root(self) -> Path:
        """What boxes are shipped with."""
        return self.catalogue.metadata / "1.root.json"

    def publish(self, bundle: Path, data: bytes | None = None, **changes: object) -> Target:
        """Signs without asking whether it is any good, and brings it to the hub."""
        loaded = bundles.load(bundle)
        number = self.catalogue.next_release()
        about = publish.release_of(loaded, number, "stable", **changes)
        return self.sign(about, archive.pack(bundle) if data is None else data)

    def sign(self, about, data: bytes) -> Target:
        signer = setup.targets_signer(self.catalogue, None, ask)
        sign_targets(self.catalogue, signer, put=[(about, data)])
        setup.to_local_hub(self.catalogue)
        return next(t for t in self.catalogue.listed() if t.release.release == about.release)


def commands(folder: Path, url: str, *more: str) -> Callable[..., SimpleNamespace]:
    """`roomtone fleet`, as a user would call it, with keys that were just made; `more` goes to `keys init`."""
    (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")

    def run(*words: str, status: int = 0) -> SimpleNamespace:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = main(["fleet", "--site", str(folder / "site"), *words])
        assert found == status, out.getvalue() + err.getvalue()
        return SimpleNamespace(stdout=out.getvalue(), stderr=err.getvalue())

    run.signing = ("--passphrase-file", str(folder / "passphrase"))
    run("keys", "init", "--url", url, *more, *run.signing)
    return run


def certificate(folder: Path) -> tuple[Path, Path]:
    """Its own authority; certificate and key for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "hub.crt", folder / "hub.key"
    cert.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert, secret


class Server:
    """Static files over HTTPS with ranges. `instead`: other bytes for a file's name, or what answers."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.instead: dict[str, bytes | Callable[[http.server.BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.cert, key = certificate(scratch)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        self.asked.append(name)
        other = self.instead.get(name)
        if other is None and name.endswith(".tar"):
            other = self.instead.get("*.tar")
        if callable(other):
            other(request)
            return
        path = self.folder / request.path.lstrip("/")
        if other is None and not path.is_file():
            request.send_error(404)
            return
        data = path.read_bytes() if other is None else other
        start = 0
        if wanted := request.headers.get("Range"):
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        request.wfile.write(data[start:])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def endless(request: http.server.BaseHTTPRequestHandler) -> None:
    """Never stops sending."""
    request.send_response(200)
    request.end_headers()
    try:
        for _ in range(2000):
            request.wfile.write(bytes(1 << 16))
    except OSError:
        pass
    request.close_connection = True


def trickle(request: http.server.BaseHTTPRequestHandler) -> None:
    """A byte now and then, so that no read ever runs into its time."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    try:
        for _ in range(600):
            request.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        pass
    request.close_connection = True


def cut_after(data: bytes, count: int) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """The connection breaks in the middle."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:count])
        request.close_connection = True

    return answer


# For the conftest.py of whoever has a `folder`.


@pytest.fixture
def site(folder: Path) -> Site:
    return Site(folder / "site")


@pytest.fixture
def server(folder: Path, site: Site) -> Iterator[Server]:
    with Server(site.catalogue.hub, folder) as running:
        yield running
