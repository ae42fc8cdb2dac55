"""docker/scale/compose.yaml: two of everything, each with both brokers, and nothing open that need not be."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest

from tests.conftest import ROOT

yaml = pytest.importorskip("yaml", reason="PyYAML comes with mkdocs")
FOLDER = ROOT / "docker" / "scale"
SECRETS = {f"ROOMTONE_{name}": "x" for name in ("HUB_PASSWORD", "DATABASE_PASSWORD", "COOKIE")}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    return found


def test_compose_takes_it_and_wants_the_passwords() -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("apt-get install docker-compose")
    command = ["docker-compose", "-f", str(FOLDER / "compose.yaml"), "config", "-q"]
    without = {name: value for name, value in os.environ.items() if not name.startswith("ROOMTONE")}
    done = subprocess.run(command, env=without | SECRETS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if not (FOLDER / ".env").exists():
        for name in SECRETS:
            rest = {key: value for key, value in SECRETS.items() if key != name}
            assert subprocess.run(command, env=without | rest, capture_output=True, check=False).returncode


def test_there_are_two_of_everything_and_each_has_its_own_node_first(services: dict[str, Any]) -> None:
    nodes = ["broker-1", "broker-2"]
    assert [services[name]["environment"]["ROOMTONE_NODE"] for name in nodes] == nodes
    assert services["broker-2"]["environment"]["ROOMTONE_FIRST"] == "broker-1"
    for kind in ("recorder", "dashboard"):
        for number, first in enumerate(nodes, 1):
            words = services[f"{kind}-{number}"]["command"]
            assert words[:2] == ["roomtone", kind]
            brokers = [words[place + 1] for place, word in enumerate(words) if word == "--broker"]
            order = nodes if first == nodes[0] else nodes[::-1]
            assert brokers == [f"mqtt://hub@{node}" for node in order]
    names = [services[f"recorder-{n}"]["command"][-3] for n in (1, 2)]
    assert names == ["1", "2"], "two sessions at the broker"
    assert services["proxy"]["environment"]["ROOMTONE_DASHBOARD"] == "dashboard-1:8080 dashboard-2:8080"


def test_only_what_speaks_tls_is_open_to_others(services: dict[str, Any]) -> None:
    inside = {
        name: [port.rpartition(":")[2] for port in one.get("ports", ())] for name, one in services.items()
    }
    assert {name: ports for name, ports in inside.items() if ports} == {
        "broker-1": ["8883"], "broker-2": ["8883"], "proxy": ["443", "80"],
    }  # fmt: skip
    for name, one in services.items():
        assert "no-new-privileges:true" in one["security_opt"], name
        assert "mem_limit" in one, name
        if name != "database":
            assert one["cap_drop"] == ["ALL"], name


def test_the_broker_lets_a_device_write_below_its_own_name_and_keeps_what_recorders_need() -> None:
    settings = yaml.safe_load((FOLDER / "ejabberd.yml").read_text())
    mqtt = settings["modules"]["mod_mqtt"]
    assert settings["auth_method"] == ["internal"]
    assert mqtt["access_publish"] == {
        "roomtone/%u/#": "device", "homeassistant/device/#": "device", "#": "hub",
    }  # fmt: skip
    assert mqtt["match_retained_limit"] == "infinity"
    assert [one["tls"] for one in settings["listen"] if one["port"] == 8883] == [True]
