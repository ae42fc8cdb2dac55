"""A join file on its way: what is forged, changed or of another site is refused, and nothing is written then."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from edge.cli.main import main
from edge.config import join_file
from edge.config.join_file import read
from edge.releases.join_trust import code_of
from provisioning.device import __main__ as device
from provisioning.fleet.site import open_site


class Site:
    """A site with keys for models, and a join file for the kitchen."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.secret = folder / "passphrase"
        self.secret.write_text("correct horse\n")
        assert self.fleet("init", "--broker", "hub.local") == 0
        signing = ("--passphrase-file", self.secret)
        assert self.fleet("keys", "init", "--url", "https://hub.local/updates", *signing) == 0
        self.fleet("enrol", "kitchen")
        self.join = self.folder / "joins" / "kitchen.join"

    def fleet(self, *words: object) -> int:
        return main(["fleet", "--site", str(self.folder), *map(str, words)])

    def signed(self, tree: dict[str, object]) -> dict[str, object]:
        """As the owner of the authority's key would sign it."""
        unsigned = msgspec.convert(tree | {"signature": ""}, join_file.Join)
        with open_site(self.folder) as site:
            return tree | {"signature": site.authority.sign(join_file.signed_bytes(unsigned))}


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, "home")


@pytest.fixture
def other(tmp_path):
    return Site(tmp_path, "attacker")


UNCONFIRMED = "--accept-unconfirmed"


def join(file: Path, to: Path, *words: str) -> int:
    """What is looked at here is what holds beside the code."""
    return bare_join(file, to, *words, UNCONFIRMED)


def bare_join(file: Path, to: Path, *words: str) -> int:
    return main(["join", str(file), "--to", str(to), *words])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def changed(source: Path, to: Path, **fields: object) -> Path:
    to.write_text(json.dumps(json.loads(source.read_text()) | fields))
    return to


def test_the_code_that_enrol_shows_is_that_of_the_file_and_of_no_other(site, other, tmp_path, capsys):
    for one in (site, other):
        one.fleet("enrol", "study")
        one.join = one.folder / "joins" / "study.join"
    shown = capsys.readouterr().err
    codes = re.findall(r"--code ([A-Z2-7]{5}-[A-Z2-7]{5}-[A-Z2-7]{5})", shown)
    assert codes == [code_of(read(site.join)), code_of(read(other.join))]
    assert join(other.join, tmp_path / "k", "--code", codes[0]) == 2
    assert files(tmp_path / "k") == {}
    assert join(site.join, tmp_path / "k", "--code", codes[0].lower()) == 0


def test_the_first_file_of_a_site_needs_its_code(site, other, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    place = tmp_path / "k"
    assert bare_join(site.join, place) == 2
    assert "--code" in capsys.readouterr().err
    assert files(place) == {}
    assert bare_join(site.join, place, UNCONFIRMED) == 0
    assert code_of(read(site.join)) in capsys.readouterr().err, "it is shown, to be compared"
    before = files(place)
    # Another site is as new as a first one, and a renewal is neither.
    assert bare_join(other.join, place, "--new-site") == 2
    assert files(place) == before
    assert bare_join(site.join, place) == 0
    assert bare_join(other.join, place, "--new-site", "--code", code_of(read(other.join))) == 0
    assert files(place)["ca.crt"] == (other.folder / "ca.crt").read_bytes()


def test_at_a_terminal_the_code_is_asked_for_and_what_is_printed_stays_the_settings(site, tmp_path):
    """A terminal at standard input and a file at standard output, as the page on the fleet has it."""

    def typed(text: str, place: Path) -> tuple[int, str, str]:
        ours, theirs = pty.openpty()
        os.write(ours, f"{text}\n".encode())
        command = [sys.executable, "-m", "edge.cli.main", "join", site.join, "--to", place, "--json"]
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
        os.close(ours)
        os.close(theirs)
        return done.returncode, done.stdout, done.stderr

    assert typed("AAAAA-AAAAA-AAAAA", tmp_path / "k")[:2] == (2, "")
    assert typed("", tmp_path / "k")[:2] == (2, "")
    assert files(tmp_path / "k") == {}
    status, settings, _ = typed(code_of(read(site.join)), tmp_path / "k")
    assert status == 0
    assert json.loads(settings)["node.id"] == "kitchen"


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "attacker.example"}, {"port": 1}, {"base_topic": "other"}, {"name": "study"}, {"role": "operator"},
        {"signature": ""}, {"signature": "AAAA"}, {"signature": "?"}, {"expires": "2099-01-01T00:00:00Z"},
        {"models": {"url": "https://attacker.example", "root": '{"evil":true}'}},
    ],
)  # fmt: skip
def test_a_changed_field_is_noticed(site, tmp_path, fields):
    assert join(changed(site.join, tmp_path / "forged", **fields), tmp_path / "k") == 2
    assert files(tmp_path / "k") == {}


