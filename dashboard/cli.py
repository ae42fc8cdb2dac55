"""`roomtone dashboard`: serves the pages and the API on one port."""

from __future__ import annotations

import argparse
import os
import signal
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dashboard.settings import MAX_ROOMS
from edge.mqtt import options as mqtt_options
from edge.util.errors import UserError

if TYPE_CHECKING:
    from dashboard.alerts.channels import NotificationSettings

SMTP_PASSWORD: Final = "ROOMTONE_SMTP_PASSWORD"
PUBLIC_HOST: Final = "ROOMTONE_PUBLIC_HOST"
"""Environment variable: the name for which Caddy obtains a public certificate (provisioning/hub/Caddyfile)."""
DEFAULT_BUNDLE: Final = "base"


EPILOG: Final = """examples:
  roomtone dashboard --broker mqtt://127.0.0.1                                  live pages, this computer only
  roomtone dashboard --broker mqtt://127.0.0.1 --database sqlite:////var/tmp/roomtone.db    and the past
  roomtone hub run --host hub.local --lan                                       a whole hub, with a login
"""


def register(subparsers: Any) -> None:
    """Add `roomtone dashboard` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "dashboard",
        help="live pages of all rooms, in a browser",
        description="Serves live pages of all rooms that publish to a broker.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve on (default: this machine only)"
    )
    parser.add_argument(
        "--root-path",
        metavar="PREFIX",
        help="not supported: these pages are at the root of a host name, not below a path of it",
    )
    parser.add_argument("--port", type=port, default=8080, help="port to serve on (default: %(default)s)")
    mqtt_options.add_options(parser)
    parser.add_argument(
        "--database",
        metavar="URL",
        help="the database of `roomtone recorder`: history, accounts and alert rules",
    )
    parser.add_argument(
        "--login",
        action="store_true",
        help="require a login (always required if other machines can connect; needs --database). The first start "
        "creates the user `operator` and prints the password once; `roomtone hub user` creates more",
    )
    _add_proxy_and_limits(parser)
    tries = parser.add_mutually_exclusive_group()
    tries.add_argument("--no-try-it", action="store_true", help="without the page *Try it*")
    tries.add_argument(
        "--try-it",
        action="store_true",
        help=f"with the page even with a public certificate (${PUBLIC_HOST}), where it is left out by default",
    )
    parser.add_argument(
        "--guest-links",
        action="store_true",
        help="let operators invite a guest to that page, by a link that works once within ten minutes (with --login)",
    )
    parser.add_argument("--bundle", help=f"the model of that page (default: {DEFAULT_BUNDLE})")
    parser.add_argument(
        "--updates",
        type=Path,
        metavar="DIR",
        help="serve the model releases of this folder to the devices (made by `roomtone fleet keys init`: models/hub)",
    )
    parser.add_argument(
        "--broker-denials",
        type=Path,
        metavar="FILE",
        help="show what the hub's own broker refuses (the file of `roomtone hub broker --denials`)",
    )
    _add_device_options(parser)
    _add_notification_options(parser)
    parser.add_argument("--check-options", action="store_true", help="only check these options, and end")
    parser.set_defaults(run=run)


def _add_proxy_and_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-rooms",
        type=int,
        default=MAX_ROOMS,
        metavar="N",
        help="live rooms that are kept in memory, about 25 kB each (default: %(default)s); messages of further ones "
        "are refused and counted, so that invented rooms cannot fill it",
    )
    parser.add_argument(
        "--proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address or network of a TLS proxy in front of this: its X-Forwarded-For is trusted",
    )


def _add_device_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the page *Add a device* says")
    group.add_argument(
        "--enrol",
        default="",
        metavar="COMMAND",
        help="the command that enrols a device where the site's authority is; the page puts the device's id at its "
        "end, or in place of {node}. It is only shown: these pages have no authority",
    )
    group.add_argument(
        "--device-broker",
        default="",
        metavar="URL",
        help="by which devices reach the broker (default: they cannot, or as these pages do without --enrol)",
    )


def _add_notification_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("notifications of alerts")
    group.add_argument(
        "--notify",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address or network in the own network that notifications may be sent to; public addresses always may",
    )
    group.add_argument(
        "--smtp",
        metavar="URL",
        help=f"server for e-mails: smtp://user@host or smtps://user@host; the password is in ${SMTP_PASSWORD}",
    )
    group.add_argument(
        "--mail-from", default="", metavar="ADDRESS", help="address that e-mails are sent from"
    )


def notification_settings(options: argparse.Namespace) -> NotificationSettings:
    """Return what the options of notifications say. Raises `UserError`."""
    # Not at the top: `roomtone --help` registers every command, and should not wait for what it does not use.
    from dashboard.alerts.addresses import AllowedAddresses
    from dashboard.alerts.channels import NotificationSettings
    from dashboard.alerts.mail import MailServer

    mail = None
    if options.mail_from and not options.smtp:
        raise UserError("--mail-from is of no use without --smtp URL, the server that sends the e-mails")
    if options.smtp:
        mail = MailServer.parse(options.smtp, options.mail_from, os.environ.get(SMTP_PASSWORD, ""))
    allowed = AllowedAddresses(tuple(ip_network(network(text, "--notify")) for text in options.notify))
    if mail is None:
        return NotificationSettings(allowed)
    return NotificationSettings(allowed, mail, f"mailto:{mail.sender}")


def run(options: argparse.Namespace) -> int:
    """Serve the dashboard until SIGINT or SIGTERM; returns the exit status. Raises `UserError`."""
    # Loading takes a second or two, and a signal in that time has to end the process as well. Not by an exception,
    # which the module being imported may swallow or convert. Nothing is open yet that would have to be closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    import logging

    from dashboard import server
    from dashboard.auth.local_token import new_token
    from dashboard.settings import Settings
    from edge.util import journal

    journal.configure("dashboard", "warning")
    broker, base_topic = mqtt_options.from_options(options)
    proxies = tuple(network(text) for text in options.proxy)
    _check_inputs(options)
    notifications = notification_settings(options)
    if options.check_options:
        return 0
    listener = server.listen(options.host, options.port)
    is_loopback = ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback
    login = options.login or bool(proxies) or not is_loopback
    if login and options.database is None:
        raise UserError(
            "a login needs --database URL for the accounts"
            + ("" if options.login or is_loopback else f": --host {options.host} is open to other machines")
        )
    if not is_loopback and not proxies:
        logging.warning(
            "passwords are sent unencrypted over the network of --host %s: use a TLS proxy (docs/hub.md)",
            options.host,
        )
    public_host = os.environ.get(PUBLIC_HOST, "")
    tried = not options.no_try_it and (options.try_it or not public_host)
    bundle = (options.bundle or DEFAULT_BUNDLE) if tried else None
    if options.guest_links and not (login and bundle):
        raise UserError("--guest-links needs a login (--login), and the page *Try it*")
    own = server.url_of(listener)
    settings = Settings(
        broker,
        base_topic,
        database=options.database,
        bundle=bundle,
        login=login,
        token="" if login else new_token(),
        guest_links=options.guest_links,
        enrol=options.enrol,
        device_broker=options.device_broker or ("" if options.enrol else _for_others(str(broker))),
        own_address=own,
        proxies=proxies,
        updates=options.updates,
        broker_denials=options.broker_denials,
        public_host=public_host,
        max_rooms=options.max_rooms,
    )
    return server.serve(settings, listener, notifications)


def _check_inputs(options: argparse.Namespace) -> None:
    """Raises `UserError` for options that can never work, and for a folder or a model that is not there."""
    if options.root_path is not None:
        raise UserError(
            f"--root-path {options.root_path}: these pages cannot be served below a path; "
            "give them a host name or a port of their own (docs/hub.md)"
        )
    if options.database is not None:
        from dashboard.db.engine import parse_url

        parse_url(options.database)
    if options.max_rooms < 1:
        raise UserError("--max-rooms: at least 1")
    if options.updates is not None and not options.updates.is_dir():
        raise UserError(
            f"--updates {options.updates}: no such folder; `roomtone fleet keys init` makes it: models/hub"
        )
    # Pages without the model of the default are of use, too.
    if options.bundle is not None:
        from edge.inference import bundle

        bundle.find(options.bundle)


def _for_others(url: str) -> str:
    """Return the URL of a broker for other machines; empty for one that only this machine reaches."""
    host = urlsplit(url).hostname or ""
    try:
        return "" if ip_address(host).is_loopback else url
    except ValueError:
        return "" if host == "localhost" else url


def network(text: str, option: str = "--proxy") -> str:
    """Return a normalised address or network of an option. Raises `UserError`."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise UserError(f"{option} {text}: not an address such as 127.0.0.1 or 172.28.0.0/16") from None


def port(text: str) -> int:
    """Parse a port number for `argparse`; 0 is any free port."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return number
