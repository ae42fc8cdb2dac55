"""The part of `roomtone fleet` that is about models."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.mqtt.options import add_options
from edge.util.errors import UserError

EPILOG: Final = """
  roomtone fleet keys init --url https://hub.local/updates         who may sign models: once
  roomtone fleet push models/base-1.1.0 --to all                   sign, upload and roll out to every device
  roomtone fleet push 1.1.0 --to all --percent 10 --then 100 --wait 1h      10 % first; halts by itself
  roomtone fleet withdraw 1.1.0                                    go back to the previous version everywhere
  roomtone fleet publish models/base-1.1.0                         sign and upload only; `push` gives it to devices
  roomtone fleet group upstairs attic bath                         a name for `push --to upstairs`
  roomtone fleet refresh                                           upload what is new, renew the timestamp
  roomtone fleet keys show                                         who signs what, and until when
  roomtone fleet keys sign --key root-2.key                        the second signature of a new root
  roomtone fleet keys rotate online                                the hub was compromised
"""


def register(verbs: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands for models to `roomtone fleet`; `verb` makes the parser of each."""
    _keys(verbs, verb)
    text = "sign a bundle and upload it to the hub; devices get it by `push`"
    publish = verb(verbs, "publish", _run("commands", "publish_bundle"), text)
    publish.add_argument("bundle", help="a bundle's folder or name")
    publish.add_argument("--everywhere", action="store_true", help="for every device at once, without a push")
    _publishing(publish)
    text = "roll a release out to devices in stages and watch them; a bundle's folder is published first"
    push = verb(verbs, "push", _run("push", "run"), text)
    push.add_argument("bundle", metavar="VERSION", help="a published version or name, or a bundle's folder")
    push.add_argument("--to", required=True, metavar="WHOM", help="a node, a group, or `all`")
    push.add_argument("--percent", type=int, default=100, help="of them at first (default: %(default)s)")
    push.add_argument(
        "--then",
        type=int,
        action="append",
        default=[],
        metavar="PERCENT",
        help="the next stage; may be given again",
    )
    push.add_argument("--wait", default="1h", help="how long a stage may take (default: %(default)s)")
    push.add_argument(
        "--halt-at", type=float, default=10.0, metavar="PERCENT",
        help="halt when more of the devices roll it back or refuse it (default: %(default)s)",
    )  # fmt: skip
    push.add_argument("--json", action="store_true", help="one JSON line for each change")
    _publishing(push)
    add_options(push)
    refresh = verb(
        verbs, "refresh", _run("commands", "refresh"), "upload what is new to the hub and renew the timestamp"
    )
    refresh.add_argument(
        "--targets", action="store_true", help="sign the list of targets again, even if it is still valid"
    )
    _signing(refresh)
    text = "withdraw a version: no device gets it any more, and those that run it go back to the previous one"
    withdraw = verb(verbs, "withdraw", _run("commands", "withdraw"), text)
    withdraw.add_argument("version", help="such as 1.1.0 or base-1.1.0")
    _signing(withdraw)
    group = verb(verbs, "group", _run("commands", "group"), "name a set of devices for `push --to`")
    group.add_argument("name", help="of the group")
    group.add_argument("nodes", nargs="*", metavar="NODE", help="none: remove the group")


def _keys(verbs: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    keys = verb(verbs, "keys", None, "who may sign models: make, show, change")
    actions = keys.add_subparsers(metavar="ACTION", required=True)
    init = verb(
        actions, "init", _run("commands", "keys_init"), "make the keys, the first root, and the hub's folder"
    )
    init.add_argument(
        "--url", required=True, help="where the hub will serve it, such as https://hub.local/updates"
    )
    init.add_argument(
        "--profile", choices=("home", "site"), default="home",
        help="home: one root key; site: three, of which two have to sign (default: %(default)s)",
    )  # fmt: skip
    init.add_argument(
        "--ca", type=Path, metavar="FILE",
        help="who signed the hub's certificate, where that is neither this site nor a public authority",
    )  # fmt: skip
    _passphrase(init)
    show = verb(actions, "show", _run("commands", "keys_show"), "who signs what, and until when")
    show.add_argument("--json", action="store_true", help="one JSON object")
    rotate = verb(
        actions, "rotate", _run("commands", "keys_rotate"), "a new key for a role; the old one is revoked"
    )
    rotate.add_argument(
        "role", choices=("root", "targets", "online", "token"), help="`token`: that of the upload to the hub"
    )
    sign = verb(
        actions, "sign", _run("commands", "keys_sign"), "add a signature to a root that is pending (site)"
    )
    for parser in (rotate, sign):
        parser.add_argument(
            "--key", type=Path, action="append", default=[], metavar="FILE",
            help="a root key; may be given again (default: those in the site's folder)",
        )  # fmt: skip
        _passphrase(parser)
        _clock_and_hub(parser)


def _publishing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--channel",
        choices=("stable", "beta"),
        default="stable",
        help='beta: only for devices with `updates.channel = "beta"` (default: %(default)s)',
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="recordings for the comparison with what runs now"
    )
    parser.add_argument(
        "--protocol", action="append", metavar="NAME", help="as `train compare` takes it (default: as there)"
    )
    parser.add_argument(
        "--force", metavar="REASON", help="publish against the verdict; the reason is signed, too"
    )
    parser.add_argument(
        "--again", action="store_true", help="a version that is not newer than what is published"
    )
    _signing(parser)


def _signing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--targets-key",
        type=Path,
        metavar="FILE",
        help="the key that signs (default: targets.key in the site's folder)",
    )
    _passphrase(parser)
    _clock_and_hub(parser)


def _passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="first line: the passphrase (default: it is asked for)",
    )


def _clock_and_hub(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clock-is-right", action="store_true",
        help="sign although the newest signature has a later date: this computer's clock was wrong then",
    )  # fmt: skip
    parser.add_argument(
        "--ca", type=Path, metavar="FILE",
        help="who signed the hub's certificate (default: as given at `keys init`, else this site's ca.crt)",
    )  # fmt: skip
    parser.add_argument(
        "--no-upload", action="store_true", help="only bring models/hub up to date, to be copied to the hub"
    )


def _run(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """Loads the libraries for the command itself, and says what is missing."""

    def run(options: argparse.Namespace) -> int:
        import importlib

        try:
            found = importlib.import_module(f"provisioning.publish.{module}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] in ("edge", "provisioning", "dashboard"):
                raise
            raise UserError(f"this needs {error.name}: install the extra fleet (docs/install.md)") from None
        action: Callable[[argparse.Namespace], int] = getattr(found, name)
        return action(options)

    return run
