"""The names and the port by which a hub is reached, when it is started again with others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from edge.config import join_file
from edge.config.join_file import ABOUT
from edge.util.errors import UserError
from provisioning.fleet import deployment
from provisioning.fleet import site as sites
from provisioning.fleet.console import checked_hosts
from provisioning.fleet.site import Site
from provisioning.publish.catalogue import Catalogue

LOOPBACK: Final = ("localhost", "127.0.0.1")


def hosts_of(site_folder: Path) -> tuple[list[str], int]:
    """Return the names by which a hub is reached, the main one first, and the broker's port. Raises `UserError`."""
    with sites.open_site(site_folder) as site:
        return list(site.settings.hosts), site.settings.port


def apply_changes(
    site_folder: Path, hosts: Sequence[str], port: int | None, programs: Iterable[Path], days: int
) -> None:
    """Give the broker of a site other names or another port, as far as its devices can follow.

    Names that were given before stay in the certificate: devices use them. `programs` are the folders of the hub's own
    clients, which learn the new port. Nothing given is nothing changed. Raises `UserError`.
    """
    with sites.open_site(site_folder) as site:
        known = site.settings.hosts
        wanted = checked_hosts([*hosts, *known]) if hosts else known
        new_port = port or site.settings.port
        if wanted == known and new_port == site.settings.port:
            return
        if new_port != site.settings.port:
            _require_no_devices(site, new_port)
        site.settings = msgspec.structs.replace(site.settings, hosts=wanted, port=new_port)
        if set(wanted) != set(known):
            site.renew_broker(days)
        site.require_broker()
        site.save()
        deployment.copy_files(site)
    for folder in programs:
        _set_port(folder, new_port)


def require_same_pages(site_folder: Path, hosts: Sequence[str], https_port: int) -> None:
    """Raise `UserError` for a port of the pages by which devices do not get their models any more."""
    models = site_folder / sites.MODELS
    if not models.is_dir():
        return
    url = urlsplit(Catalogue(models).about.url)
    if url.hostname in hosts and (url.port or 443) != https_port:
        raise UserError(
            f"devices take models from {url.geturl()}: start with --https-port {url.port or 443}, or a device would "
            "get none any more"
        )


def _require_no_devices(site: Site, port: int) -> None:
    names = [one.name for one in site.current() if one.role == "device"]
    if names:
        raise UserError(
            f"--mqtt-port {port}: {', '.join(names[:3])}{' and others' if len(names) > 3 else ''} connect to port "
            f"{site.settings.port}, and would not find the broker any more; leave the option out"
        )


def _set_port(folder: Path, port: int) -> None:
    """Write another port of the broker into the folder of a client that is unpacked there."""
    if not (folder / ABOUT).exists():
        return
    about = join_file.read(folder / ABOUT)
    if about.port != port:
        join_file.unpack(msgspec.structs.replace(about, port=port), folder)
