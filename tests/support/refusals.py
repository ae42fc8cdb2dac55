"""The refusals that users can meet, as the source has them, for docs/troubleshooting.md.

`python -m tests.support.refusals` rewrites the generated part of that page, and a test
compares it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from tests.conftest import ROOT
from tests.support.sources import python_files

PAGE = ROOT / "docs" / "troubleshooting.md"
MARK = "<!-- generated from the source by `python -m tests.support.refusals`: do not edit below -->\n"
PARTS = {
    "Configuration": (
        ("edge/config", "edge/util"),
        "Correct the key that the message names; docs/configuration.md explains each.",
    ),
    "Recordings": (("edge/audio",), "Convert the file to WAV, FLAC, Opus or MP3, or record it again."),
    "Models": (
        ("edge/inference", "edge/doctor"),
        "The bundle is damaged or not for this version: install the release again, or remove the folder. A device "
        "goes on with the model before, or with the one that was installed with Roomtone.",
    ),
    "Microphone": (
        ("edge/ear",),
        "`roomtone devices` lists the microphones that are there, `roomtone doctor` tests the one that is configured.",
    ),
    "Broker and link": (
        ("edge/link", "edge/mqtt", "edge/protocol"),
        "`roomtone doctor` connects with the same settings and names what fails.",
    ),
    "Model releases on a device": (
        ("edge/releases",),
        "`roomtone model status` shows the last error. Nothing is installed before it is verified, so a device is "
        "safe to leave as it is; check the address of the hub and its clock, and publish the release again.",
    ),
    "Commands": (("edge/cli",), "`roomtone COMMAND --help` has the options and examples."),
    "Hub": (
        ("dashboard", "provisioning/hub"),
        "Nothing is changed by a command that was refused; docs/hub.md explains them.",
    ),
    "Certificates": (
        ("provisioning/fleet",),
        "Nothing is enrolled, renewed or revoked by a command that was refused; docs/fleet.md explains them.",
    ),
    "Publishing models": (
        ("provisioning/publish",),
        "Nothing is published by a command that was refused; docs/updates.md explains them.",
    ),
    "Installation and demo": (
        ("provisioning/device", "provisioning/demo"),
        "Correct what the message names and run the command again: it goes on where it ended.",
    ),
}
"""Headings, the folders whose refusals are below them, and what helps where a message does not say it itself."""
WIDTH = 110


def user_errors() -> set[str]:
    """Names of `UserError` and all classes below it."""
    bases: dict[str, set[str]] = {}
    for top in ("edge", "dashboard", "provisioning"):
        for path in python_files(ROOT / top):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}
    found = {"UserError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def template(node: ast.expr) -> str | None:
    """The text of a message with `…` for what is filled in; None where it is not written there."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(v.value if isinstance(v, ast.Constant) else "…" for v in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (template(left) or "…") + (template(right) or "…")
    return None


def refusals_of(folder: str, errors: set[str]) -> list[str]:
    """All messages below a folder, sorted."""
    found = set()
    for path in python_files(ROOT / folder):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            names = {
                target.id: text
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and (text := template(node.value)) is not None
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(function):
                if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
                    continue
                call = node.exc.func
                name = call.id if isinstance(call, ast.Name) else ast.unparse(call).removeprefix("settings.")
                argument = node.exc.args[0]
                text = names.get(argument.id) if isinstance(argument, ast.Name) else template(argument)
                if name in errors and text is not None and re.search(r"[a-z]{3}", text):
                    found.add(" ".join(text.split()))
    return sorted(found, key=lambda text: text.lstrip("….: `\"'").lower())


def wrapped(text: str) -> Iterator[str]:
    """Lines of a list entry; a message stands in code marks that it does not have itself."""
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    line = f"- {fence}{space}"
    for word in f"{text}{space}{fence}".split(" "):
        if len(line) + len(word) > WIDTH:
            yield line.rstrip()
            line = "  "
        line += word + " "
    yield line.rstrip()


def generated() -> str:
    """The generated part of the page."""
    errors = user_errors()
    lines = []
    for heading, (folders, advice) in PARTS.items():
        messages = sorted({text for folder in folders for text in refusals_of(folder, errors)}, key=str.lower)
        if messages:
            lines += [f"### {heading}", "", *textwrap.wrap(advice, WIDTH), ""]
            lines += [*(line for text in messages for line in wrapped(text)), ""]
    return "\n".join(lines)


def main() -> None:
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(head + MARK + "\n" + generated(), encoding="utf-8")


if __name__ == "__main__":
    main()
