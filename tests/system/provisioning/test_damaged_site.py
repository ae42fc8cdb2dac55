"""Each file of a site, damaged in each way: every command works or is refused in one line, and nothing is made up."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.cli.main import main
from tests.support.damage import DAMAGES, random_bytes

COMMANDS = (("list",), ("keys", "show"), ("renew", "--due"), ("enrol", "attic"), ("refresh",))
FILES = {
    "ca.crt", "ca.key", "issued.json", "site.json",
    "broker/broker.crt", "broker/broker.key", "broker/ca.crt", "broker/crl.pem", "broker/dynamic-security.json",
    "broker/generation", "broker/mosquitto.conf",
    "joins/kitchen.join",
    "models/about.json", "models/root.key", "models/targets.key", "models/upload.token",
    "models/metadata/1.root.json", "models/metadata/1.targets.json",
    "models/hub/online.key", "models/hub/token.sha256", "models/hub/metadata/1.root.json",
    "models/hub/metadata/1.snapshot.json", "models/hub/metadata/1.targets.json", "models/hub/metadata/timestamp.json",
}  # fmt: skip
"""All files of a site with one device and keys for models."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    site, secret = folder / "site", folder / "passphrase"
    secret.write_text("correct horse battery\n")
    for status, words in (
        (0, ("init", "--broker", "hub.local")),
        (3, ("enrol", "kitchen")),
        (0, ("keys", "init", "--url", "https://hub.local/updates", "--passphrase-file", str(secret))),
    ):
        assert main(["fleet", "--site", str(site), *words]) == status
    return site


def test_all_files_of_a_site_are_listed_here(good: Path) -> None:
    assert {str(path.relative_to(good)) for path in good.rglob("*") if path.is_file()} == FILES


@contextlib.contextmanager
def copy_of(good: Path, folder: Path) -> Iterator[Path]:
    shutil.copytree(good, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "damage",
    [pytest.param(one, marks=() if one is random_bytes else pytest.mark.long) for one in DAMAGES],
    ids=lambda damage: damage.__name__,
)
@pytest.mark.parametrize("name", sorted(FILES))
def test_a_damaged_file_of_a_site_is_refused_in_one_line_or_not_needed(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: Callable[[Path], None]
) -> None:
    for words in COMMANDS:
        with copy_of(good, tmp_path / "site") as site:
            damage(site / name)
            before = (site / name).read_bytes()
            status = main(["fleet", "--site", str(site), *words])
            said = capsys.readouterr().err.splitlines()
            assert status in (0, 2, 3), (words, said)
            if status == 2:
                assert len(said) == 1, (words, said)
                assert (site / name).read_bytes() == before, (words, said)
