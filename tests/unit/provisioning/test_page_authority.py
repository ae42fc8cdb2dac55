"""The authority of the hub's pages signs for a home and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="cryptography is installed with roomtone[fleet]")
from cryptography import x509

from edge.util.errors import UserError
from provisioning.hub import page_authority
from provisioning.hub.page_authority import permits, prepare


def root(caddy: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((caddy / "pki" / "authorities" / "local" / "root.crt").read_bytes())


@pytest.mark.parametrize(
    ("host", "permitted"),
    [
        ("hub.local", True),
        ("nas.lan", True),
        ("x.y.home.arpa", True),
        ("localhost", True),
        ("192.168.1.10", True),
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("hub.example.org", True),
        ("bank.example.com", False),
        ("notlocal", False),
        ("example.org", False),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
    ],
)
def test_it_may_sign_for_names_of_a_home_and_those_given_at_the_start(tmp_path, host, permitted):
    assert prepare(tmp_path, ["hub.example.org", "hub.local"]) == "new"
    assert permits(root(tmp_path), host) is permitted


def test_it_has_our_name_and_is_kept_while_it_may_sign_for_all_hosts(tmp_path):
    prepare(tmp_path, ["hub.local"])
    before = root(tmp_path)
    assert "Roomtone hub.local" in before.subject.rfc4514_string()
    assert before.extensions.get_extension_for_class(x509.NameConstraints).critical
    assert prepare(tmp_path, ["other.local", "10.1.1.1"]) == "kept"
    assert root(tmp_path) == before


def test_another_host_has_another_authority_and_nothing_of_the_old_one_is_used(tmp_path):
    prepare(tmp_path, ["hub.local"])
    before = root(tmp_path)
    old = [tmp_path / "pki/authorities/local/intermediate.crt", tmp_path / "certificates/local/x/x.crt"]
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("signed by the old one")
    with pytest.raises(UserError, match="devices take models"):
        prepare(tmp_path, ["hub.local", "hub.example.org"], replace=False)
    assert root(tmp_path) == before
    assert prepare(tmp_path, ["hub.local", "hub.example.org"]) == "replaced"
    assert root(tmp_path) != before
    assert not any(path.exists() for path in old)
    assert len(page_authority.fingerprint(tmp_path).split(":")) == 32


def test_an_authority_without_constraints_is_left_alone(tmp_path):
    prepare(tmp_path, ["hub.local"])
    from provisioning.fleet.authority import cert_pem, new_ca, now_utc

    _, other = new_ca("Caddy", now_utc())
    (tmp_path / "pki/authorities/local/root.crt").write_text(cert_pem(other))
    assert prepare(tmp_path, ["bank.example.com"]) == "kept"
