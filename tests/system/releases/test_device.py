"""One device with the real ear and the real link: a good model, bad ones, and people who change their minds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge.releases.store.model_store import Store
from tests.support.bundles import tiny
from tests.support.site.room_device import complete, events, states, status
from tests.support.waiting import until


def heard(home, node: str, model: str) -> int:
    return sum(event["model"] == model for event in events(home, node))


def test_a_good_model_is_switched_to_without_a_lost_utterance(device, site, home, folder) -> None:
    box = device().start()
    until(lambda: heard(home, "kitchen", "base-1.0.0") >= 3, 40, lambda: box.log("ear") + box.log())
    until(lambda: "[check_nothing]" in box.log(), 40, box.log)
    until(lambda: status(home, "kitchen")["state"] == "idle", 10, box.log)
    assert status(home, "kitchen") | {"latest_version": ""} == {
        "installed_version": "1.0.0", "latest_version": "", "in_progress": False, "update_percentage": None,
        "state": "idle", "error": "", "model": "base-1.0.0", "release": 0, "refused": 0,
    }  # fmt: skip
    site.publish(tiny.make(folder / "made", "1.1.0", bias=np.full(7, 0.001)))
    home.publish("roomtone/fleet/announce", json.dumps({"timestamp_version": 2}), retain=True)
    until(
        lambda: status(home, "kitchen").get("state") == "idle" and status(home, "kitchen")["release"] == 1, 60,
        lambda: str(status(home, "kitchen")) + box.log("ear") + box.log(),
    )  # fmt: skip
    until(lambda: heard(home, "kitchen", "base-1.1.0") >= 3, 20, lambda: box.log("ear"))
    assert complete(home, "kitchen")
    assert box.log("ear").count("ready after") == 1, "the ear was not restarted"
    seen = states(home, "kitchen")
    assert seen[-1] == "idle"
    assert "probation" in seen
    final = status(home, "kitchen")
    assert (final["installed_version"], final["latest_version"], final["error"]) == ("1.1.0", "1.1.0", "")
    info = json.loads(home.last("info"))
    assert info["ear"]["model"] == "base-1.1.0"


def test_a_replayed_announcement_is_named_and_nothing_is_asked(device, site, server, home, folder) -> None:
    box = device().start()
    until(lambda: "[check_nothing]" in box.log(), 60, lambda: box.log("ear") + box.log())
    seen = site.hub.timestamp().version
    asked = len(server.asked)
    for payload in ({"timestamp_version": seen}, {"timestamp_version": seen - 1}, {"timestamp_version": "1"}):
        home.publish("roomtone/fleet/announce", json.dumps(payload))
    until(lambda: "[announcement_invalid]" in box.log(), 10, box.log)
    for version in (seen, seen - 1):
        assert f"[announcement_ignored] timestamp {version} " in box.log()
    # As somebody would send it, whose certificate was stolen, as often as he likes.
    for _ in range(20):
        home.publish("roomtone/fleet/announce", json.dumps({"timestamp_version": seen}))
    site.publish(tiny.make(folder / "made", "1.1.0", seed=1), percent=0)
    home.publish("roomtone/fleet/announce", json.dumps({"timestamp_version": seen + 1}))
    until(lambda: box.log().count("[check_nothing]") == 2, 30, box.log)
    # One check for the new one, and none for all the old ones.
    assert server.asked[asked:].count("timestamp.json") == 1
    assert box.log().count("[announcement_ignored]") <= 3
    assert status(home, "kitchen")["model"] == "base-1.0.0"


@pytest.mark.long
def test_a_model_that_says_one_thing_alone_is_rolled_back_and_not_tried_again(
    device, site, home, folder
) -> None:
    box = device(updates__probation_utterances=12).start()
    until(lambda: heard(home, "kitchen", "base-1.0.0") >= 12, 60, lambda: box.log("ear") + box.log())
    said = {event["event_type"] for event in events(home, "kitchen")} - {"uncertain"}
    other = next(n for n, label in enumerate(("neutral", "happy", "sad")) if label not in said)
    bias = np.zeros(7)
    bias[other] = 1000.0
    site.publish(tiny.make(folder / "made", "1.1.0", seed=1, bias=bias))
    home.command("model_check")
    until(lambda: status(home, "kitchen").get("refused") == 1, 90, lambda: box.log("ear") + box.log())
    until(lambda: status(home, "kitchen")["installed_version"] == "1.0.0", 20, lambda: box.log("ear"))
    final = status(home, "kitchen")
    assert "base-1.1.0 rolled back: " in final["error"]
    assert "collapsed" in final["error"] or "disagrees" in final["error"]
    until(lambda: events(home, "kitchen")[-1]["model"] == "base-1.0.0", 20, lambda: box.log("ear"))
    assert complete(home, "kitchen")
    home.answer("model_check", home.command("model_check"))
    until(lambda: "not installed again" in status(home, "kitchen")["error"], 30, box.log)


def test_a_person_rolls_back_by_mqtt_and_the_ear_obeys(device, site, home, folder) -> None:
    box = device(updates__probation_utterances=500).start()
    site.publish(tiny.make(folder / "made", "1.1.0", seed=1))
    until(lambda: heard(home, "kitchen", "base-1.1.0") >= 1, 60, lambda: box.log("ear") + box.log())
    assert home.answer("model_rollback", home.command("model_rollback")).ok
    until(lambda: status(home, "kitchen")["model"] == "base-1.0.0", 30, lambda: box.log("ear") + box.log())
    refused = home.answer("model_rollback", home.command("model_rollback"))
    assert not refused.ok
    assert "nothing to go back from" in refused.error
    assert complete(home, "kitchen")


@pytest.mark.long
def test_a_model_with_which_ears_keep_dying_is_rolled_back(device, site, home, folder) -> None:
    box = device(updates__probation_utterances=500).start()
    site.publish(tiny.make(folder / "made", "1.1.0", seed=1))
    until(lambda: heard(home, "kitchen", "base-1.1.0") >= 1, 60, lambda: box.log("ear") + box.log())
    for count in range(3):
        box.kill("ear")
        until(lambda n=count: f"on probation ({n + 1})" in box.log(), 20, box.log)
        box.start("ear")
        if count < 2:
            lives = box.log("ear").count("ready after")
            until(lambda n=lives: box.log("ear").count("ready after") > n, 30, lambda: box.log("ear"))
    until(lambda: "ended 3 times while it ran it" in status(home, "kitchen")["error"], 30, box.log)
    until(lambda: status(home, "kitchen")["model"] == "base-1.0.0", 30, lambda: box.log("ear") + box.log())


@pytest.mark.long
def test_an_ear_without_a_link_leaves_out_a_model_that_kills_it(device, site, home, folder) -> None:
    """Nobody is there who could roll it back: the ear itself counts."""
    from edge.config.load import load
    from edge.ear.model_selection import MAX_SHORT_RUNS, ModelSelector

    box = device(updates__probation_utterances=500).start()
    site.publish(tiny.make(folder / "made", "1.1.0", seed=1))
    until(lambda: status(home, "kitchen").get("state") == "probation", 60, box.log)
    box.stop()
    config = load(None, {
        "runtime.socket": str(folder / "link.sock"), "runtime.ear_state_dir": str(box.folder / "ear"),
        "updates.dir": str(box.folder / "models"), "model.bundle": str(folder / "shipped" / "base-1.0.0"),
    })  # fmt: skip
    found = [ModelSelector(config).load_initial().chosen.bundle.full_name for _ in range(MAX_SHORT_RUNS + 1)]
    assert found == ["base-1.1.0"] * MAX_SHORT_RUNS + ["base-1.0.0"]
    assert Store(box.folder / "models").state.current is not None
