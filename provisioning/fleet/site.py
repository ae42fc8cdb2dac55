"""A site on disk: one folder with the authority, the list of what was issued, and what belongs to the broker.

    site/  ca.key (0600)  ca.crt  site.json  issued.json  broker/  joins/

The folder is for its owner alone (0700). Every file is written beside and renamed; a new site appears as a whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta, Struct

from edge.config.join_file import Join, Role
from edge.config.settings import RESERVED_IDS, BaseTopic, Port
from edge.protocol.messages import NodeId
from edge.util.atomic_file import move_into_place, write
from edge.util.errors import UserError
from edge.util.timestamps import rfc3339
from provisioning.fleet import authority
from provisioning.fleet.access_list import access_list
from provisioning.fleet.authority import BACKDATED, Authority, cert_pem, key_pem, now_utc
from provisioning.fleet.dynamic_security import subscriptions

TEMPLATE: Final = Path(__file__).parent / "mosquitto.conf"
PLACE_IN_TEMPLATE: Final = "/mosquitto/config"
DATA_IN_TEMPLATE: Final = "/mosquitto/data/"
PORT_IN_TEMPLATE: Final = "listener 8883"
BROKER_FILES: Final = (
    "ca.crt", "broker.crt", "broker.key", "crl.pem", "acl", "dynamic-security.json", "mosquitto.conf"
)  # fmt: skip
RENEW_DAYS: Final = 30

T = TypeVar("T")


MODELS: Final = "models"
"""The part of the folder that `fleet keys init` makes."""


class Deployed(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where `fleet deploy` has put the broker's files, and how the broker is told."""

    folder: str
    data: str
    owner: str
    reload: str
    restart: str


