"""A site's folder: the certificate authority, the list of issued certificates, and the broker's files.

    site/  ca.key (0600)  ca.crt  site.json  issued.json  broker/  joins/

Only its owner can read the folder (0700). Every file is replaced atomically, and a new site appears as a whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from edge.config.join_file import Join, Role
from edge.config.settings import RESERVED_IDS
from edge.protocol import NodeId
from edge.util.atomic_file import move_into_place, write
from edge.util.errors import UserError, reason
from edge.util.text.patterns import in_words
from edge.util.timestamps import rfc3339
from provisioning.fleet import authority
from provisioning.fleet.authority import Authority, cert_pem, key_pem, now_utc
from provisioning.fleet.dynamic_security import rights_file
from provisioning.fleet.records import IssuedCertificate, Probe, SiteSettings
from provisioning.fleet.rights import Client

TEMPLATE: Final = Path(__file__).parent / "mosquitto.conf"
FOLDER_IN_TEMPLATE: Final = "/mosquitto/config"
DATA_IN_TEMPLATE: Final = "/mosquitto/data/"
PORT_IN_TEMPLATE: Final = "listener 8883"
BROKER_FILES: Final = (
    "ca.crt", "broker.crt", "broker.key", "crl.pem", "dynamic-security.json", "mosquitto.conf", "generation"
)  # fmt: skip
"""In the order in which they are put in place: a broker that watches `generation` then finds all others."""
RENEW_DAYS: Final = 30

T = TypeVar("T")


MODELS: Final = "models"
"""The part of the folder that `fleet keys init` makes: keys and releases of models."""


class Site:
    """A site that is open for one command and locked against others."""

    def __init__(
        self, folder: Path, settings: SiteSettings, issued: list[IssuedCertificate], authority: Authority
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.issued = issued
        self.authority = authority

    def find(self, name: str) -> IssuedCertificate | None:
        """Return the newest certificate of a name that is not revoked, or None."""
        valid = [one for one in self.issued if one.name == name and one.revoked is None]
        return max(valid, key=lambda one: one.expires, default=None)

    def current(self) -> list[IssuedCertificate]:
        """Return the newest certificate of every name, without revoked ones, sorted by name."""
        names = {one.name for one in self.issued}
        return [found for name in sorted(names) if (found := self.find(name)) is not None]

    def enrol(self, name: str, role: Role, public: ec.EllipticCurvePublicKey, days: int) -> Join:
        """Issue a certificate for a client; return its join file, without a key. Call `save` then."""
        now = now_utc()
        certificate = self.authority.issue_client(name, role, public, now, days)
        self._record(name, role, certificate, now)
        return Join(
            site=self.settings.name,
            name=name,
            role=role,
            host=self.settings.hosts[0],
            port=self.settings.port,
            base_topic=self.settings.base_topic,
            homeassistant_prefix=self.settings.homeassistant_prefix,
            expires=rfc3339(certificate.not_valid_after_utc),
            ca=cert_pem(self.authority.certificate),
            certificate=cert_pem(certificate),
        )

    def renew(self, old: IssuedCertificate, days: int) -> Join:
        """Issue a new certificate for the same key of a client. Call `save` then."""
        assert old.role != "broker"
        return self.enrol(old.name, old.role, _public_key(old), days)

    def renew_broker(self, days: int) -> None:
        """Issue a new certificate for the broker's key. Call `save` then."""
        old = self.find("broker")
        assert old is not None
        now = now_utc()
        certificate = self.authority.issue_broker(self.settings.hosts, _public_key(old), now, days)
        self._record("broker", "broker", certificate, now)
        write(self.folder / "broker" / "broker.crt", cert_pem(certificate), 0o644)

    def revoke(self, name: str) -> list[IssuedCertificate]:
        """Mark all certificates of a name as revoked; return those that were not yet. Call `save` then."""
        now = datetime.now(UTC)
        found = [one for one in self.issued if one.name == name and one.revoked is None]
        self.issued = [
            msgspec.structs.replace(one, revoked=now) if one in found else one for one in self.issued
        ]
        return found

    def save(self) -> None:
        """Write the records, and the broker's files that follow from them: revocation list and rights."""
        write(self.folder / "issued.json", msgspec.json.format(msgspec.json.encode(self.issued)), 0o600)
        self._save_settings()
        broker = self.folder / "broker"
        revoked = [(one.number, one.revoked) for one in self.issued if one.revoked is not None]
        probe = self.settings.probe
        # The certificate by which `proof` sees that the broker has this list.
        revoked.append((int(probe.serial, 16), now_utc()))
        write(broker / "crl.pem", self.authority.revocation_list(revoked, self._next_update()), 0o644)
        clients: list[tuple[str, Client]] = [
            (one.name, one.role) for one in self.current() if one.role != "broker"
        ]
        base, ha = self.settings.base_topic, self.settings.homeassistant_prefix
        write(broker / "dynamic-security.json", rights_file(base, ha, clients, probe.generation), 0o600)
        write(broker / "generation", f"{probe.generation}\n", 0o644)

    def require_broker(self) -> None:
        """Note that the broker has to be given a new version of its files. Call `save` then."""
        self.settings = msgspec.structs.replace(self.settings, pending=True, probe=_new_probe())

    def mark_pending(self) -> None:
        """Note that it is not known whether the broker has everything. Call `save` then."""
        self.settings = msgspec.structs.replace(self.settings, pending=True)

    def broker_updated(self) -> None:
        """Note on disk that the broker has everything."""
        self.settings = msgspec.structs.replace(self.settings, pending=False)
        self._save_settings()

    def _save_settings(self) -> None:
        write(self.folder / "site.json", msgspec.json.format(msgspec.json.encode(self.settings)), 0o600)

    def _next_update(self) -> datetime:
        """Return a time later than that of the list before: OpenSSL prefers the newer of two, by whole seconds.

        It counts seconds since the site was made and does not look at the clock: with a list that is not valid yet
        the broker refuses every client, so one command under a clock that is ahead would lock out the site.
        """
        try:
            before = x509.load_pem_x509_crl((self.folder / "broker" / "crl.pem").read_bytes()).last_update_utc
        except (OSError, ValueError):
            return self.authority.certificate.not_valid_before_utc
        return before + timedelta(seconds=1)

    def _record(
        self, name: str, role: Role | Literal["broker"], certificate: x509.Certificate, now: datetime
    ) -> None:
        self.issued.append(
            IssuedCertificate(
                serial=f"{certificate.serial_number:x}",
                name=name,
                role=role,
                issued=now,
                expires=certificate.not_valid_after_utc,
                certificate=cert_pem(certificate),
            )
        )


