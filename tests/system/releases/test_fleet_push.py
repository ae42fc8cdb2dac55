"""From the workstation's command line to several rooms: real keys, a real hub over HTTPS, a real broker, real ears."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.inference import bundle as bundles
from tests.support.broker import free_port
from tests.support.bundles import shipped, tiny
from tests.support.site.hub_server import Hub
from tests.support.site.room_device import Device, complete, events, status, switched_at
from tests.support.waiting import until

WITHIN_S = 60.0
"""From the announcement until the last of three rooms is heard by the new model."""


def _device(folder: Path, broker, hub: Hub, node: str, **settings: object) -> Device:
    """With the network that boxes are shipped with."""
    site = SimpleNamespace(root=folder / "site" / "models" / "metadata" / "1.root.json")
    server = SimpleNamespace(url=hub.url, cert=hub.cert)
    return Device(folder / node, node, broker.port, bundles.find("base"), site, server, **settings)


@pytest.mark.long
def test_three_rooms_switch_within_a_minute_without_a_lost_utterance_and_a_fourth_when_it_returns(
    folder: Path, broker, hub: Hub, fleet, home
) -> None:
    nodes = ("attic", "bath", "cellar")
    devices = [_device(folder, broker, hub, node).start() for node in nodes]
    fourth = _device(folder, broker, hub, "den")
    try:
        for device in devices:
            until(
                lambda d=device: len(events(home, d.node)) >= 2, 90, lambda d=device: d.log("ear") + d.log()
            )
        # As good as the shipped one: its weights, and a trace of something else.
        made = shipped.relabelled(folder / "made", "9.3.0")
        done = fleet(
            "push", str(made), "--to", "all", "--wait", "60s", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--json",
            "--force", "the comparison has no recordings in this test", *fleet.signing,
        )  # fmt: skip
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert {row["node"] for row in told if row["state"] == "good"} == set(nodes)
        for device in devices:
            until(
                lambda d=device: events(home, d.node)[-1]["model"] == "base-9.3.0",
                20,
                lambda d=device: d.log("ear"),
            )
        seconds = {node: round(switched_at(home, node, "base-9.3.0"), 1) for node in nodes}
        print(f"seconds from the announcement until the ear runs the new model: {seconds}")
        assert max(seconds.values()) <= WITHIN_S, seconds
        for device in devices:
            before = len(events(home, device.node))
            # Also what is said after the switch: a whole round of the room.
            until(
                lambda d=device, n=before: len(events(home, d.node)) >= n + 3,
                30,
                lambda d=device: d.log("ear"),
            )
            assert complete(home, device.node)
            assert {event["model"] for event in events(home, device.node)} == {
                shipped.SHIPPED,
                "base-9.3.0",
            }
            assert device.log("ear").count("ready after") == 1
        fourth.start()
        until(lambda: status(home, "den").get("installed_version") == "9.3.0", 60, fourth.log)
        assert complete(home, "den")
    finally:
        for device in (*devices, fourth):
            device.stop()


def test_publish_push_withdraw_and_what_is_refused_at_the_workstation(
    folder: Path, broker, hub: Hub, fleet
) -> None:
    """Without boxes: what is signed, what is not, and what the hub then has."""
    tiny.make(folder / "shipped", "1.0.0")
    bad = tiny.make(folder / "bad", "1.1.0", seed=1, wrong_golden=True)
    refused = fleet("publish", str(bad), *fleet.signing, status=2)
    assert bad.name in refused.stderr
    good = tiny.make(folder / "made", "1.1.0", seed=1)
    refused = fleet("publish", str(good), *fleet.signing, status=2)
    assert shipped.SHIPPED in refused.stderr and "--data" in refused.stderr
    reason = "no recordings at hand today"
    assert fleet("publish", str(good), "--force", reason, *fleet.signing).stdout == "base-1.1.0\n"
    again = fleet("publish", str(good), "--force", reason, *fleet.signing, status=2)
    assert "base-1.1.0" in again.stderr
    second = tiny.make(folder / "made", "1.2.0", seed=2)
    fleet("publish", str(second), "--force", reason, *fleet.signing)
    fleet("withdraw", "1.2.0", *fleet.signing)
    from provisioning.publish.catalogue import Catalogue

    listed = [t.release for t in Catalogue(folder / "site" / "models").listed()]
    assert [(one.release, one.full_name, one.percent) for one in listed] == [
        (1, "base-1.1.0", 0), (3, "base-1.1.0", 100),
    ]  # fmt: skip
    assert listed[0].forced == reason
    assert listed[1].withdraws == "1.2.0"
    unknown = fleet("push", "9.9.9", "--to", "all", *fleet.signing, status=2)
    assert "9.9.9" in unknown.stderr
    # Neither is anything signed when the broker, or the hub, cannot be reached.
    signed = Catalogue(folder / "site" / "models").targets().signed.version
    third = tiny.make(folder / "made", "1.3.0", seed=3)
    push = ("push", str(third), "--to", "all", "--force", reason, *fleet.signing)
    fleet(*push, "--broker", f"mqtt://127.0.0.1:{free_port()}", status=2)
    hub.stop()
    assert "hub" in fleet(*push, "--broker", f"mqtt://127.0.0.1:{broker.port}", status=2).stderr
    hub.start(folder / "site" / "models" / "hub")
    assert Catalogue(folder / "site" / "models").targets().signed.version == signed
    before = int(fleet("refresh", *fleet.signing).stdout)
    assert int(fleet("refresh", *fleet.signing).stdout) == before + 1


def test_strangers_upload_nothing_and_the_hub_checks_signatures_itself(folder: Path, hub: Hub, fleet) -> None:
    import urllib3

    pool = urllib3.PoolManager(ca_certs=str(hub.cert), retries=False)
    token = (folder / "site" / "models" / "upload.token").read_text().strip()
    mine = {"Authorization": f"Bearer {token}"}
    targets = (folder / "site" / "models" / "metadata" / "1.targets.json").read_bytes()

    def put(what: str, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        return pool.request("PUT", f"{hub.url}/api/{what}", body=body, headers=headers)

    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {token}"}):
        assert put("targets", targets, headers).status == 401
        assert put("files/x", b"", headers).status == 401
    forged = targets.replace(b'"version":1', b'"version":7')
    assert forged != targets
    answer = put("targets", forged, mine)
    assert (answer.status, "signed by" in answer.json()["detail"]) == (409, True)
    assert put("root", targets, mine).status == 409
    assert (
        put(f"files/{'0' * 64}.base-1.0.0.1.tar", b"something else", mine)
        .json()["detail"]
        .endswith("on the way")
    )
    assert put("files/..%2f..%2fonline.key", b"x", mine).status in (404, 409)
    for name in ("../online.key", "..%2Fonline.key", "%2e%2e/token.sha256", ".upload-x"):
        for where in ("metadata", "targets"):
            assert pool.request("GET", f"{hub.url}/{where}/{name}").status == 404
    assert pool.request("GET", f"{hub.url}/metadata/timestamp.json").status == 200
    assert not list((folder / "site" / "models" / "hub" / "targets").iterdir())
