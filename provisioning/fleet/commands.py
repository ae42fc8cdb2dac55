"""The commands of `roomtone fleet`. Each takes the parsed options and returns the exit status."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edge.config.join_file import Join, Models, Role, read, signed_bytes
from edge.releases.join_trust import code_of
from edge.util.atomic_file import write
from edge.util.errors import UserError, reason
from edge.util.text.patterns import in_words
from edge.util.text.text_file import read_text
from provisioning.fleet import authority, deployment
from provisioning.fleet import site as sites
from provisioning.fleet.authority import now_utc
from provisioning.fleet.console import checked_hosts, print_status, read_bytes, unused_path
from provisioning.fleet.records import Deployment, IssuedCertificate, SiteSettings
from provisioning.fleet.site import MODELS, Site, open_site


def init(options: argparse.Namespace) -> int:
    """Create a site: its certificate authority and the files of its broker (`fleet init`). Raises `UserError`."""
    tree = {
        "name": options.name,
        "hosts": checked_hosts(options.hosts),
        "port": options.port,
        "base_topic": options.base_topic,
        "homeassistant_prefix": options.homeassistant_prefix,
    }
    try:
        settings = msgspec.convert(tree, SiteSettings)
    except msgspec.ValidationError as error:
        raise UserError(f"fleet init: {in_words(error, tree)}") from None
    site = sites.create_site(options.site, settings, options.days)
    print_status(f"{site.folder}: a new site, {settings.name!r}, broker {settings.hosts[0]}:{settings.port}")
    print_status(
        "ca.key decides who belongs to the site: keep a copy of the folder where only you can read it"
    )
    print_status(
        "next: roomtone fleet deploy --to /etc/mosquitto/roomtone (as root), or copy "
        f"{site.folder / 'broker'} to the broker"
    )
    return 0


def deploy(options: argparse.Namespace) -> int:
    """Put the broker's files in place and restart it; without `--to` where they were put before."""
    with open_site(options.site) as site:
        known = site.settings.deployed
        if options.to is None and known is None:
            raise UserError(
                "fleet deploy: name the broker's folder, for example --to /etc/mosquitto/roomtone"
            )
        target = _deployment(options, known)
        deployment.require_rights(target)
        deployment.set_deployment(site, target)
        with deployment.broker_update(site):
            site.save()
    print_status(f"the broker reads {target.folder}/mosquitto.conf")
    return 0


def _deployment(options: argparse.Namespace, known: Deployment | None) -> Deployment:
    """Return what the options say, and for the rest what was said before."""
    base = known or Deployment(
        folder="", data="/var/lib/mosquitto/", owner=deployment.OWNER, restart=deployment.RESTART
    )
    given = {"owner": options.owner, "restart": options.restart, "address": options.address}
    if options.to is not None:
        given["folder"] = str(options.to.absolute())
    if options.data is not None:
        given["data"] = options.data.rstrip("/") + "/"
    if options.restart is not None:
        try:
            shlex.split(options.restart)
        except ValueError as error:
            raise UserError(f"--restart {options.restart!r}: not a command ({error})") from None
    return msgspec.structs.replace(base, **{key: value for key, value in given.items() if value is not None})


def enrol(options: argparse.Namespace) -> int:
    """Issue a certificate and write a join file for a client."""
    role: Role = options.role
    name = sites.certificate_name(options.node, role)
    with open_site(options.site) as site:
        deployment.require_rights(site.settings.deployed)
        known = site.find(name)
        if known is not None:
            return _repeated_enrolment(site, known)
        out = unused_path(options.out) if options.out is not None else site.folder / "joins" / f"{name}.join"
        key = None
        if options.csr is None:
            key = authority.new_key()
            public = key.public_key()
        else:
            public = authority.public_key_from_request(read_bytes(options.csr), str(options.csr))
        with deployment.broker_update(site):
            join = _signed(site, site.enrol(name, role, public, options.days))
            if key is not None:
                join = msgspec.structs.replace(join, key=authority.key_pem(key))
            site.save()
            _write_new_join(site, out, join)
    return 0


def _write_new_join(site: Site, out: Path, join: Join) -> None:
    """Write the join file, or take the enrolment back. Raises `UserError`."""
    try:
        _write_join(out, join)
    except OSError as error:
        # No client has this certificate.
        site.issued.pop()
        site.save()
        raise UserError(f"{out}: {reason(error)}; nothing was enrolled") from None
    secret = "a secret: it holds the private key" if join.key else "no secret: the key is at the device"
    print_status(f"{join.name}: enrolled as {join.role} until {join.expires[:10]}")
    print_status(f"{out} is {secret}; {_next_step(out, join, own_key=not join.key)}")
    print(out, flush=True)


def _repeated_enrolment(site: Site, known: IssuedCertificate) -> int:
    """Finish an enrolment that the broker has not learned of, or refuse. Raises `UserError`."""
    if not site.settings.pending:
        raise UserError(
            f"{known.name} is enrolled until {known.expires:%Y-%m-%d}: "
            "`fleet renew` it, or `fleet revoke` it first"
        )
    print_status(f"{known.name} is enrolled already; the broker does not know yet")
    with deployment.broker_update(site, changes=False):
        site.save()
    return 0


