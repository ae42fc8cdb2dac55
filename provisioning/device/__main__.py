"""`python -m provisioning.device`: configuration and drop-ins, called by `install.sh`."""

from __future__ import annotations

import argparse
import platform
import sys
import tomllib
from pathlib import Path
from typing import Any

from edge.config.load import load
from edge.releases.join_trust import Consent, ask_at_terminal
from edge.util.atomic_file import update
from edge.util.errors import UserError
from edge.util.text.passwords import ask_password
from edge.util.text.text_file import first_line, read_text
from provisioning.device import connection
from provisioning.device.renamed_keys import rewrite


def main() -> int:
    """Run `python -m provisioning.device`; return 0, or 2 after one line about what the user can correct."""
    parser = argparse.ArgumentParser(prog="python -m provisioning.device", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    configure = verbs.add_parser("configure", help="write the configuration and the credentials")
    configure.add_argument("--config", type=Path, required=True)
    configure.add_argument("--credentials", type=Path, required=True)
    configure.add_argument(
        "--backup", type=Path, help="copy of a file whose keys are renamed; one that exists is kept"
    )
    which = configure.add_mutually_exclusive_group()
    which.add_argument("--broker", action="append")
    which.add_argument("--join", type=Path)
    configure.add_argument("--code")
    configure.add_argument("--key", type=Path)
    configure.add_argument("--new-site", action="store_true")
    configure.add_argument("--accept-unconfirmed", action="store_true")
    configure.add_argument("--password-file", type=Path)
    configure.add_argument("--ca", type=Path)
    configure.add_argument("--node")
    configure.add_argument("--name")
    configure.set_defaults(run=_configure)
    dropins = verbs.add_parser(
        "dropins", help="write the drop-ins that this configuration needs, and print what changed"
    )
    dropins.add_argument("--config", type=Path, required=True)
    dropins.add_argument("--units", type=Path, required=True)
    dropins.set_defaults(run=_dropins)
    options = parser.parse_args()
    try:
        options.run(options)
    except UserError as error:
        print(f"install.sh: {error}", file=sys.stderr)
        return 2
    return 0


def _configure(options: argparse.Namespace) -> None:
    settings: dict[str, Any] = {}
    if options.broker is not None:
        settings = connection.from_addresses(options.broker, ca=options.ca is not None)
        if not settings["mqtt.tls"]:
            print(
                "install.sh: warning: mqtt:// is not encrypted: everything on this network can read every event"
                f"{' and the password' if 'mqtt.username' in settings else ''}; use mqtts:// where the broker can",
                file=sys.stderr,
            )
        if "mqtt.username" in settings:
            update(
                options.credentials / connection.PASSWORD, _password(options, settings["mqtt.host"]), 0o600
            )
        if options.ca is not None:
            update(options.credentials / connection.CA, read_text(options.ca, "`--ca`"), 0o600)
    if options.join is not None:
        settings = _join(options)
    if options.config.exists():
        _rename_keys(options.config, options.backup)
    else:
        _set_defaults(settings)
    if options.node is not None:
        settings["node.id"] = options.node
    if options.name is not None:
        settings["node.name"] = options.name
    if settings:
        text = connection.merged(options.config, settings, anew="mqtt.host" in settings)
        if update(options.config, text, 0o644):
            print(f"wrote {options.config}")
    load(options.config)


def _join(options: argparse.Namespace) -> dict[str, Any]:
    consent = Consent(options.code, options.new_site, options.accept_unconfirmed, ask_at_terminal)
    settings, note = connection.from_join(options.join, options.credentials, consent, options.key)
    if note:
        print(f"install.sh: {note}", file=sys.stderr)
    if options.node not in {None, settings.get("node.id")}:
        raise UserError(
            f"--node {options.node}: the join file is for {settings.get('node.id')}; leave --node out"
        )
    return settings


def _set_defaults(settings: dict[str, Any]) -> None:
    """Add what a first configuration needs."""
    settings.setdefault("runtime.state_dir", "/var/lib/roomtone/link")
    settings.setdefault("node.id", connection.default_node(platform.node()))
    if platform.machine() in {"armv6l", "armv7l"}:
        settings.setdefault("model.bundle", "small")


def _rename_keys(config: Path, backup: Path | None) -> None:
    """Give the keys of an earlier version their present names, and keep a copy of the file."""
    old = read_text(config, "the configuration")
    try:
        new, changes = rewrite(old)
    except tomllib.TOMLDecodeError:
        return  # `load` names the line
    if not changes:
        return
    if backup is not None and not backup.exists():
        update(backup, old, 0o644)
        print(f"{config} has keys of an earlier version; a copy of it is {backup}")
    for change in changes:
        print(f"{config}: {change}")
    update(config, new, 0o644)


def _password(options: argparse.Namespace, host: str) -> str:
    if options.password_file is not None:
        return first_line(options.password_file, "`--password-file`") + "\n"
    kept: Path = options.credentials / connection.PASSWORD
    if not sys.stdin.isatty():
        if kept.exists():
            return kept.read_text(encoding="utf-8")
        raise UserError(
            "a password is needed and there is no terminal to ask for it; name a file with --password-file"
        )
    entered = ask_password(
        f"Password for {host}: ", "no password was typed; name a file with --password-file"
    )
    if not entered:
        raise UserError("no password was given")
    return entered + "\n"


def _dropins(options: argparse.Namespace) -> None:
    for unit, text in connection.dropins(load(options.config)).items():
        file = options.units / f"{unit}.service.d" / "50-configuration.conf"
        if text:
            file.parent.mkdir(exist_ok=True)
            if update(file, text, 0o644):
                print(f"wrote {file}")
        elif file.exists():
            file.unlink()
            print(f"removed {file}")


if __name__ == "__main__":
    sys.exit(main())
