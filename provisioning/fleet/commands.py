"""What the verbs of `roomtone fleet` do. Each takes the parsed options and returns the exit status."""

from __future__ import annotations

import argparse
import contextlib
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edge.config.join_file import Join, Models, Role, read
from edge.util.atomic_file import write
from edge.util.errors import UserError
from provisioning.fleet import authority
from provisioning.fleet import deploy as deployment
from provisioning.fleet import site as sites
from provisioning.fleet.authority import now_utc
from provisioning.fleet.cli import checked_hosts, say
from provisioning.fleet.site import MODELS, About, Deployed, Issued, Site, opened


def init(options: argparse.Namespace) -> int:
    """Makes a site."""
    tree = {
        "name": options.name,
        "hosts": checked_hosts(options.hosts),
        "port": options.port,
        "base_topic": options.base_topic,
        "homeassistant_prefix": options.homeassistant_prefix,
    }
    try:
        about = msgspec.convert(tree, About)
    except msgspec.ValidationError as error:
        raise UserError(f"fleet init: {error}") from None
    site = sites.init(options.site, about, options.days)
    say(f"{site.folder}: a new site, {about.name!r}, broker {about.hosts[0]}:{about.port}")
    say("ca.key decides who belongs to the site: keep a copy of the folder where nobody else can read it")
    say(
        f"next: roomtone fleet deploy --to /etc/mosquitto/roomtone, or give {site.folder / 'broker'} to the broker"
    )
    return 0


def deploy(options: argparse.Namespace) -> int:
    """Puts the broker's files in place."""
    data = options.data.rstrip("/") + "/"
    place = Deployed(
        folder=str(options.to.absolute()),
        data=data,
        owner=options.owner,
        reload=deployment.RELOAD if options.reload is None else options.reload,
        restart=deployment.RESTART if options.restart is None else options.restart,
    )
    with opened(options.site) as site:
        deployment.remember(site, place)
        site.save()
        deployment.deploy(site, "restart")
    say(f"the broker's files are in {place.folder}; it reads {place.folder}/mosquitto.conf")
    return 0


def enrol(options: argparse.Namespace) -> int:
    """A certificate and a join file for a client."""
    role: Role = options.role
    name = sites.name_of(options.node, role)
    with opened(options.site) as site:
        known = site.find(name)
        if known is not None:
            raise UserError(
                f"{name} is enrolled until {known.expires:%Y-%m-%d}: `fleet renew` it, or `fleet revoke` it first"
            )
        out = _free(options.out) or site.folder / "joins" / f"{name}.join"
        key = None
        if options.csr is None:
            key = authority.new_key()
            public = key.public_key()
        else:
            public = authority.public_key_of(_read(options.csr), str(options.csr))
        join = _with_models(site, site.enrol(name, role, public, options.days))
        if key is not None:
            join = msgspec.structs.replace(join, key=authority.key_pem(key))
        site.save()
        try:
            _write_join(out, join)
        except OSError as error:
            # Nobody has this certificate.
            site.issued.pop()
            site.save()
            raise UserError(f"{out}: {error.strerror}; nothing was enrolled") from None
        secret = "a secret: it holds the private key" if join.key else "no secret: the key is at the device"
        say(f"{name}: enrolled as {role} until {join.expires[:10]}")
        say(f"{out} is {secret}; at the client: roomtone join {out.name}")
        print(out, flush=True)
        # Last, as it may fail. What devices may subscribe to is read at the start alone.
        _tell_broker(site, "restart" if role == "device" else "reload")
    return 0


def request(options: argparse.Namespace) -> int:
    """A key and a signing request, at the device."""
    sites.name_of(options.node, "device")
    key_file, out = _free(options.key), _free(options.out)
    assert key_file is not None
    assert out is not None
    key = authority.new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, options.node)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    try:
        write(key_file, authority.key_pem(key), 0o600)
        write(out, made.public_bytes(Encoding.PEM), 0o644)
    except OSError as error:
        raise UserError(f"{error.filename or out}: {error.strerror}") from None
    say(f"{key_file} stays here; where the site is: roomtone fleet enrol {options.node} --csr {out.name}")
    return 0


