"""A device's own certificate: its name, its end, and what is no certificate."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from edge.mqtt import certificate
from provisioning.fleet.authority import Authority, cert_pem, new_ca, new_key

NOW = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority():
    return Authority("home", *new_ca("home", NOW))


def written(path, made):
    path.write_text(cert_pem(made))
    return certificate.read(str(path))


@pytest.mark.parametrize("days", [1, 730, 7300])
def test_name_and_end(tmp_path, authority, days):
    made = authority.issue_client("kitchen", "device", new_key().public_key(), NOW, days)
    found = written(tmp_path / "c", made)
    assert found == certificate.Certificate("kitchen", made.not_valid_after_utc)
    assert certificate.timestamp(found).startswith(made.not_valid_after_utc.strftime("%Y-%m-%dT12:00:05"))


def test_a_time_after_2049_and_a_subject_without_a_name(tmp_path):
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Zürich")])
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    )
    end = datetime(2071, 5, 6, 7, 8, 9, tzinfo=UTC)
    builder = builder.serial_number(2**150).not_valid_before(NOW).not_valid_after(end)
    found = written(tmp_path / "c", builder.sign(key, hashes.SHA256()))
    assert found == certificate.Certificate("", end)


def test_the_warning_comes_a_month_before_the_end_and_says_the_remedy(tmp_path, authority):
    made = authority.issue_client("kitchen", "device", new_key().public_key(), NOW, 60)
    (tmp_path / "c").write_text(cert_pem(made))

    def said(days):
        return certificate.warning(str(tmp_path / "c"), (NOW + timedelta(days=days)).timestamp())

    assert said(29) == ""
    assert "expires in 29 days" in said(30.5)
    assert "has expired" in said(61)
    assert "`roomtone fleet renew kitchen`" in said(61)
    assert certificate.warning("", 0) == ""


def test_what_is_no_certificate_is_none_and_never_an_error(tmp_path, authority):
    good = cert_pem(authority.issue_client("kitchen", "device", new_key().public_key(), NOW, 60)).encode()
    rng = random.Random(1)
    path = tmp_path / "c"
    assert certificate.read(str(path)) is None
    for _ in range(2000):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.randint(0, len(damaged))] if rng.random() < 0.2 else damaged)
        found = certificate.read(str(path))
        assert found is None or isinstance(found.expires, datetime)
