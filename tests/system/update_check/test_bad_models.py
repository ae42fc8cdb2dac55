"""Correctly signed and faulty models: validation refuses them with a reason, and they are never installed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge.releases.validation.messages import Budget
from tests.support.bundles import leaking_graph, tiny


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gain": 0}, "collapsed: its output is the same for every input"),
        ({"nan": True}, "is not finite (NaN or infinity)"),
        ({"wrong_golden": True}, "gives another label on this machine"),
        ({"model": b"TFL3 this is no flatbuffer"}, "cannot load this model"),
    ],
)
def test_a_faulty_model_does_not_pass_validation(site, box, make, changes, words) -> None:
    site.publish(make(**changes))
    found = box.check()
    assert found.result == "refused", found
    assert "refused by validation" in found.text
    assert words in found.text
    assert box.model() == "base-1.0.0"
    again = box.check()
    assert (again.result, "not installed again" in again.text) == ("refused", True)
    assert not list((box.folder / "slots").iterdir())


def test_a_model_that_is_much_slower_than_the_one_before_stops_at_the_gate(site, box, make) -> None:
    site.publish(make(slow=150))
    # Without the five milliseconds that anybody may take: a fast machine needs less for all of it.
    found = box.check(budget=Budget(runs=5, free_ms=0.0))
    assert (found.result, "too slow" in found.text) == ("refused", True), found
    assert box.model() == "base-1.0.0"


def test_swapped_labels_stop_at_the_gate(site, box, make, monkeypatch) -> None:
    path = make()
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["labels"] = manifest["labels"][::-1]
    from edge.inference import bundle as bundles
    from edge.releases import archive
    from provisioning.publish import bundle_checks

    about = bundle_checks.release_of(bundles.load(path), 1, "stable")
    (path / "manifest.json").write_text(json.dumps(manifest))
    site.sign(about, archive.pack(path))
    found = box.check()
    assert "labels are" in found.text
    assert box.model() == "base-1.0.0"


def test_a_model_that_needs_too_much_memory_stops_at_the_gate(site, box, make) -> None:
    site.publish(make(slow=120))
    found = box.check(budget=Budget(times_reference=1e9, window_ms=1e6, memory_mb=0.5))
    assert "MB of memory" in found.text


def test_a_model_that_leaks_memory_stops_at_the_gate(site, box, make) -> None:
    """A real graph, in the real interpreter: a variable of the model that is longer after each run."""
    site.publish(make(also=leaking_graph.Always(megabytes=0.5)))
    # Time is not asked: what is copied in each run grows, too.
    found = box.check(budget=Budget(times_reference=1e9, window_ms=1e6))
    assert (found.result, "leaks memory" in found.text) == ("refused", True), found
    assert box.model() == "base-1.0.0"


def test_a_model_that_leaks_only_in_a_room_passes_the_gate(site, box, make) -> None:
    """What `tests/system/releases/test_bad_in_a_room.py` begins with: golden inputs cannot show everything."""
    site.publish(make(also=leaking_graph.InShortSpeech(megabytes=8)))
    assert box.check(budget=Budget(times_reference=1e9, window_ms=1e6)).result == "switched"


def test_a_flatbuffer_that_crashes_the_interpreter_kills_the_gate_alone(site, box, make) -> None:
    site.publish(make(model=tiny.crashing()))
    found = box.check()
    assert found.result == "refused"
    assert "validation crashed with this model (SIGSEGV)" in found.text
    assert box.model() == "base-1.0.0"
    assert "not installed again" in box.check().text


def test_at_the_workstation_it_is_an_objection_and_the_command_lives_on(make) -> None:
    from edge.inference import bundle as bundles
    from provisioning.publish import bundle_checks

    crashing = bundles.load(make(model=tiny.crashing()))
    assert "validation crashed with this model (SIGSEGV)" in bundle_checks.check(
        crashing, None, None, protocols=[]
    )


def test_a_model_that_only_prefers_one_label_passes_the_gate_and_is_left_to_the_probation(
    site, box, make
) -> None:
    site.publish(make(bias=np.array([0, 0, 0, 50, 0, 0, 0])))
    assert box.check().result == "switched"
    assert box.store.state.probation is not None
