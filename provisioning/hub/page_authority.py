"""The authority of the hub's pages, which phones install: it may sign for this home, and for nothing else.

Caddy uses the root certificate that it finds in its data and issues all others from it. One that is made here has
Roomtone's name and name constraints (RFC 5280, 4.2.1.10): a stolen key can pretend to be a device of the home, and not
a bank.
"""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge.util.atomic_file import write
from edge.util.errors import UserError
from provisioning.fleet.authority import BACKDATED, cert_pem, key_usage, new_key, now_utc

DAYS: Final = 3650
DOMAINS: Final = ("local", "lan", "home.arpa", "localhost")
"""Names that the public DNS never assigns, with everything below them (RFC 6762, RFC 8375)."""
NETWORKS: Final = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
)
"""Private and link-local addresses."""

Outcome = Literal["new", "kept", "replaced"]


def folder_in(caddy_data: Path) -> Path:
    """Return the folder in which Caddy looks for its root certificate."""
    return caddy_data / "pki" / "authorities" / "local"


def prepare(caddy_data: Path, hosts: Iterable[str], *, replace: bool = True) -> Outcome:
    """Create the authority, or a new one where that which is there may not sign for a host.

    Raises `UserError` for such a host if `replace` is false, and for a certificate that cannot be read.
    """
    folder = folder_in(caddy_data)
    hosts = list(hosts)
    outcome: Outcome = "new"
    if (folder / "root.crt").exists():
        outside = [host for host in hosts if not permits(_load(folder / "root.crt"), host)]
        if not outside:
            return "kept"
        if not replace:
            raise UserError(
                f"--host {outside[0]}: the authority of this hub's pages may not sign for it, and devices take models "
                "by that authority. Choose a name below .local, .lan or .home.arpa, or a private address"
            )
        outcome = "replaced"
    key = new_key()
    certificate = _root(hosts, key.public_key()).sign(key, hashes.SHA256())
    for path in folder.glob("intermediate.*"):
        path.unlink()
    shutil.rmtree(caddy_data / "certificates" / "local", ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # As Caddy writes its own.
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    write(folder / "root.key", pem, 0o600)
    write(folder / "root.crt", cert_pem(certificate), 0o600)
    return outcome


def permits(root: x509.Certificate, host: str) -> bool:
    """Return whether an authority may sign for a host name or address; one without constraints may for all."""
    try:
        found = root.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    except x509.ExtensionNotFound:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
        domains = [one.value.lower() for one in found if isinstance(one, x509.DNSName)]
        return any(name == domain or name.endswith(f".{domain}") for domain in domains)
    networks = [one.value for one in found if isinstance(one, x509.IPAddress)]
    return any(
        address in network
        for network in networks
        if isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network)
    )


def fingerprint(caddy_data: Path) -> str:
    """Return the SHA-256 of the root certificate, in pairs of digits as phones show it."""
    digest = _load(folder_in(caddy_data) / "root.crt").fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def _root(hosts: list[str], public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = now_utc()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Roomtone"),
            # The day tells two of one home apart in the list of a phone.
            x509.NameAttribute(NameOID.COMMON_NAME, f"Roomtone {hosts[0][:30]} {now:%Y-%m-%d}"),
        ]
    )
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - BACKDATED)
    builder = builder.not_valid_after(now + timedelta(days=DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    builder = builder.add_extension(key_usage(ca=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return builder.add_extension(_constraints(hosts), critical=True)


def _constraints(hosts: list[str]) -> x509.NameConstraints:
    """Return the names and addresses of a home, and what the hosts need beyond them."""
    permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in DOMAINS]
    permitted += [x509.IPAddress(ipaddress.ip_network(network)) for network in NETWORKS]
    for host in hosts:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            if not any(host == domain or host.endswith(f".{domain}") for domain in DOMAINS):
                permitted.append(x509.DNSName(host.lower()))
            continue
        if not any(address in ipaddress.ip_network(network) for network in NETWORKS):
            permitted.append(x509.IPAddress(ipaddress.ip_network(address)))
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); remove it, and a new one is made") from None
