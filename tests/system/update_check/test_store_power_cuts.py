"""The store of releases, interrupted at any of its steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.releases.store.model_store import Store, StoreError
from tests.support.crashing_process import live
from tests.support.site.releases import archive, bring, model_of, target


@pytest.fixture
def memory() -> Iterator[Path]:
    """Killing a process loses nothing of the page cache, and a disk would make each of these lives slow."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def _life(folder: Path, kill_at: int | None) -> list[str]:
    """One life of the box, in a process of its own: an update, its probation, the next update, and a roll-back of it.

    With `kill_at` it dies without warning at that step.
    """

    def life(step: Callable[[str], None]) -> None:
        store = Store(folder, step)
        now = store.recover()
        if now.probation is not None:
            now = store.confirm() if now.current.release == 1 else store.roll_back("bad")
        if now.floor < 1 or (now.candidate and now.candidate.slot.release == 1):
            store.switch(bring(store, target(1)))
            store.confirm()
        second = target(2)
        if second.sha256 not in store.state.refused_hashes:
            store.switch(bring(store, second))
            store.roll_back("bad")

    return live(life, kill_at)


def test_the_power_may_go_between_any_two_steps(memory: Path) -> None:
    steps = _life(memory / "whole", None)
    assert len(steps) >= 60, steps
    for point, name in enumerate(steps):
        folder = memory / str(point)
        assert _life(folder, point)[-1] == name
        # What runs directly after the cut is whole: the shipped one, the first, or the second on its probation.
        after = Store(folder)
        assert model_of(after) in {"factory", "1.0.1", "1.0.2"}, name
        assert after.state.floor <= 2
        _life(folder, None)
        assert model_of(after) == "1.0.1", name
        assert target(2).sha256 in after.state.refused_hashes
        assert [path.name for path in (folder / "slots").iterdir()] == [after.state.current.folder], name
        assert not list(after.incoming.iterdir())
        assert not list(folder.rglob("*.new"))


def test_a_power_cut_never_forgets_the_floor(tmp_path: Path) -> None:
    """Between the floor and the switch: the floor is first."""
    steps = _life(tmp_path / "whole", None)
    point = steps.index("switched: before writing")
    _life(tmp_path / "cut", point)
    store = Store(tmp_path / "cut")
    assert store.state.floor == 1
    assert store.state.current is None
    store.switch(bring(store, target(1)))  # the same one goes on
    with pytest.raises(StoreError, match="rollback refused"):
        store.select(target(1, "0.9.0", archive("0.9.0")))
