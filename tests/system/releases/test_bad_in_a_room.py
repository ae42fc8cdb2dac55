"""Models that pass validation and are bad in a room: the real ear, real voices, and a probation that finds out."""

from __future__ import annotations

import numpy as np
import pytest

from edge.inference import bundle as bundles
from tests.support.bundles import leaking_graph, shipped, tiny
from tests.support.site.room_device import complete, events, status
from tests.support.waiting import until

pytestmark = pytest.mark.long


def heard(home, model: str) -> int:
    return sum(event["model"] == model for event in events(home, "kitchen"))


def test_a_model_that_leaks_only_in_a_room_is_rolled_back(device, site, home, folder) -> None:
    """A real graph that leaks for speech of less than three seconds; golden inputs are whole windows."""
    box = device(updates__probation_utterances=500).start()
    until(lambda: heard(home, "base-1.0.0") >= 1, 60, lambda: box.log("ear") + box.log())
    leak = leaking_graph.InShortSpeech(megabytes=3)
    site.publish(tiny.make(folder / "made", "1.1.0", bias=np.full(7, 0.001), also=leak))
    home.command("model_check")
    until(lambda: heard(home, "base-1.1.0") >= 1, 60, lambda: box.log("ear") + box.log())
    # The ear tells of its memory once a minute.
    until(lambda: status(home, "kitchen").get("refused") == 1, 240, lambda: box.log("ear") + box.log())
    assert "base-1.1.0 rolled back: leaks memory: the ear has grown by " in status(home, "kitchen")["error"]
    until(lambda: events(home, "kitchen")[-1]["model"] == "base-1.0.0", 30, lambda: box.log("ear"))
    assert complete(home, "kitchen")
    assert box.log("ear").count("ready after") == 1, "the ear was not restarted"


def test_a_real_network_with_exchanged_labels_is_rolled_back(device, site, home, folder) -> None:
    """Well made, well signed, and its golden outputs are its own: only what the model before has said tells."""
    box = device(model__bundle=bundles.find("base"), updates__probation_utterances=12).start()
    until(lambda: heard(home, shipped.SHIPPED) >= 12, 120, lambda: box.log("ear") + box.log())
    site.publish(shipped.relabelled(folder / "made", "9.3.0", shipped.SHIFTED))
    home.command("model_check")
    until(lambda: status(home, "kitchen").get("refused") == 1, 180, lambda: box.log("ear") + box.log())
    assert "base-9.3.0 rolled back: " in status(home, "kitchen")["error"]
    until(lambda: events(home, "kitchen")[-1]["model"] == shipped.SHIPPED, 30, lambda: box.log("ear"))
    assert complete(home, "kitchen")
    # As good as the one before: the same network, and it stays.
    site.publish(shipped.relabelled(folder / "made", "9.4.0"))
    home.command("model_check")
    until(
        lambda: (
            status(home, "kitchen")["model"] == "base-9.4.0" and status(home, "kitchen")["state"] == "idle"
        ),
        180,
        lambda: box.log("ear") + box.log(),
    )
    assert status(home, "kitchen")["error"] == ""
    assert complete(home, "kitchen")
