"""The pages recognise refusals of the server by their English text: each must be one that the server has."""

from __future__ import annotations

import re

import pytest

from dashboard.auth import passwords
from tests.conftest import ROOT

TEXTS = dict(
    re.findall(
        r'^  (\w+): "(.+)",$',
        (ROOT / "dashboard/frontend/src/i18n/en-errors.ts").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "dashboard").rglob("*.py")))


def test_there_are_some():
    assert len(TEXTS) > 10


@pytest.mark.parametrize("text", [text for key, text in TEXTS.items() if not key.startswith("password_")])
def test_the_server_says_so(text):
    assert f'"{text}' in SOURCES


@pytest.mark.parametrize(
    ("key", "password"), [("short", "abc"), ("name", "operator-operator"), ("plain", "aaaaaaaaaaaa")]
)
def test_a_password_is_refused_so(key, password):
    assert passwords.problem_with(password, "operator") == TEXTS[f"password_{key}"]
