"""`roomtone hub user`: who may log in."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from datetime import UTC, datetime
from typing import Any

from edge.util.errors import UserError


def register(verbs: Any) -> None:
    """Adds the verb."""
    from dashboard.admin.cli import add_database

    parser = verbs.add_parser("user", help="who may log in, and tokens for programs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, words in (
        ("add", "a new user"),
        ("passwd", "another password; ends the user's sessions"),
        ("role", "another role"),
        ("remove", "end an account, its sessions and tokens"),
        ("token", "a token for a program, with the user's rights; it is shown once"),
        ("list", "all users"),
    ):
        one = actions.add_parser(action, help=words, description=words[:1].upper() + words[1:] + ".")
        add_database(one)
        if action != "list":
            one.add_argument("name")
        if action in ("add", "role"):
            one.add_argument(
                "--role",
                choices=("viewer", "operator"),
                required=action == "role",
                default="viewer",
                help="a viewer sees everything, an operator also commands and erases (default: viewer)",
            )
        if action in ("add", "passwd"):
            how = one.add_mutually_exclusive_group()
            how.add_argument("--generate", action="store_true", help="make a password and print it once")
            how.add_argument("--stdin", action="store_true", help="read it from standard input")
        if action == "token":
            one.add_argument("--label", default="token", help="what it is for (default: %(default)s)")
            one.add_argument(
                "--days", type=int, default=365, help="how long it is good (default: %(default)s)"
            )
        if action == "list":
            one.add_argument("--json", action="store_true", help="as one JSON array")
        one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Does it. Raises `UserError`."""
    from dashboard.admin.database import accounts_of

    accounts, engine = accounts_of(options.database)
    try:
        if options.action == "list":
            _list(accounts.all(), as_json=options.json)
            return 0
        target = options.name
        match options.action:
            case "add":
                password = _password(options)
                accounts.add(options.name, options.role, password)
                _made(options, password)
                target = f"{options.name} {options.role}"
            case "passwd":
                password = _password(options)
                accounts.change(options.name, password=password)
                _made(options, password)
            case "role":
                accounts.change(options.name, role=options.role)
                target = f"{options.name} {options.role}"
            case "remove":
                accounts.remove(options.name)
            case "token":
                if not 1 <= options.days <= 3650:
                    raise UserError("--days: from 1 to 3650")
                print(accounts.open(options.name, options.label or "token", options.days * 86_400_000))
        accounts.note("terminal", "", f"user {options.action}", target)
    finally:
        engine.dispose()
    return 0


def _password(options: argparse.Namespace) -> str:
    from dashboard.auth import passwords

    if options.generate:
        return passwords.make()
    if options.stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise UserError("there is no terminal to ask for a password at: use --generate or --stdin")
    password = getpass.getpass(f"Password for {options.name}: ")
    if getpass.getpass("Again: ") != password:
        raise UserError("the two are not the same")
    return password


def _made(options: argparse.Namespace, password: str) -> None:
    if options.generate:
        print(password)


def _list(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        since = datetime.fromtimestamp(row["created"] / 1000, UTC).date().isoformat()
        print(f"{row['name']:<24} {row['role']:<9} since {since}  {row['sessions']} open")
    if not rows:
        print(
            "no users yet: the first start of the dashboard makes an operator, or `roomtone hub user add NAME`"
        )
