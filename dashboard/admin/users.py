"""`roomtone hub user`: users and API tokens."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dashboard.admin.options import add_database
from edge.util.errors import UserError
from edge.util.text.passwords import ask_password

if TYPE_CHECKING:
    from dashboard.auth.accounts import Accounts


def register(verbs: Any) -> None:
    """Add `user` to the commands of `roomtone hub`."""
    parser = verbs.add_parser("user", help="users, and API tokens for programs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, text in (
        ("add", "create a user"),
        ("passwd", "change the password; ends the user's sessions, with --end-tokens also API tokens"),
        ("role", "change the role; ends the user's sessions"),
        ("remove", "delete a user with all sessions and tokens"),
        ("token", "create an API token with the user's rights; it is printed once"),
        ("list", "list all users"),
    ):
        sub = actions.add_parser(action, help=text, description=text[:1].upper() + text[1:] + ".")
        add_database(sub)
        if action != "list":
            sub.add_argument("name", help="of the user")
        if action in ("add", "role"):
            sub.add_argument(
                "--role",
                choices=("viewer", "operator"),
                required=action == "role",
                default="viewer",
                help="a viewer reads, an operator also sends commands and erases (default: viewer)",
            )
        if action in ("add", "passwd"):
            source = sub.add_mutually_exclusive_group()
            source.add_argument("--generate", action="store_true", help="create a password and print it once")
            source.add_argument("--stdin", action="store_true", help="read it from standard input")
        if action == "passwd":
            sub.add_argument("--end-tokens", action="store_true", help="also end the user's API tokens")
        if action == "token":
            sub.add_argument("--label", default="token", help="what it is for (default: %(default)s)")
            sub.add_argument(
                "--days", type=int, default=365, help="days until it expires (default: %(default)s)"
            )
        if action == "list":
            sub.add_argument("--json", action="store_true", help="as one JSON array")
        sub.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List, add, change or remove a user of the dashboard, as the options say. Raises `UserError`."""
    from dashboard.admin.database import open_database
    from dashboard.auth.accounts import Accounts
    from dashboard.auth.audit import AuditLog

    with open_database(options.database, create=options.action == "add") as engine:
        accounts = Accounts(engine)
        if options.action == "list":
            _list(accounts.list_users(), as_json=options.json)
            return 0
        target = _change(accounts, options)
        AuditLog(engine).record("terminal", "", f"user {options.action}", target)
    return 0


def _change(accounts: Accounts, options: argparse.Namespace) -> str:
    """Do what the options say; return what it was done to, for the audit log. Raises `UserError`."""
    match options.action:
        case "add":
            password = _password(options)
            accounts.add(options.name, options.role, password)
            _print_generated(options, password)
            return f"{options.name} {options.role}"
        case "passwd":
            password = _password(options)
            accounts.update(options.name, password=password, end_tokens=options.end_tokens)
            _print_generated(options, password)
        case "role":
            accounts.update(options.name, role=options.role)
            return f"{options.name} {options.role}"
        case "remove":
            accounts.remove(options.name)
        case "token":
            if not 1 <= options.days <= 3650:
                raise UserError("--days: from 1 to 3650")
            print(accounts.create_session(options.name, options.label or "token", options.days * 86_400_000))
    return str(options.name)


def _password(options: argparse.Namespace) -> str:
    from dashboard.auth import passwords

    if options.generate:
        return passwords.generate()
    if options.stdin:
        return sys.stdin.readline().rstrip("\n")
    missing = "no password was typed at a terminal: use --generate or --stdin"
    if not sys.stdin.isatty():
        raise UserError(missing)
    password = ask_password(f"Password for {options.name}: ", missing)
    if ask_password("Repeat: ", missing) != password:
        raise UserError("the passwords differ")
    return password


def _print_generated(options: argparse.Namespace, password: str) -> None:
    if options.generate:
        print(password)


def _list(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        since = datetime.fromtimestamp(row["created"] / 1000, UTC).date().isoformat()
        open_now = f"sessions: {row['sessions']}, API tokens: {row['tokens']}"
        print(f"{row['name']:<24} {row['role']:<9} since {since}  {open_now}")
    if not rows:
        print("no users yet: the first start of the dashboard creates one, or `roomtone hub user add NAME`")
