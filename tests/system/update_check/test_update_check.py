"""An update from the timestamp to the switch, over HTTPS, and killed on the way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from edge.releases.store.state import manifest_sha256
from edge.releases.validation import client
from edge.releases.validation.client import ValidationResult
from edge.releases.validation.messages import Budget, Verdict
from tests.support.crashing_process import live
from tests.support.site.publishing import cut_after


def test_a_published_model_is_fetched_tried_and_switched_to(box, site, make) -> None:
    site.publish(make("1.1.0", seed=1))
    stages = []
    found = box.check(on_progress=lambda p: stages.append((p.stage, p.percent)))
    assert (found.result, found.text) == ("switched", "base-1.1.0")
    assert box.model() == "base-1.1.0"
    assert [s for s, _ in stages] == ["checking", "downloading", "unpacking", "validating", "switching"]
    now = box.store.state
    assert (now.latest, now.error, now.floor) == ("1.1.0", "", 1)
    assert now.probation is not None
    assert "probation" in box.check().text
    box.store.confirm()
    assert box.check().result == "nothing"


def test_the_model_that_runs_already_is_adopted_without_a_probation(box, site) -> None:
    site.publish(box.factory)
    assert box.check().result == "adopted"
    assert box.store.state.current is None
    assert box.store.state.floor == 1
    assert box.check().result == "nothing"


def test_an_operators_roll_back_is_a_higher_release_of_old_bytes(box, site, make) -> None:
    first, second = make("1.1.0", seed=1), make("1.2.0", seed=2)
    for bundle in (first, second):
        site.publish(bundle)
        assert box.check().result == "switched"
        box.store.confirm()
    site.publish(first)
    asked = box.check()
    assert (asked.result, box.model(), box.store.state.floor) == ("switched", "base-1.1.0", 3)


def test_a_broken_download_goes_on_where_it_ended(box, site, server, make) -> None:
    target = site.publish(make("1.1.0", seed=1, slow=60))
    archive = site.catalogue.archive(target.release.path, target.sha256)
    data = archive.read_bytes()
    server.instead[archive.name] = cut_after(data, len(data) // 2)
    found = box.check()
    assert found.result == "failed"
    assert found.code == "unreachable"
    del server.instead[archive.name]
    assert box.check(budget=Budget(times_reference=1e9, runs=2)).result == "switched"
    assert server.ranges == [f"bytes={len(data) // 2}-"]


def test_nothing_is_asked_while_the_clock_is_not_synchronised(box, site, server, make) -> None:
    site.publish(make())
    found = box.check(synced=lambda: False)
    assert (found.result, server.asked) == ("failed", [])
    assert found.code == "clock"


def test_a_gate_that_is_away_blames_nobody(box, site, make, monkeypatch) -> None:
    site.publish(make())
    monkeypatch.setattr(
        client, "validate", lambda *_: ValidationResult(None, "validation cannot be started", reached=False)
    )
    for _ in range(3):
        assert box.check().result == "failed"
    monkeypatch.undo()
    assert box.check().result == "switched"


def _killed(box, point: int | None) -> list[str]:
    """One check in a process of its own, which is killed at that step; validation passes."""

    def check(step: Callable[[str], None]) -> None:
        client.validate = lambda request, *_: ValidationResult(
            Verdict(ok=True, manifest_sha256=manifest_sha256(Path(request.bundle)))
        )
        box.check(step=step)

    return live(check, point)


def test_the_power_may_go_between_any_two_steps_of_an_update(folder: Path, site, server, make) -> None:
    from tests.support.bundles import tiny
    from tests.support.site.updating_device import UpdatingDevice

    shipped = tiny.make(folder / "shipped", "1.0.0")
    site.publish(make("1.1.0", seed=1))
    steps = _killed(UpdatingDevice(folder / "whole", site, server, shipped), None)
    assert len(steps) >= 30, steps
    for what in ("fetch: timestamp.json", "metadata: verified", "download: synchronised", "unpack: renamed",
                 "validation: done", "floor: renamed", "switched: renamed"):  # fmt: skip
        assert what in steps
    for point, name in enumerate(steps):
        box = UpdatingDevice(folder / str(point), site, server, shipped)
        assert _killed(box, point)[-1] == name
        assert box.model() in {"base-1.0.0", "base-1.1.0"}, name
        _killed(box, None)
        now = box.store.state
        # One that was killed twice during validation would be refused; once is a power cut.
        assert (box.model(), now.error, now.candidate) == ("base-1.1.0", "", None), name
        assert [path.name for path in (box.folder / "slots").iterdir()] == [now.current.folder], name
        assert not list(box.store.incoming.iterdir()), name


def test_the_state_is_readable_by_the_ear_who_is_another_user(box, site, make) -> None:
    site.publish(make())
    before = os.umask(0o077)
    try:
        box.check()
    finally:
        os.umask(before)
    assert json.loads((box.folder / "state.json").read_text())["current"]["name"] == "base-1.1.0"
    for path in (box.folder, *box.folder.glob("slots/**/*"), box.folder / "slots", box.folder / "state.json"):
        mode = path.stat().st_mode
        assert mode & 0o004, path
        assert not path.is_dir() or mode & 0o001, path