def test_a_root_that_is_none_is_refused_also_when_the_site_has_signed_it(site, tmp_path, capsys):
    tree = json.loads(site.join.read_text())
    tree["models"]["root"] = '{"evil":true}'
    (tmp_path / "forged").write_text(json.dumps(site.signed(tree)))
    assert join(tmp_path / "forged", tmp_path / "k") == 2
    assert "models.root" in capsys.readouterr().err
    assert files(tmp_path / "k") == {}


@pytest.mark.parametrize("field", ["certificate", "key"])
def test_a_certificate_or_key_of_another_site_is_refused(site, other, tmp_path, field):
    tree = json.loads(site.join.read_text()) | {field: json.loads(other.join.read_text())[field]}
    (tmp_path / "forged").write_text(json.dumps(site.signed(tree)))
    assert join(tmp_path / "forged", tmp_path / "k") == 2


def test_an_installed_device_changes_its_site_only_when_told_so(site, other, tmp_path, capsys):
    place = tmp_path / "k"
    assert join(site.join, place) == 0
    before = files(place)
    capsys.readouterr()
    assert join(other.join, place) == 2
    prints = re.findall(r"(?:[0-9a-f]{2}:){15}[0-9a-f]{2}", capsys.readouterr().err)
    assert len(set(prints)) == 2
    assert files(place) == before
    assert join(other.join, place, "--new-site") == 0
    assert set(prints) <= set(re.findall(r"(?:[0-9a-f]{2}:){15}[0-9a-f]{2}", capsys.readouterr().err))
    assert files(place)["ca.crt"] == (other.folder / "ca.crt").read_bytes()


def test_the_authority_is_continued_also_where_there_are_no_keys_for_models(site, other, tmp_path):
    for one in (site, other):
        one.fleet("enrol", "main", "--role", "recorder")
    assert join(site.folder / "joins" / "recorder.main.join", tmp_path / "r") == 0
    assert join(other.folder / "joins" / "recorder.main.join", tmp_path / "r") == 2


def test_the_keys_that_sign_models_are_continued_too(site, other, tmp_path):
    place = tmp_path / "k"
    assert join(site.join, place) == 0
    tree = json.loads(site.join.read_text())
    tree["models"]["root"] = json.loads(other.join.read_text())["models"]["root"]
    # The site's own signature does not help: who has its authority has not the keys of its models.
    (tmp_path / "other-root").write_text(json.dumps(site.signed(tree)))
    assert join(tmp_path / "other-root", place) == 2
    # A root that the one here has signed is a rotation.
    site.fleet("keys", "rotate", "root", "--passphrase-file", site.secret, "--no-upload")
    assert site.fleet("renew", "kitchen") == 0
    assert join(site.join, place) == 0
    assert json.loads(files(place)["models-root.json"])["signed"]["version"] == 2
    old = tmp_path / "old-root"
    shutil.copy(tmp_path / "other-root", old)
    tree["models"]["root"] = json.loads(
        (tmp_path / "home" / "models" / "metadata" / "1.root.json").read_text()
    )
    tree["models"]["root"] = (tmp_path / "home" / "models" / "metadata" / "1.root.json").read_text()
    old.write_text(json.dumps(site.signed(tree)))
    assert join(old, place) == 2, "a root that was rotated away does not come back"


def test_renewing_needs_neither_code_nor_new_site(site, tmp_path):
    place = tmp_path / "k"
    assert join(site.join, place) == 0
    site.join.unlink()
    assert site.fleet("renew", "kitchen") == 0
    assert bare_join(site.join, place) == 0


def test_the_installer_checks_the_same(site, other, tmp_path, monkeypatch, capsys):
    def install(*words: str) -> int:
        where = ["--config", str(tmp_path / "room.toml"), "--credentials", str(tmp_path / "credentials")]
        monkeypatch.setattr(sys, "argv", ["x", "configure", *where, *words])
        return device.main()

    (tmp_path / "credentials").mkdir()
    assert install("--join", str(site.join), "--code", "AAAAA-AAAAA-AAAAA") == 2
    assert files(tmp_path / "credentials") == {}
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert install("--join", str(site.join)) == 2
    assert files(tmp_path / "credentials") == {}
    assert install("--join", str(site.join), "--code", code_of(read(site.join))) == 0
    assert "discovery = false" in (tmp_path / "room.toml").read_text()
    assert install("--join", str(other.join), UNCONFIRMED) == 2
    assert install("--join", str(other.join), "--new-site") == 2
    assert install("--join", str(other.join), "--new-site", UNCONFIRMED) == 0


def test_a_signature_by_another_key_of_the_same_kind_is_none(site, tmp_path):
    tree = json.loads(site.join.read_text())
    key = ec.generate_private_key(ec.SECP256R1())
    forged = key.sign(join_file.signed_bytes(read(site.join)), ec.ECDSA(hashes.SHA256()))
    (tmp_path / "forged").write_text(json.dumps(tree | {"signature": base64.b64encode(forged).decode()}))
    assert join(tmp_path / "forged", tmp_path / "k") == 2
