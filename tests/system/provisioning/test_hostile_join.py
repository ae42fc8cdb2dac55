"""Join files that an attacker has made with care: names, links, pipes, and texts for the terminal."""

from __future__ import annotations

import json
import os
import threading

import pytest

from edge.config.join_file import MAX_BYTES, read
from edge.util.errors import UserError
from tests.system.provisioning.test_join_trust import Site, files, join


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("hostile"), "home")


@pytest.fixture
def tree(site):
    return json.loads(site.join.read_text())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../kitchen"),
        ("name", "kitchen/../../etc"),
        ("name", "kitchen\n"),
        ("name", "kitchen\x00"),
        # A Cyrillic letter, a wide digit, and a letter with its accent apart.
        ("name", "kit\u0441hen"),
        ("name", "kitchen\uff11"),
        ("name", "kitche\u0301n"),
        ("name", "KITCHEN"),
        ("name", "operator.kitchen.x"),
        ("host", "hub.local\n[mqtt]"),
        ("host", "hub\u3002local"),
        ("host", "h\u00fcb.local"),
        ("host", "hub.local/x"),
        ("base_topic", "+"),
        ("base_topic", "#"),
        ("base_topic", "room\x00tone"),
        ("role", "fleet"),
        ("port", 0),
        ("port", 70_000),
        ("expires", "never"),
        ("models", {"url": "http://hub.local/updates", "root": "{}"}),
        ("models", {"url": "https://hub.local/x\nca_file = 1", "root": "{}"}),
        ("certificate", "-----BEGIN CERTIFICATE-----"),
        ("unknown", "1"),
    ],
    ids=repr,
)
def test_a_field_that_is_no_such_thing_is_refused_before_anything_is_written(
    site, tree, tmp_path, field, value
):
    forged = tmp_path / "forged.join"
    forged.write_text(json.dumps(tree | {field: value}))
    assert join(forged, tmp_path / "k") == 2
    assert files(tmp_path / "k") == {}


def test_a_name_for_the_terminal_is_shown_escaped(site, tree, tmp_path, capsys):
    """The site's name is free text, and its owner may be the attacker: no command reaches the terminal."""
    forged = tmp_path / "forged.join"
    forged.write_text(json.dumps(site.signed(tree | {"site": "\x1b]0;owned\x07\u202eemoh\r\x9b2J"})))
    assert join(forged, tmp_path / "k") == 0
    said = capsys.readouterr()
    shown = (said.out + said.err).replace("\n", "")
    assert "owned" in shown
    assert shown.isprintable()


def test_links_that_wait_in_the_folder_lead_nowhere(site, tmp_path):
    """Files are replaced, not written through: a link to a file elsewhere stays without effect."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    folder = tmp_path / "k"
    folder.mkdir()
    for name in ("client.crt", "client.key", "join.json", "models-root.json", ".client.key.new"):
        (folder / name).symlink_to(elsewhere)
    assert join(site.join, folder) == 0
    assert elsewhere.read_text() == "untouched"
    assert not [path for path in folder.iterdir() if path.is_symlink()]
    assert (folder / "client.key").stat().st_mode & 0o777 == 0o600


def test_a_file_without_an_end_is_not_read_to_its_end(tmp_path):
    """What is called a join file may be a pipe or a device, whose size is 0."""
    pipe = tmp_path / "kitchen.join"
    os.mkfifo(pipe)
    written = 0

    def feed() -> None:
        nonlocal written
        descriptor = os.open(pipe, os.O_WRONLY)
        try:
            while written < 64 * MAX_BYTES:
                written += os.write(descriptor, b"[" * 4096)
        except BrokenPipeError:
            pass
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        with pytest.raises(UserError, match="too large"):
            read(pipe)
    finally:
        thread.join(20)
    assert written < 4 * MAX_BYTES