def request(options: argparse.Namespace) -> int:
    """Make a key and a certificate signing request, at the device; returns the exit status.

    Reads `node`, `key` and `out` of the options. Raises `UserError` for a name that no device may
    have, and for a file that exists already or cannot be written.
    """
    sites.certificate_name(options.node, "device")
    key_file, out = unused_path(options.key), unused_path(options.out)
    if os.path.realpath(key_file) == os.path.realpath(out):
        raise UserError(f"--key and --out are one file, {out}: give the request another name with --out")
    key = authority.new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, options.node)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    try:
        write(key_file, authority.key_pem(key), 0o600)
        write(out, made.public_bytes(Encoding.PEM), 0o644)
    except OSError as error:
        # Nothing half-made: the same command again is no repetition.
        key_file.unlink(missing_ok=True)
        raise UserError(f"{error.filename or out}: {reason(error)}") from None
    print_status(
        f"{key_file} stays here; where the site is: roomtone fleet enrol {options.node} --csr {out.name}"
    )
    return 0


def list_certificates(options: argparse.Namespace) -> int:
    """List who has a certificate, and until when."""
    with open_site(options.site) as site:
        issued, current, now = site.issued, site.current(), now_utc()
    if options.json:
        rows = [
            {
                "name": one.name,
                "role": one.role,
                "serial": one.serial,
                "issued": one.issued,
                "expires": one.expires,
                "revoked": one.revoked,
                "current": one in current,
            }
            for one in issued
        ]
        print(msgspec.json.encode(rows).decode())
        return 0
    for one in current:
        left = (one.expires - now).days
        mark = " expired" if left < 0 else " renew it" if left < sites.RENEW_DAYS else ""
        print(f"{one.name:24} {one.role:10} until {one.expires:%Y-%m-%d} ({left} days){mark}")
    for name in sorted({one.name for one in issued} - {one.name for one in current}):
        at = max(one.revoked for one in issued if one.name == name and one.revoked is not None)
        print(f"{name:24} revoked {at:%Y-%m-%d}")
    return 0


def revoke(options: argparse.Namespace) -> int:
    """Revoke all certificates of a client; repeated, it gives the broker the list again."""
    if options.name == "broker":
        raise UserError("the broker cannot be revoked: where its key is known to others, make a new site")
    with open_site(options.site) as site:
        deployment.require_rights(site.settings.deployed)
        known = {one.name for one in site.issued} - {"broker"}
        if options.name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise UserError(f"{options.name!r} has no certificate to revoke; known: {names}")
        # Repeated, only what is in force is looked at, and what is not is done again.
        with deployment.broker_update(site, changes=site.find(options.name) is not None):
            found = site.revoke(options.name)
            site.save()
            print_status(
                f"{options.name}: {len(found)} certificate(s) on the revocation list"
                if found
                else f"{options.name}: on the revocation list already"
            )
            with contextlib.suppress(OSError):
                (site.folder / "joins" / f"{options.name}.join").unlink()
    return 0


def renew(options: argparse.Namespace) -> int:
    """Issue new certificates for the same keys."""
    if not options.names and not options.due:
        raise UserError("fleet renew: give names, or --due for all that end within 30 days")
    with open_site(options.site) as site:
        due = now_utc() + timedelta(days=sites.RENEW_DAYS)
        chosen = {one.name: one for one in site.current() if options.due and one.expires < due}
        for name in options.names:
            known = site.find(name)
            if known is None:
                raise UserError(f"{name!r} has no certificate; `fleet list` shows who has")
            chosen[name] = known
        own = chosen.pop("broker", None)
        if own is not None:
            deployment.require_rights(site.settings.deployed)
        for one in chosen.values():
            renew_one(site, one, options.days)
        if own is not None:
            with deployment.broker_update(site):
                renew_one(site, own, options.days)
            return 0
        if not chosen:
            print_status("nothing to renew: no certificate ends within 30 days")
    return 0


def renew_one(site: Site, old: IssuedCertificate, days: int) -> None:
    """Issue a new certificate for the same key, and write the join file where it is not the broker's."""
    if old.role == "broker":
        site.renew_broker(days)
        site.save()
        print_status("broker: renewed")
        return
    join = _signed(site, site.renew(old, days))
    site.save()
    out = site.folder / "joins" / f"{old.name}.join"
    with contextlib.suppress(UserError):
        # The file was not carried to its client yet: it holds the only copy of the key.
        join = msgspec.structs.replace(join, key=read(out).key)
    _write_join(out, join)
    secret = "a secret, the key is still in it" if join.key else "no secret"
    print_status(f"{old.name}: renewed until {join.expires[:10]}; {out} is {secret}; {_next_step(out, join)}")
    print(out)


def _next_step(out: Path, join: Join, *, own_key: bool = False) -> str:
    """What is typed where the file goes; `own_key`: the key was made there, and is in no folder of a site yet."""
    key, code = f" --key {join.name}.key" if own_key else "", f" --code {code_of(join)}"
    if join.role != "device":
        return f"at the client: roomtone join {out.name} --to {join.name}-site{key}{code}"
    by_hand = f"roomtone join {out.name} --to {join.name}-site{key}"
    return f"at the device: sudo provisioning/install.sh --join {out.name}{key}{code} (by hand: {by_hand})"


def _signed(site: Site, join: Join) -> Join:
    """Sign a join file, with where a device gets its models and which keys may sign them, if the site has such keys."""
    whole = _with_models(site, join)
    return msgspec.structs.replace(whole, signature=site.authority.sign(signed_bytes(whole)))


def _with_models(site: Site, join: Join) -> Join:
    folder = site.folder / MODELS
    if join.role != "device" or not folder.is_dir():
        return join
    from provisioning.publish.catalogue import Catalogue

    catalogue = Catalogue(folder)
    catalogue.root()  # Damage is found here, not at a device.
    root = read_text(catalogue.roots()[-1])
    return msgspec.structs.replace(
        join, models=Models(url=catalogue.about.url, root=root, ca=catalogue.about.ca)
    )


def _write_join(out: Path, join: Join) -> None:
    write(out, msgspec.json.format(msgspec.json.encode(join)) + b"\n", 0o600 if join.key else 0o644)
