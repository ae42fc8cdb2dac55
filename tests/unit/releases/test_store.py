"""The store of models, and what is left of it when the power goes at any point."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.releases.store import state
from edge.releases.store.model_store import Store, StoreError
from tests.support.site.releases import bring, model_of, target


def test_a_model_that_passes_runs_and_the_one_before_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.switch(bring(store, target(1)))
    assert (model_of(store), store.state.probation is not None) == ("1.0.1", True)
    store.confirm()
    store.switch(bring(store, target(2)))
    store.confirm()
    store.switch(bring(store, target(3)))
    store.confirm()
    assert model_of(store) == "1.0.3"
    kept = sorted(path.name.rpartition(".")[0] for path in (tmp_path / "slots").iterdir())
    assert kept == ["base-1.0.2", "base-1.0.3"]
    assert not list(store.incoming.iterdir())


def test_a_roll_back_goes_to_the_model_before_and_never_again_to_that_hash(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in (1, 2):
        store.switch(bring(store, target(number)))
        if number == 1:
            store.confirm()
    bad = store.state.current
    assert bad is not None
    store.roll_back("hears only anger")
    now = store.state
    assert (model_of(store), now.error, now.probation) == ("1.0.1", "hears only anger", None)
    assert {bad.target_sha256, bad.model_sha256} <= now.refused_hashes
    store.roll_back("again")
    assert model_of(store) == "factory"
    with pytest.raises(StoreError, match="nothing to go back from"):
        store.roll_back("once more")


def test_nothing_below_the_floor_is_ever_wanted_also_when_the_state_is_lost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.switch(bring(store, target(5)))
    store.confirm()
    with pytest.raises(StoreError, match="rollback refused"):
        store.select(target(4))
    (tmp_path / state.STATE).write_bytes(b"{ damaged")
    assert model_of(store) == "factory"
    with pytest.raises(StoreError, match="rollback refused"):
        store.select(target(4))


@pytest.mark.parametrize("content", [b"", b"\0" * 4, b"five\n"])
def test_a_damaged_floor_is_noticed(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    store.switch(bring(store, target(5)))
    store.confirm()
    assert "[store_damaged]" not in caplog.text
    (tmp_path / state.FLOOR).write_bytes(content)
    # What the state knows still holds.
    with pytest.raises(StoreError, match="rollback refused"):
        store.select(target(4))
    assert "[store_damaged]" in caplog.text


def test_only_a_gated_model_is_switched_to(tmp_path: Path) -> None:
    store = Store(tmp_path)
    candidate = store.select(target(1))
    with pytest.raises(StoreError, match="only a validated model"):
        store.switch(candidate)
