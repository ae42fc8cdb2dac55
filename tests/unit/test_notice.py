"""NOTICE names every library of a device or a hub whose licence asks for more than naming."""

from __future__ import annotations

import importlib.metadata
import re

import pytest

from tests.conftest import ROOT

LOCKS = ("device", "device-armhf", "hub", "gpio")
ASKS_MORE = re.compile(r"\b(L?GPL|A?GPL|MPL|EPL|CDDL|EUPL)|Mozilla|GNU|Eclipse", re.IGNORECASE)


def locked() -> set[str]:
    """Names in the lock files."""
    texts = [(ROOT / "provisioning" / "requirements" / f"{name}.txt").read_text() for name in LOCKS]
    return {name for text in texts for name in re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)}


def licence(name: str) -> str:
    """What a package's metadata say of its licence; empty where it is not installed here."""
    try:
        found = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
    classifiers = [one for one in found.get_all("Classifier") or [] if one.startswith("License")]
    # The field `License` may hold the whole text, which names other licences.
    short = (found.get("License") or "").splitlines()[:1]
    return " ".join([found.get("License-Expression") or "", *short, *classifiers])


def test_every_library_whose_licence_asks_for_more_is_named() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    wanted = {name for name in locked() if ASKS_MORE.search(licence(name))}
    assert {"soxr", "certifi"} <= wanted, "the positive control"
    missing = {name for name in wanted if not re.search(rf"^  {re.escape(name)} ", notice, re.MULTILINE)}
    assert missing == set()


@pytest.mark.parametrize("step", ["cyclonedx-py requirements", "sha256sum"])
def test_a_release_lists_what_is_installed_and_the_hashes_of_its_files(step: str) -> None:
    assert step in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
