"""`python -m provisioning.device configure`, as the installer calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config.load import load
from edge.releases.join_trust import Consent
from edge.util.errors import UserError
from provisioning.device import connection


def device(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "provisioning.device", *map(str, arguments)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_password_is_a_credential_and_never_in_the_configuration(tmp_path: Path) -> None:
    config, credentials, secret = tmp_path / "roomtone.toml", tmp_path / "credentials", tmp_path / "secret"
    credentials.mkdir()
    secret.write_text("s3cret\n")
    where = [
        "configure",
        "--config",
        config,
        "--credentials",
        credentials,
        "--broker",
        "mqtts://me@hub.local",
    ]
    assert "there is no terminal" in device(*where).stderr
    assert not config.exists()
    done = device(*where, "--password-file", secret)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (credentials / "password").read_text() == "s3cret\n"
    assert (credentials / "password").stat().st_mode & 0o777 == 0o600
    assert "s3cret" not in config.read_text()
    assert device(*where, "--password-file", secret).stdout == ""


def test_plain_mqtt_is_taken_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    where = ["configure", "--config", tmp_path / "roomtone.toml", "--credentials", tmp_path / "credentials"]
    done = device(*where, "--broker", "mqtt://hub.local")
    assert done.returncode == 0
    assert "not encrypted" in done.stderr


def test_the_nodes_of_a_cluster_are_written_and_another_broker_has_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    where = ["configure", "--config", tmp_path / "roomtone.toml", "--credentials", tmp_path / "credentials"]
    done = device(*where, "--broker", "mqtt://broker-1:1884", "--broker", "mqtt://broker-2:1884")
    assert done.returncode == 0, done.stderr
    found = load(tmp_path / "roomtone.toml").mqtt
    assert (found.host, found.more_hosts, found.port) == ("broker-1", ("broker-2",), 1884)
    refused = device(*where, "--broker", "mqtt://broker-1", "--broker", "mqtt://broker-2:1884")
    assert (refused.returncode, "same user and port" in refused.stderr) == (2, True)
    # Without options nothing changes; with another broker the nodes of the first are gone.
    assert device(*where).stdout == ""
    assert device(*where, "--broker", "mqtt://other").returncode == 0
    assert load(tmp_path / "roomtone.toml").mqtt.more_hosts == ()


def test_a_join_file_gives_broker_certificate_and_name(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    made = tmp_path / "site"
    for command in (["init", "--broker", "hub.local"], ["enrol", "kitchen"]):
        fleet = [sys.executable, "-m", "edge.cli.main", "fleet", "--site", str(made), *command]
        # There is no broker that could know of it.
        assert subprocess.run(fleet, check=False, capture_output=True).returncode in {0, 3}
    (tmp_path / "credentials").mkdir()
    where = ["configure", "--config", tmp_path / "roomtone.toml", "--credentials", tmp_path / "credentials"]
    done = device(*where, "--join", made / "joins" / "kitchen.join", "--accept-unconfirmed")
    assert done.returncode == 0, done.stderr
    found = load(tmp_path / "roomtone.toml")
    assert (found.node.id, found.mqtt.host, found.mqtt.tls) == ("kitchen", "hub.local", True)
    for key in (found.mqtt.ca_file, found.mqtt.cert_file, found.mqtt.key_file):
        folder, _, name = key.rpartition("/site_")
        assert folder == "/run/credentials/roomtone-link.service"
        assert (tmp_path / "credentials" / name).stat().st_size > 100
    refused = device(*where, "--join", made / "joins" / "kitchen.join", "--node", "attic")
    assert "the join file is for kitchen" in refused.stderr


def test_a_join_file_brings_where_models_come_from_and_whose_they_may_be(tmp_path: Path, capsys) -> None:
    """No trust on first use and no hand work: the root goes where systemd shows it to the link, read-only."""
    from edge.cli.main import main

    folder, secret = tmp_path / "site", tmp_path / "passphrase"
    secret.write_text("correct horse\n")

    def fleet(*words: object) -> None:
        assert main(["fleet", "--site", str(folder), *map(str, words)]) in {0, 3}

    fleet("init", "--broker", "hub.local")
    fleet("enrol", "kitchen")
    assert "models" not in json.loads((folder / "joins" / "kitchen.join").read_text())
    fleet("keys", "init", "--url", "https://hub.local/updates", "--passphrase-file", secret)
    # Who joined before has it with the next renewal.
    fleet("renew", "kitchen")
    fleet("enrol", "main", "--role", "recorder")
    assert "models" not in json.loads((folder / "joins" / "recorder.main.join").read_text())
    settings, _ = connection.from_join(
        folder / "joins" / "kitchen.join", tmp_path / "credentials", Consent(unconfirmed=True)
    )
    seen = "/run/credentials/roomtone-link.service"
    assert settings["updates.url"] == "https://hub.local/updates"
    assert settings["updates.root_file"] == f"{seen}/site_models-root.json"
    assert "updates.ca_file" not in settings, "the hub's certificate is of the same authority as the broker's"
    found = load(None, settings)
    assert found.updates.root_file == settings["updates.root_file"]
    root = tmp_path / "credentials" / "models-root.json"
    assert root.read_bytes() == (folder / "models" / "metadata" / "1.root.json").read_bytes()
    text = connection.merged(tmp_path / "roomtone.toml", settings, anew=True)
    assert 'url = "https://hub.local/updates"' in text


def test_a_key_that_was_made_at_the_device_stays_there_and_a_renewal_keeps_it(tmp_path: Path, capsys) -> None:
    from edge.cli.main import main

    folder, credentials, key = tmp_path / "site", tmp_path / "credentials", tmp_path / "attic.key"
    request, join = str(tmp_path / "attic.csr"), folder / "joins" / "attic.join"
    assert main(["fleet", "request", "attic", "--key", str(key), "--out", request]) == 0
    assert main(["fleet", "--site", str(folder), "init", "--broker", "hub.local"]) == 0
    assert main(["fleet", "--site", str(folder), "enrol", "attic", "--csr", request]) == 3
    assert "sudo provisioning/install.sh --join attic.join --key attic.key --code " in capsys.readouterr().err
    consent = Consent(unconfirmed=True)
    with pytest.raises(UserError, match="--key"):
        connection.from_join(join, credentials, consent)
    connection.from_join(join, credentials, consent, key)
    first = (credentials / "client.crt").read_bytes()
    assert main(["fleet", "--site", str(folder), "renew", "attic"]) in {0, 3}
    assert "install.sh --join attic.join --code " in capsys.readouterr().err
    connection.from_join(join, credentials, Consent())
    assert (credentials / "client.crt").read_bytes() != first
    assert (credentials / "client.key").read_text() == key.read_text()


def test_a_join_file_brings_the_authority_of_the_hub_where_it_is_another(tmp_path: Path) -> None:
    from edge.cli.main import main

    folder, secret = tmp_path / "site", tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    for words in (
        ("init", "--broker", "hub.local"),
        (
            "keys",
            "init",
            "--url",
            "https://hub.local/updates",
            "--ca",
            folder / "ca.crt",
            "--passphrase-file",
            secret,
        ),
        ("enrol", "kitchen"),
    ):
        assert main(["fleet", "--site", str(folder), *map(str, words)]) in {0, 3}
    settings, _ = connection.from_join(
        folder / "joins" / "kitchen.join", tmp_path / "credentials", Consent(unconfirmed=True)
    )
    assert settings["updates.ca_file"] == "/run/credentials/roomtone-link.service/site_models-ca.crt"
    assert (tmp_path / "credentials" / "models-ca.crt").read_bytes() == (folder / "ca.crt").read_bytes()


def test_a_configuration_of_an_earlier_version_is_renamed_and_a_copy_kept(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    config, backup = tmp_path / "roomtone.toml", tmp_path / "roomtone.toml.before"
    old = (
        '[node]\nid = "kitchen"\n[room]\nadapt = false # the owner\'s words\n[audio]\nroom = "/srv/voices"\n'
    )
    config.write_text(old)
    where = ["configure", "--config", config, "--credentials", tmp_path / "credentials", "--backup", backup]
    done = device(*where)
    assert done.returncode == 0, done.stderr
    assert backup.read_text() == old
    assert load(config).audio.playback_dir == "/srv/voices"
    assert not load(config).baseline.enabled
    assert "# the owner's words" in config.read_text()
    lines = [line for line in done.stdout.splitlines() if "renamed" in line]
    assert len(lines) == 2
    # Once more, and with an option: nothing is left to rename, and the copy stays the old file.
    assert device(*where, "--name", "Kitchen").returncode == 0
    assert "renamed" not in device(*where).stdout
    assert load(config).node.name == "Kitchen"
    assert backup.read_text() == old
