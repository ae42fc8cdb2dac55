"""Passwords and certificates as files: what every editor makes of them."""

import codecs
from datetime import UTC, datetime

import pytest

from edge.mqtt import credentials, tls
from edge.mqtt.address import BrokerAddress, parse
from edge.util.errors import UserError
from provisioning.fleet.authority import Authority, cert_pem, new_ca

SECRET = "gehéim mit Leerzeichen "


@pytest.mark.parametrize(
    "data",
    [
        SECRET.encode(),
        f"{SECRET}\n".encode(),
        f"{SECRET}\r\nrest".encode(),
        f"{SECRET}\rrest".encode(),
        codecs.BOM_UTF8 + f"{SECRET}\n".encode(),
        f"{SECRET}\r\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + f"{SECRET}\n".encode("utf-16-be"),
    ],
)
def test_the_password_is_the_first_line_without_mark_and_line_end(tmp_path, data):
    file = tmp_path / "password"
    file.write_bytes(data)
    assert credentials.password(parse("mqtt://a@hub", file, {})) == SECRET


@pytest.mark.parametrize("data", [b"", b"\n", b"  \nrest", b"\xff\x00\xfe", b"x" * 70_000])
def test_a_file_that_is_no_password_is_refused_with_its_name_and_option(tmp_path, data):
    file = tmp_path / "password"
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"password.*--password-file"):
        credentials.password(parse("mqtt://a@hub", file, {}))


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match=r"cannot be read .*--password-file"):
            credentials.password(parse("mqtt://a@hub", path, {}))


def test_the_file_is_read_anew_every_time(tmp_path):
    file = tmp_path / "password"
    address = parse("mqtt://a@hub", file, {"ROOMTONE_MQTT_PASSWORD": "not this"})
    for text in ("one", "two"):
        file.write_text(text)
        assert credentials.password(address) == text


def test_without_a_password_there_is_none():
    assert credentials.password(parse("mqtt://a@hub", None, {})) is None


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_an_authority_is_read_with_and_without_a_byte_order_mark(tmp_path, mark):
    authority = Authority("home", *new_ca("home", datetime.now(UTC)))
    file = tmp_path / "ca.crt"
    file.write_bytes(mark + cert_pem(authority.certificate).encode())
    context = tls.context(BrokerAddress("hub", tls=True, ca_file=str(file)))
    assert context.cert_store_stats()["x509_ca"] == 1
    assert context.check_hostname


def test_what_is_no_certificate_is_refused_with_the_option(tmp_path):
    file = tmp_path / "ca.crt"
    file.write_text("no certificate")
    with pytest.raises(UserError, match=r"ca\.crt: not a certificate.*--ca-file"):
        tls.check(BrokerAddress("hub", tls=True, ca_file=str(file)))
    with pytest.raises(UserError, match=r"not a certificate and a plain key.*--join"):
        tls.check(BrokerAddress("hub", tls=True, cert_file=str(file), key_file=str(file)))


def test_without_tls_there_is_no_context():
    assert tls.context(BrokerAddress("hub")) is None