class About(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was decided when the site was made."""

    v: Literal[1] = 1
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9 ._-]{1,48}\Z")]
    hosts: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Names and addresses of the broker; clients use the first."""
    port: Port = 8883
    base_topic: BaseTopic = "roomtone"
    homeassistant_prefix: BaseTopic = "homeassistant"
    deployed: Deployed | None = None
    """Where the broker's files are on this machine."""


class Issued(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One certificate."""

    serial: str
    """Hexadecimal: JSON's numbers are too small."""
    name: str
    role: Role | Literal["broker"]
    issued: datetime
    expires: datetime
    revoked: datetime | None = None
    certificate: str
    """PEM: renewing takes the public key from here."""

    @property
    def number(self) -> int:
        """The serial number."""
        return int(self.serial, 16)


class Site:
    """Opened for one command; nobody else changes it meanwhile."""

    def __init__(self, folder: Path, about: About, issued: list[Issued], authority: Authority) -> None:
        self.folder = folder
        self.about = about
        self.issued = issued
        self._authority = authority

    def find(self, name: str) -> Issued | None:
        """The newest certificate of a name that is not revoked."""
        alive = [one for one in self.issued if one.name == name and one.revoked is None]
        return max(alive, key=lambda one: one.expires, default=None)

    def alive(self) -> list[Issued]:
        """The newest certificate of every name, revoked ones left out, by name."""
        names = {one.name for one in self.issued}
        return [found for name in sorted(names) if (found := self.find(name)) is not None]

    def enrol(self, name: str, role: Role, public: ec.EllipticCurvePublicKey, days: int) -> Join:
        """A certificate for a client; the join file has no key in it. Call `save` then."""
        now = now_utc()
        certificate = self._authority.client(name, role, public, now, days)
        self._note(name, role, certificate, now)
        return Join(
            site=self.about.name,
            name=name,
            role=role,
            host=self.about.hosts[0],
            port=self.about.port,
            base_topic=self.about.base_topic,
            homeassistant_prefix=self.about.homeassistant_prefix,
            expires=rfc3339(certificate.not_valid_after_utc),
            ca=cert_pem(self._authority.certificate),
            certificate=cert_pem(certificate),
        )

    def renew(self, old: Issued, days: int) -> Join:
        """A new certificate for the same key of a client. Call `save` then."""
        assert old.role != "broker"
        return self.enrol(old.name, old.role, _public(old), days)

    def renew_broker(self, days: int) -> None:
        """A new certificate for the broker's key. Call `save` then."""
        old = self.find("broker")
        assert old is not None
        now = now_utc()
        certificate = self._authority.broker(self.about.hosts, _public(old), now, days)
        self._note("broker", "broker", certificate, now)
        write(self.folder / "broker" / "broker.crt", cert_pem(certificate), 0o644)

    def revoke(self, name: str) -> list[Issued]:
        """Marks every certificate of a name that is not revoked yet; returns them. Call `save` then."""
        now = datetime.now(UTC)
        found = [one for one in self.issued if one.name == name and one.revoked is None]
        self.issued = [
            msgspec.structs.replace(one, revoked=now) if one in found else one for one in self.issued
        ]
        return found

    def save(self) -> None:
        """Writes the list, and what follows from it for the broker: revoked certificates and rights."""
        write(self.folder / "issued.json", msgspec.json.format(msgspec.json.encode(self.issued)), 0o600)
        write(self.folder / "site.json", msgspec.json.format(msgspec.json.encode(self.about)), 0o600)
        broker = self.folder / "broker"
        revoked = [(one.number, one.revoked) for one in self.issued if one.revoked is not None]
        write(broker / "crl.pem", self._authority.revoked(revoked, self._next_update()), 0o644)
        clients = [(one.name, one.role) for one in self.alive() if one.role != "broker"]
        write(
            broker / "acl",
            access_list(self.about.base_topic, self.about.homeassistant_prefix, clients),
            0o600,
        )
        devices = [name for name, role in clients if role == "device"]
        write(
            broker / "dynamic-security.json",
            subscriptions(self.about.base_topic, self.about.homeassistant_prefix, devices),
            0o600,
        )

    def _next_update(self) -> datetime:
        """Later than that of the list before: OpenSSL prefers the newer of two, by whole seconds.

        Never in the future: with a list that is not valid yet a broker refuses everybody.
        """
        try:
            before = x509.load_pem_x509_crl((self.folder / "broker" / "crl.pem").read_bytes()).last_update_utc
        except (OSError, ValueError):
            return now_utc() - BACKDATED
        return max(now_utc() - BACKDATED, before + timedelta(seconds=1))

    def _note(
        self, name: str, role: Role | Literal["broker"], certificate: x509.Certificate, now: datetime
    ) -> None:
        self.issued.append(
            Issued(
                serial=f"{certificate.serial_number:x}",
                name=name,
                role=role,
                issued=now,
                expires=certificate.not_valid_after_utc,
                certificate=cert_pem(certificate),
            )
        )


def init(folder: Path, about: About, days: int) -> Site:
    """Makes a new site. Raises `UserError`, also where there is one already: a second CA would lock everybody out."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"{folder}: exists already; nothing is overwritten. Choose another folder with --site"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from None
    try:
        _fill(new, about, days)
        move_into_place(new, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    with opened(folder) as site:
        return site


def _fill(folder: Path, about: About, days: int) -> None:
    now = now_utc()
    ca_key, ca = authority.new_ca(about.name, now)
    site = Site(folder, about, [], Authority(about.name, ca_key, ca))
    for part in ("broker", "joins"):
        (folder / part).mkdir(mode=0o700)
    write(folder / "ca.key", key_pem(ca_key), 0o600)
    key = authority.new_key()
    certificate = site._authority.broker(about.hosts, key.public_key(), now, days)
    site._note("broker", "broker", certificate, now)
    write(folder / "ca.crt", cert_pem(ca), 0o644)
    write(folder / "broker" / "ca.crt", cert_pem(ca), 0o644)
    write(folder / "broker" / "broker.key", key_pem(key), 0o600)
    write(folder / "broker" / "broker.crt", cert_pem(certificate), 0o644)
    write(
        folder / "broker" / "mosquitto.conf", broker_config(about, PLACE_IN_TEMPLATE, DATA_IN_TEMPLATE), 0o644
    )
    site.save()


def broker_config(about: About, place: str, data: str) -> str:
    """The configuration for mosquitto with its files in `place` and its memory in `data` (with a slash at its end)."""
    text = TEMPLATE.read_text(encoding="utf-8").replace(DATA_IN_TEMPLATE, data)
    return text.replace(PLACE_IN_TEMPLATE, place).replace(PORT_IN_TEMPLATE, f"listener {about.port}")


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Site]:
    """The site, locked against other commands. Raises `UserError`."""
    if not (folder / "ca.key").is_file():
        raise UserError(
            f"{folder}: no site here; make one with `roomtone fleet init`, or name its folder with --site"
        )
    try:
        with (folder / "ca.key").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            about = _decode(folder / "site.json", About)
            signer = Authority.load(about.name, file.read(), (folder / "ca.crt").read_bytes())
            try:
                yield Site(folder, about, _decode(folder / "issued.json", list[Issued]), signer)
            finally:
                _leave_to_owner(folder)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}") from None


def _leave_to_owner(folder: Path) -> None:
    """`sudo roomtone fleet deploy` must not take the site away from whom it belongs to."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for path in folder.rglob("*"):
            # Only what we wrote: a file with a second name may be one of the system.
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _decode(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged ({error}); restore a copy") from None


def _public(old: Issued) -> ec.EllipticCurvePublicKey:
    certificate = x509.load_pem_x509_certificate(old.certificate.encode("ascii"))
    return authority.on_p256(certificate.public_key(), old.name)


def name_of(node: str, role: Role) -> str:
    """The name for the certificate. Raises `UserError`."""
    try:
        msgspec.convert(node, NodeId)
    except msgspec.ValidationError:
        raise UserError(f"{node!r}: use 1 to 64 of a-z, 0-9, `_` and `-`") from None
    if role != "device" and len(node) > 48:
        raise UserError(f"{node!r}: at most 48 characters for a {role}")
    if node in RESERVED_IDS or (role == "device" and node == "broker"):
        raise UserError(f"{node!r}: this name has a meaning of its own; choose another")
    return node if role == "device" else f"{role}.{node}"
