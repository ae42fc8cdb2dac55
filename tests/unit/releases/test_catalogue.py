"""The list of what is published, on the workstation."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.util.errors import UserError
from provisioning.publish.catalogue import About, Catalogue
from provisioning.publish.hub_repository import HubRepository


@pytest.mark.parametrize("content", [b"", b"{broken", b"\xff\xfe", b"[]"])
def test_damaged_metadata_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "about.json").write_bytes(msgspec.json.encode(About(url="https://hub.local/updates")))
    catalogue = Catalogue(tmp_path)
    catalogue.metadata.mkdir(parents=True)
    (catalogue.metadata / "1.targets.json").write_bytes(content)
    with pytest.raises(UserError, match=r"1\.targets\.json"):
        catalogue.listed()
    hub = HubRepository(tmp_path)
    hub.metadata.mkdir(exist_ok=True)
    (hub.metadata / "timestamp.json").write_bytes(content)
    with pytest.raises(UserError, match=r"timestamp\.json"):
        hub.open("timestamp")
