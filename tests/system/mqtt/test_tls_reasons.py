"""Every way to get TLS wrong is named by a code of its own."""

import subprocess

import pytest

from tests.support.broker import Broker
from tests.support.link import LinkProcess
from tests.support.waiting import until


def warnings(link):
    """The codes of its warnings."""
    return [line.partition("[")[2].partition("]")[0] for line in link.lines if line.startswith("WARNING")]


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def certificate(folder, name, issuer=None, hosts="IP:127.0.0.1", dates=None):
    """Key and certificate by openssl; `issuer` None: a CA. `dates`: begin and end, for one that has expired."""
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
    subject = ["-subj", f"/CN={name}"]
    if issuer is None:
        openssl("req", "-x509", *curve, "-out", cert, *subject, "-days", "30")
        return
    openssl("req", "-new", *curve, "-out", folder / "request", *subject)
    (folder / "extensions").write_text(f"basicConstraints=CA:FALSE\nsubjectAltName={hosts}\n")
    (folder / "index").write_text("")
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca=d\n[d]\npolicy=p\n[p]\ncommonName=supplied\n"
        f"[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\ndefault_md=sha256\nrand_serial=yes\nunique_subject=no\n"
    )
    span = ["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "30"]
    signer = ["-cert", folder / f"{issuer}.crt", "-keyfile", folder / f"{issuer}.key"]
    config = ["-config", folder / "ca.conf", "-extfile", folder / "extensions"]
    openssl("ca", "-batch", "-notext", *config, *signer, "-in", folder / "request", "-out", cert, *span)


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def tls_broker(folder):
    place = folder / "tls"
    place.mkdir()
    certificate(place, "ca")
    certificate(place, "broker", "ca")
    config = (
        "listener {port} 127.0.0.1\nallow_anonymous true\ncafile {folder}/ca.crt\ncertfile {folder}/broker.crt\n"
        "keyfile {folder}/broker.key"
    )
    with Broker(config, folder=place) as broker:
        yield broker


def test_tls_with_our_own_ca(folder, tls_broker):
    settings = ("mqtt.tls=true", f"mqtt.ca_file={folder / 'tls' / 'ca.crt'}")
    with LinkProcess(folder, tls_broker.port, settings=settings) as link:
        until(lambda: "connected" in link.codes)
        assert link.stop() == 0


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (("mqtt.tls=true",), "broker_certificate_unknown_ca"),
        (("mqtt.tls=true", "mqtt.ca_file={other}"), "broker_certificate_unknown_ca"),
        (("mqtt.tls=true", "mqtt.ca_file={ca}", "mqtt.host=localhost"), "broker_certificate_other_host"),
        ((), "closed_unanswered"),
    ],
)
def test_every_way_to_get_tls_wrong_is_said(folder, tls_broker, settings, code):
    certificate(folder, "other")
    places = {"other": folder / "other.crt", "ca": folder / "tls" / "ca.crt"}
    filled = tuple(setting.format(**places) for setting in settings)
    with LinkProcess(folder, tls_broker.port, settings=filled) as link:
        until(lambda: warnings(link), 20)
        assert warnings(link)[0] == code


def test_tls_on_a_plain_port(folder, broker):
    with LinkProcess(folder, broker.port, settings=("mqtt.tls=true",)) as link:
        until(lambda: warnings(link), 20)
        assert warnings(link)[0] in ("tls_not_spoken", "connection_reset", "timeout")


@pytest.fixture
def strict_broker(folder):
    """Only clients with a certificate of its CA."""
    place = folder / "tls"
    place.mkdir()
    certificate(place, "ca")
    certificate(place, "other-ca")
    certificate(place, "broker", "ca")
    certificate(place, "box", "ca")
    certificate(place, "foreign", "other-ca")
    certificate(place, "old", "ca", dates=("20200101000000Z", "20210101000000Z"))
    certificate(place, "revoked", "ca")
    authority = ["ca", "-config", place / "ca.conf", "-cert", place / "ca.crt", "-keyfile", place / "ca.key"]
    openssl(*authority, "-revoke", place / "revoked.crt")
    openssl(*authority, "-gencrl", "-crldays", "30", "-out", place / "crl.pem")
    config = (
        "listener {port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\nuse_identity_as_username true\n"
        "cafile {folder}/ca.crt\ncertfile {folder}/broker.crt\nkeyfile {folder}/broker.key\ncrlfile {folder}/crl.pem"
    )
    with Broker(config, folder=place) as broker:
        yield broker


@pytest.mark.parametrize(
    ("client", "code"),
    [
        ("box", "connected"),
        (None, "certificate_required"),
        ("foreign", "certificate_unknown_ca"),
        ("old", "certificate_expired"),
        ("revoked", "certificate_revoked"),
    ],
)
def test_mutual_tls_says_what_is_wrong_with_our_certificate(folder, strict_broker, client, code):
    settings = ["mqtt.tls=true", f"mqtt.ca_file={folder / 'tls' / 'ca.crt'}"]
    if client:
        settings += [
            f"mqtt.cert_file={folder / 'tls' / client}.crt",
            f"mqtt.key_file={folder / 'tls' / client}.key",
        ]
    with LinkProcess(folder, strict_broker.port, settings=tuple(settings)) as link:
        # That the certificate expires soon is said first, whatever the broker makes of it.
        until(lambda: code in link.codes, 30, lambda: link.log + strict_broker.log)


def test_a_broker_with_an_expired_certificate_is_not_trusted(folder):
    place = folder / "tls"
    place.mkdir()
    certificate(place, "ca")
    certificate(place, "broker", "ca", dates=("20200101000000Z", "20210101000000Z"))
    config = (
        "listener {port} 127.0.0.1\nallow_anonymous true\ncafile {folder}/ca.crt\ncertfile {folder}/broker.crt\n"
        "keyfile {folder}/broker.key"
    )
    settings = ("mqtt.tls=true", f"mqtt.ca_file={place / 'ca.crt'}")
    with Broker(config, folder=place) as broker, LinkProcess(folder, broker.port, settings=settings) as link:
        until(lambda: warnings(link), 20)
        assert warnings(link)[0] == "broker_certificate_expired"
