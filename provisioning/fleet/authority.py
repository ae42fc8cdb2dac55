"""The site's certificate authority: issues certificates and the revocation list, without touching files.

All keys are EC P-256. A client's certificate cannot be used as a broker's nor the other way round (extended key usage,
RFC 5280, 4.2.1.12), so a stolen device cannot impersonate the broker.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.util.errors import UserError

CA_DAYS: Final = 7300
BACKDATED: Final = timedelta(hours=1)
"""How long before its making an authority becomes valid, since clocks differ. What it signs is valid from then on."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """Generate a private key on the curve P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Serialise a private key as PKCS #8 in PEM form, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def cert_pem(certificate: x509.Certificate) -> str:
    """Serialise a certificate in PEM form."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def new_ca(site: str, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Generate key and certificate of a new authority, valid for twenty years."""
    key = new_key()
    name = _name(f"{site} CA", site, "authority")
    builder = (
        _builder(name, name, key.public_key(), now - BACKDATED, now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return key, builder.sign(key, hashes.SHA256())


class Authority:
    """Issues certificates, signed with the site's key."""

    def __init__(self, site: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.site = site
        self.certificate = certificate
        self._key = key

    @classmethod
    def load(cls, site: str, key: bytes, certificate: bytes) -> Authority:
        """Load the authority from PEM. Raises `UserError` when key and certificate are damaged or do not match."""
        try:
            loaded = load_pem_private_key(key, None)
            issuer = x509.load_pem_x509_certificate(certificate)
        except (ValueError, TypeError) as error:
            raise UserError(f"the site's key or certificate is damaged ({error}): restore a copy") from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.public_key() != issuer.public_key():
            raise UserError("ca.key is not the key of ca.crt: restore a copy of both")
        return cls(site, loaded, issuer)

    def issue_client(
        self,
        name: str,
        role: str,
        public: ec.EllipticCurvePublicKey,
        now: datetime,
        days: int,
        *,
        serial: int | None = None,
    ) -> x509.Certificate:
        """Issue a certificate that identifies a client to the broker by `name`; `serial`: None for a new number.

        Raises `UserError` when `now` is before the authority was made.
        """
        builder = self._leaf(name, role, public, now, days, serial=serial).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        return builder.sign(self._key, hashes.SHA256())

    def issue_broker(
        self, hosts: Iterable[str], public: ec.EllipticCurvePublicKey, now: datetime, days: int
    ) -> x509.Certificate:
        """Issue a certificate for a broker with these host names and IP addresses.

        Raises `UserError` as `issue_client`.
        """
        names = [_general_name(host) for host in hosts]
        builder = (
            self._leaf("broker", "broker", public, now, days)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())

    def revocation_list(self, serials: Iterable[tuple[int, datetime]], updated: datetime) -> bytes:
        """Sign the certificate revocation list (CRL, PEM) of these serial numbers with their revocation dates.

        It is valid as long as the authority: with an expired list the broker refuses every client.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(updated)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(self._authority_id(), critical=False)
            .add_extension(x509.CRLNumber(int(updated.timestamp())), critical=False)
        )
        for serial, at in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def sign(self, data: bytes) -> str:
        """Return the authority's ECDSA signature (SHA-256) of the bytes, Base64."""
        return base64.b64encode(self._key.sign(data, ec.ECDSA(hashes.SHA256()))).decode("ascii")

    def _leaf(
        self,
        name: str,
        role: str,
        public: ec.EllipticCurvePublicKey,
        now: datetime,
        days: int,
        *,
        serial: int | None = None,
    ) -> x509.CertificateBuilder:
        begin = self.certificate.not_valid_before_utc
        if now < begin:
            raise UserError(
                f"the clock says {now:%Y-%m-%d}, and the site was made {begin:%Y-%m-%d}: set the clock, or "
                "make a new site if the clock was wrong then (its certificates are refused until that day)"
            )
        # Not from `now` on: what a clock that is ahead has issued would be refused until then.
        end = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        subject = _name(name, self.site, role)
        return (
            _builder(subject, self.certificate.subject, public, begin, end, serial=serial)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(ca=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(self._authority_id(), critical=False)
        )

    def _authority_id(self) -> x509.AuthorityKeyIdentifier:
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def public_key_from_request(pem: bytes, what: str) -> ec.EllipticCurvePublicKey:
    """Return the key of a certificate signing request (PKCS #10, PEM) after checking its signature.

    `what` names the request in messages. Raises `UserError`.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
        public = request.public_key()
        good = request.is_signature_valid
    except ValueError:
        raise UserError(f"{what}: not a certificate signing request in PEM form") from None
    if not good:
        raise UserError(f"{what}: its signature is wrong; make the request again")
    return require_p256(public, what)


def require_p256(public: object, what: str) -> ec.EllipticCurvePublicKey:
    """Return the key if it is on the curve P-256. Raises `UserError`."""
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise UserError(f"{what}: the key must be EC P-256 (openssl: -pkeyopt ec_paramgen_curve:prime256v1)")
    return public


def now_utc() -> datetime:
    """Return the current time in UTC, in whole seconds as certificates have them."""
    return datetime.now(UTC).replace(microsecond=0)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    begin: datetime,
    end: datetime,
    *,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _name(common: str, site: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, site),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def key_usage(ca: bool) -> x509.KeyUsage:
    """Return the key usage of a certificate authority, or of a certificate that it issues."""
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
