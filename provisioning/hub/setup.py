"""`roomtone hub setup`: everything that a hub's broker, recorder and dashboard need, in one folder.

    site/        the certificate authority (`roomtone fleet`), needed only to enrol devices
    broker/      configuration, certificate and access list of mosquitto
    dashboard/   a client certificate with the role operator
    recorder/    a client certificate with the role recorder
    broker-data/ what mosquitto keeps: queues and retained messages
    data/        the database
    push/        a client certificate with the role operator, for `roomtone fleet push` on this machine
    updates/     the repository of model releases: what `roomtone fleet --site DIR/site keys init` has made is moved
                 here at the next start

A second run renews certificates that expire soon, and applies other names or another port where it is given them.
"""

from __future__ import annotations

import argparse
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config import join_file
from edge.config.join_file import ABOUT, Role
from provisioning.fleet import authority, commands, deployment
from provisioning.fleet import site as sites
from provisioning.fleet.authority import now_utc
from provisioning.fleet.console import checked_hosts, print_status
from provisioning.fleet.records import Deployment, SiteSettings
from provisioning.hub import addresses, page_authority, run_options
from provisioning.hub.broker import USER as BROKER_USER

DAYS: Final = 730
"""How long certificates are valid."""
CLIENTS: Final[tuple[tuple[str, Role], ...]] = (("dashboard", "operator"), ("recorder", "recorder"))
PUSH: Final[tuple[str, Role]] = ("push", "operator")
"""For `roomtone fleet push`, where the site is in the hub's own folder."""


def register(verbs: Any) -> None:
    """Add `setup` to the commands of `roomtone hub`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "setup",
        help="create a site with the certificates and the configuration of its hub, in one folder",
        description="Creates everything that a hub needs in one folder; a second run renews what expires soon.",
    )
    run_options.add_machine_options(parser)
    parser.add_argument("--site", type=Path, metavar="DIR", help="folder of the site (default: DIR/site)")
    parser.add_argument(
        "--own-broker",
        metavar="HOST",
        help="host by which dashboard and recorder reach the broker (default: as devices do)",
    )
    parser.add_argument(
        "--broker-data", metavar="DIR", help="folder for what mosquitto keeps (default: DIR/broker-data/)"
    )
    parser.add_argument(
        "--proxy-data",
        type=Path,
        metavar="DIR",
        help="folder of Caddy's data: its authority is made there (default: DIR/data/caddy)",
    )
    parser.add_argument(
        "--owner", default="", metavar="USER", help="user of the broker, as root (default: mosquitto)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Create or renew. Raises `UserError`."""
    created = prepare(
        options.dir,
        options.host,
        options.mqtt_port,
        site=options.site,
        own_broker=options.own_broker,
        broker_data=options.broker_data,
        owner=options.owner,
        proxy_data=options.proxy_data,
    )
    print(f"{options.dir}: {'created' if created else 'exists already'}")
    return 0


def prepare(
    folder: Path,
    hosts: list[str],
    port: int | None,
    *,
    site: Path | None = None,
    own_broker: str | None = None,
    broker_data: str | None = None,
    owner: str = "",
    proxy_data: Path | None = None,
) -> bool:
    """Create what is missing; return whether the site is new. `owner`: of the broker's files. Raises `UserError`.

    Of a site that is there already, other hosts and another port are applied everywhere, or refused.
    """
    site = site or folder / "site"
    hosts = run_options.parse_hosts(hosts)
    owner = owner or (BROKER_USER if os.geteuid() == 0 else str(os.getuid()))
    # Before anything is created.
    checked_hosts([own_broker] if own_broker else [], "--own-broker")
    if port is not None:
        run_options.require_port(port, "--mqtt-port")
    new = not (site / "ca.key").exists()
    if new:
        sites.require_free(site)
    else:
        with sites.open_site(site):
            pass  # It can be read.
    folder.mkdir(mode=0o751, parents=True, exist_ok=True)
    (folder / "data").mkdir(mode=0o750, exist_ok=True)
    (folder / "updates").mkdir(mode=0o700, exist_ok=True)
    programs = [folder / name for name, _ in (*CLIENTS, PUSH)]
    if new:
        names = [*(hosts or ["localhost"]), *addresses.LOOPBACK, *([own_broker] if own_broker else [])]
        data = broker_data or f"{_broker_data(folder, owner)}/"
        _create_site(
            site, names, port or run_options.DEFAULT_PORT, _deployment(folder, data, owner, own_broker)
        )
    else:
        addresses.apply_changes(site, hosts, port, programs, DAYS)
        _renew_expiring(site)
    _prepare_pages(proxy_data or folder / "data" / "caddy", site)
    own_site = site == folder / "site"
    for name, role in (*CLIENTS, PUSH) if own_site else CLIENTS:
        _enrol_client(site, name, role, folder / name, own_broker)
    if own_site:
        _adopt_releases(site / sites.MODELS / "hub", folder / "updates")
    return new


