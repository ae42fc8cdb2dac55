"""The pages recognise refusals of the server by their English text: each must be one that the server has."""

from __future__ import annotations

import ast
import builtins
import re
import smtplib
import socket

import httpx
import pytest

from dashboard.auth import passwords
from edge.link.mute_commands import REASONS
from tests.conftest import ROOT

TEXTS = dict(
    re.findall(
        r'^  (\w+): "(.+)",$',
        (ROOT / "dashboard/frontend/src/i18n/en-errors.ts").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
FOLDERS = (ROOT / "dashboard", ROOT / "edge" / "link", ROOT / "edge" / "mqtt")
"""The hub's own, what devices answer to commands, and what their common client says."""
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.py"))
)
FOR_PROGRAMS = ("", "`from` and `to`: ", "`after` must be the `next` of the previous page")
"""Beginnings of refusals of what no page asks for; the first is that of a time, which is repeated."""


def test_there_are_some():
    assert len(TEXTS) > 10


@pytest.mark.parametrize(
    "text", [text for key, text in TEXTS.items() if not key.startswith(("password_", "muted_"))]
)
def test_the_server_says_so(text):
    assert f'"{text}' in SOURCES


@pytest.mark.parametrize(
    ("key", "password"), [("short", "abc"), ("name", "operator-operator"), ("plain", "aaaaaaaaaaaa")]
)
def test_a_password_is_refused_so(key, password):
    assert passwords.problem_with(password, "operator") == TEXTS[f"password_{key}"]


@pytest.mark.parametrize("reason", ["device", "quiet_hours"])
def test_a_device_refuses_to_unmute_so(reason):
    assert f"still muted: {REASONS[reason]}".startswith(TEXTS[f"muted_{reason}"])


def refusals_of_the_api():
    """The text of each refusal in `dashboard/api`, as far as it is always the same."""
    for path in sorted((ROOT / "dashboard" / "api").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="HTTPException"),
                    args=[_, ast.Constant(value=text) | ast.JoinedStr(values=[ast.Constant(value=text), *_])],
                ):
                    yield text


def test_every_refusal_of_the_api_is_translated():
    found = list(refusals_of_the_api())
    assert len(found) > 15
    known = tuple(TEXTS.values())
    assert [text for text in found if not text.startswith(known) and text not in FOR_PROGRAMS] == []


def codes_of_reasons():
    """Every word in the modules that say why there is no connection."""
    return set(re.findall(r'"([a-z]\w+)"', SOURCES)) | {"broker_certificate_18"}


def test_the_codes_that_the_pages_translate_are_codes_of_the_server():
    table = (ROOT / "dashboard/frontend/src/i18n/es-broker.ts").read_text(encoding="utf-8")
    wanted = re.findall(r'^  (\w+): "', table, re.MULTILINE)
    assert len(wanted) > 15
    assert [one for one in wanted if not any(code.startswith(one) for code in codes_of_reasons())] == []


OPENSSL = "CERTIFICATE_VERIFY_FAILED"
"""How OpenSSL names the reason of an `ssl.SSLCertVerificationError`, in its text."""
PARTS = re.findall(
    r'^    \["(.+?)", "',
    (ROOT / "dashboard/frontend/src/i18n/es-reasons.ts").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("part", PARTS)
def test_the_reasons_that_the_pages_translate_are_those_of_server_device_and_libraries(part):
    releases = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "edge" / "releases").rglob("*.py"))
    )
    exceptions = [name for module in (builtins, httpx, smtplib, socket) for name in vars(module)]
    assert part in SOURCES + releases or any(part in name for name in exceptions) or part == OPENSSL


def test_there_are_reasons():
    assert len(PARTS) > 30