def show(options: argparse.Namespace) -> int:
    """Who has a certificate."""
    with opened(options.site) as site:
        shown, alive, now = site.issued, site.alive(), now_utc()
    if options.json:
        rows = [
            {
                "name": one.name,
                "role": one.role,
                "serial": one.serial,
                "issued": one.issued,
                "expires": one.expires,
                "revoked": one.revoked,
                "current": one in alive,
            }
            for one in shown
        ]
        print(msgspec.json.encode(rows).decode())
        return 0
    for one in alive:
        left = (one.expires - now).days
        mark = " expired" if left < 0 else " renew it" if left < sites.RENEW_DAYS else ""
        print(f"{one.name:24} {one.role:10} until {one.expires:%Y-%m-%d} ({left} days){mark}")
    for name in sorted({one.name for one in shown} - {one.name for one in alive}):
        at = max(one.revoked for one in shown if one.name == name and one.revoked is not None)
        print(f"{name:24} revoked {at:%Y-%m-%d}")
    return 0


def revoke(options: argparse.Namespace) -> int:
    """Never again."""
    if options.name == "broker":
        raise UserError("the broker cannot be revoked: where its key is known to others, make a new site")
    with opened(options.site) as site:
        found = site.revoke(options.name)
        if not found:
            names = ", ".join(one.name for one in site.alive() if one.role != "broker")
            raise UserError(f"{options.name!r} has no certificate to revoke; known: {names or 'nobody'}")
        site.save()
        say(f"{options.name}: {len(found)} certificate(s) revoked")
        with contextlib.suppress(OSError):
            (site.folder / "joins" / f"{options.name}.join").unlink()
        _tell_broker(site, "restart")
    return 0


def renew(options: argparse.Namespace) -> int:
    """New certificates for the same keys."""
    if not options.names and not options.due:
        raise UserError("fleet renew: name whom, or give --due for all that end within 30 days")
    with opened(options.site) as site:
        due = now_utc() + timedelta(days=sites.RENEW_DAYS)
        chosen = {one.name: one for one in site.alive() if options.due and one.expires < due}
        for name in options.names:
            known = site.find(name)
            if known is None:
                raise UserError(f"{name!r} has no certificate; `fleet list` shows who has")
            chosen[name] = known
        for one in chosen.values():
            _renew(site, one, options.days)
        if "broker" in chosen:
            _tell_broker(site, "reload")
        if not chosen:
            say("nothing to renew: no certificate ends within 30 days")
    return 0


def _renew(site: Site, old: Issued, days: int) -> None:
    if old.role == "broker":
        site.renew_broker(days)
        site.save()
        say("broker: renewed")
        return
    join = _with_models(site, site.renew(old, days))
    site.save()
    out = site.folder / "joins" / f"{old.name}.join"
    with contextlib.suppress(UserError):
        # Not carried to its client yet: the key is nowhere else.
        join = msgspec.structs.replace(join, key=read(out).key)
    _write_join(out, join)
    secret = "a secret, the key is still in it" if join.key else "no secret"
    say(
        f"{old.name}: renewed until {join.expires[:10]}; {out} is {secret}; at the client: roomtone join {out.name}"
    )
    print(out)


def _with_models(site: Site, join: Join) -> Join:
    """A device is told where its models come from and whose it may run, where the site has keys for models."""
    folder = site.folder / MODELS
    if join.role != "device" or not folder.is_dir():
        return join
    from provisioning.publish.catalogue import Catalogue

    catalogue = Catalogue(folder)
    root = catalogue.roots()[-1].read_text(encoding="utf-8")
    return msgspec.structs.replace(
        join, models=Models(url=catalogue.about.url, root=root, ca=catalogue.about.ca)
    )


def _tell_broker(site: Site, how: str) -> None:
    if site.about.deployed is None:
        files = site.folder / "broker"
        say(
            f"give {files} to the broker and {how} it; until then it does not know (or once: roomtone fleet deploy)"
        )
        return
    deployment.deploy(site, "restart" if how == "restart" else "reload")
    say(f"the broker has it ({site.about.deployed.folder})")


def _write_join(out: Path, join: Join) -> None:
    write(out, msgspec.json.format(msgspec.json.encode(join)) + b"\n", 0o600 if join.key else 0o644)


def _free(path: Path | None) -> Path | None:
    if path is not None and path.exists():
        raise UserError(f"{path}: exists already; nothing is overwritten")
    if path is not None and not path.absolute().parent.is_dir():
        raise UserError(f"{path}: there is no such folder")
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()[:65_536]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