def _prepare_pages(caddy_data: Path, site: Path) -> None:
    """Make the authority of the pages; say where phones need another one."""
    hosts, _ = addresses.hosts_of(site)
    with_models = (site / sites.MODELS).is_dir()
    if page_authority.prepare(caddy_data, hosts, replace=not with_models) == "replaced":
        print_status(
            "the pages have a new authority, because the old one may not sign for all names: phones and browsers that "
            "trusted the old one need the new one, from the page /phone"
        )


def _adopt_releases(made: Path, served: Path) -> None:
    """Move what `keys init` has made to where the dashboard serves it, once: the online key must not be twice."""
    # A dashboard without releases has made its folders, with nothing in them.
    if not made.is_dir() or any(path.is_file() for path in served.rglob("*")):
        return
    if served.is_dir():
        shutil.rmtree(served)
    made.rename(served)


def _deployment(folder: Path, data: str, owner: str, address: str | None) -> Deployment:
    """Where `roomtone hub broker` reads its files; it restarts the broker when they change."""
    return Deployment(
        folder=str((folder / "broker").absolute()),
        data=data.rstrip("/") + "/",
        owner=owner,
        restart="",
        address=address or "127.0.0.1",
    )


def _broker_data(folder: Path, owner: str) -> Path:
    data = (folder / "broker-data").absolute()
    data.mkdir(mode=0o700, exist_ok=True)
    deployment.set_owner(data, owner)
    return data


def _create_site(folder: Path, hosts: list[str], port: int, target: Deployment) -> None:
    """Create the site and put the broker's files where `hub run` or the container reads them.

    The broker does not run yet: what is in force is looked at when it does.
    """
    settings = SiteSettings(name="home", hosts=checked_hosts(hosts), port=port)
    sites.create_site(folder, settings, DAYS)
    with sites.open_site(folder) as site:
        deployment.set_deployment(site, target)
        site.save()
        deployment.copy_files(site)


def _renew_expiring(folder: Path) -> None:
    limit = now_utc() + timedelta(days=sites.RENEW_DAYS)
    with sites.open_site(folder) as site:
        expiring = [one for one in site.current() if one.expires < limit]
        for one in expiring:
            commands.renew_one(site, one, DAYS)
        if any(one.role == "broker" for one in expiring):
            site.require_broker()
            site.save()
            deployment.copy_files(site)


def _enrol_client(folder: Path, name: str, role: Role, to: Path, host: str | None) -> None:
    """Unpack a renewed certificate, or enrol a program of the hub that has none."""
    renewed = folder / "joins" / f"{role}.{name}.join"
    if renewed.exists():
        join = join_file.read(renewed)
    elif not (to / ABOUT).exists():
        key = authority.new_key()
        with sites.open_site(folder) as site:
            join = site.enrol(sites.certificate_name(name, role), role, key.public_key(), DAYS)
            site.require_broker()
            site.save()
            deployment.copy_files(site)
        join = msgspec.structs.replace(join, key=authority.key_pem(key))
    else:
        return
    # The programs of the hub may reach the broker by another name than the devices.
    join_file.unpack(msgspec.structs.replace(join, host=host or join.host), to.absolute())
    renewed.unlink(missing_ok=True)