def require_free(folder: Path) -> None:
    """Raise `UserError` where a new site cannot be made because something is there already."""
    try:
        used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None
    if used:
        raise UserError(
            f"{folder}: exists already; nothing is overwritten. Another folder: roomtone fleet --site DIR init"
        )


def create_site(folder: Path, settings: SiteSettings, days: int) -> Site:
    """Create a site's folder; `days`: how long the broker's certificate is valid.

    Raises `UserError`, also where there is a site already: a second authority would lock out every client.
    """
    require_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({reason(error)})") from None
    try:
        _fill(new, settings, days)
        move_into_place(new, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({reason(error)})") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    with open_site(folder) as site:
        return site


def _fill(folder: Path, settings: SiteSettings, days: int) -> None:
    now = now_utc()
    ca_key, ca = authority.new_ca(settings.name, now)
    site = Site(folder, settings, [], Authority(settings.name, ca_key, ca))
    site.require_broker()
    for part in ("broker", "joins"):
        (folder / part).mkdir(mode=0o700)
    write(folder / "ca.key", key_pem(ca_key), 0o600)
    key = authority.new_key()
    certificate = site.authority.issue_broker(settings.hosts, key.public_key(), now, days)
    site._record("broker", "broker", certificate, now)
    write(folder / "ca.crt", cert_pem(ca), 0o644)
    write(folder / "broker" / "ca.crt", cert_pem(ca), 0o644)
    write(folder / "broker" / "broker.key", key_pem(key), 0o600)
    write(folder / "broker" / "broker.crt", cert_pem(certificate), 0o644)
    write(
        folder / "broker" / "mosquitto.conf",
        broker_config(settings, FOLDER_IN_TEMPLATE, DATA_IN_TEMPLATE),
        0o644,
    )
    site.save()


def broker_config(settings: SiteSettings, folder: str, data: str) -> str:
    """Return mosquitto's configuration: its files in `folder`, its database in `data` (which ends in a slash)."""
    values = {
        DATA_IN_TEMPLATE: data,
        FOLDER_IN_TEMPLATE: folder,
        PORT_IN_TEMPLATE: f"listener {settings.port}",
    }
    # In one pass: a value may contain what stands for another one.
    pattern = "|".join(map(re.escape, values))
    return re.sub(pattern, lambda found: values[found[0]], TEMPLATE.read_text(encoding="utf-8"))


@contextlib.contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Open a site and lock it against other commands. Raises `UserError`."""
    if not (folder / "ca.key").is_file():
        # What `./run hub` makes in a checkout.
        of_hub = Path("hub/site")
        here = f" (`./run hub` has made one: --site {of_hub})" if (of_hub / "ca.key").exists() else ""
        raise UserError(
            f"{folder}: no site here; make one with `roomtone fleet init`, or name its folder with --site{here}"
        )
    try:
        with (folder / "ca.key").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            settings = _decode(folder / "site.json", SiteSettings)
            signer = Authority.load(settings.name, file.read(), (folder / "ca.crt").read_bytes())
            try:
                yield Site(folder, settings, _decode(folder / "issued.json", list[IssuedCertificate]), signer)
            finally:
                _restore_owner(folder)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {reason(error)}") from None


def not_enrolled(folder: Path, nodes: Iterable[str]) -> list[str]:
    """Return the devices that have no valid certificate of the site; none where the folder keeps no certificates.

    It only reads: on a workstation the folder may hold the keys of models and nothing else. Raises `UserError`.
    """
    path = folder / "issued.json"
    if not path.is_file():
        return []
    try:
        issued = _decode(path, list[IssuedCertificate])
    except OSError as error:
        raise UserError(f"{path}: {reason(error)}") from None
    enrolled = {one.name for one in issued if one.role == "device" and one.revoked is None}
    return [node for node in nodes if node not in enrolled]


def _restore_owner(folder: Path) -> None:
    """Give files that root wrote (`sudo roomtone fleet deploy`) back to the owner of the folder."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for path in folder.rglob("*"):
            # A file with a second hard link may be one of the system.
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _new_probe() -> Probe:
    return Probe(serial=f"{x509.random_serial_number():x}", generation=secrets.token_hex(8))


def _decode(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged ({in_words(error)}); restore a copy from a backup") from None


def _public_key(old: IssuedCertificate) -> ec.EllipticCurvePublicKey:
    certificate = x509.load_pem_x509_certificate(old.certificate.encode("ascii"))
    return authority.require_p256(certificate.public_key(), old.name)


def certificate_name(node: str, role: Role) -> str:
    """Return the name for the certificate: a device's node id, else `role.name`. Raises `UserError`."""
    try:
        msgspec.convert(node, NodeId)
    except msgspec.ValidationError:
        raise UserError(f"{node!r}: use 1 to 64 of a-z, 0-9, `_` and `-`") from None
    if role != "device" and len(node) > 48:
        raise UserError(f"{node!r}: at most 48 characters for a {role}")
    if node in RESERVED_IDS or (role == "device" and node == "broker"):
        raise UserError(f"{node!r}: this name is reserved; choose another")
    return node if role == "device" else f"{role}.{node}"
