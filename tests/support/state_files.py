"""Every file in which a device keeps something between two starts, and how the code that reads it is started.

`WRITERS` names all modules that write files, so that a new one has to be added here, and with it to the tests.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.config.load import load
from edge.ear.baseline_store import BaselineStore, Quality
from edge.ear.model_selection import ModelSelector, StartAttempts
from edge.ear.uplink.counter import UtteranceCounter
from edge.inference import bundle as bundles
from edge.inference.classifier import Result
from edge.link.delivery.entry import Entry
from edge.link.delivery.episodes import EpisodeMessages
from edge.link.delivery.journal import Journal
from edge.link.delivery.spool import Spool
from edge.link.state import published_names
from edge.link.state.clock import Clock
from edge.link.state.numbering import Numbering
from edge.link.state.published_names import Identity
from edge.protocol import LABELS, Episode
from edge.releases.store.model_store import Store
from edge.releases.store.state import Slot
from edge.util.service.restarts import Restarts
from tests.conftest import ROOT
from tests.support.bundles import tiny
from tests.support.messages import event
from tests.support.site.releases import bring, target
from tests.support.sources import python_files

WRITERS = {
    "edge/util/service/restarts.py": "restarts",
    "edge/link/state/published_names.py": "published names",
    "edge/link/state/clock.py": "clock",
    "edge/link/state/numbering.py": "numbers",
    "edge/ear/uplink/counter.py": "count",
    "edge/ear/saved_state.py": "copies what the others write: tests/unit/ear/test_saved_state.py",
    "edge/link/delivery/entry.py": "spool, journal",
    "edge/link/delivery/episodes.py": "episode",
    "edge/ear/model_selection.py": "start attempts",
    "edge/ear/baseline_file.py": "baseline",
    "edge/releases/store/model_store.py": "model store, floor",
    "edge/link/mute_commands.py": "only the existence of the file counts: tests/unit/link/test_mute.py",
    "edge/ear/mute/mute_state.py": "only the existence of the file counts: tests/unit/ear/test_mute.py",
    "edge/releases/repository/tuf_client.py": "checked against signatures: tests/system/update_check/test_attacks.py",
    "edge/releases/repository/download.py": "checked against a signed hash: tests/system/update_check",
    "edge/releases/archive.py": "checked against signed hashes at every start: tests/unit/inference/test_bundle.py",
    "edge/config/join_file.py": "output of a command",
    "edge/cli/completion.py": "output of a command",
    "edge/util/atomic_file.py": "writes for the others",
}
"""Module, and the state files of it, or why none is listed."""


def writers() -> set[str]:
    """Modules of the device that write files."""
    found = set()
    for path in python_files(ROOT / "edge"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(_writes(node) for node in ast.walk(tree)) or _imports_writer(tree):
            found.add(str(path.relative_to(ROOT)))
    return found


def _writes(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="write_text" | "write_bytes" | "touch")):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="sqlite3"), attr="connect")):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="atomic_file"))):
            return True
        case ast.Call(
            func=ast.Attribute(attr="open") | ast.Name(id="open"), args=[*_, ast.Constant(value=str(mode))]
        ):
            return bool(set(mode) & set("wax+")) and len(mode) <= 3
        case ast.Attribute(value=ast.Name(id="os"), attr="O_CREAT"):
            return True
    return False


def _imports_writer(tree: ast.AST) -> bool:
    names = {"write", "update", "replacing", "move_into_place"}
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "edge.util.atomic_file"
        and names & {alias.name for alias in node.names}
        for node in ast.walk(tree)
    )


@dataclass(frozen=True)
class StateFile:
    """`start` begins with what is in the folder, writes the file, and returns what it had read."""

    name: str
    path: str
    start: Callable[[Path], object]


def start_restarts(folder: Path) -> object:
    counter = Restarts(folder)
    counter.begin()
    return counter._read()


def start_names(folder: Path) -> object:
    path = folder / "kitchen.identity"
    old = published_names.left_over(path, Identity("study", "roomtone", "homeassistant"))
    published_names.remember(path, Identity("kitchen", "roomtone", "homeassistant"))
    return sorted(old)


class _NothingWaits:
    def clock_was_set(self, seconds: float, from_n: int) -> None: ...

    def clock_is_right(self, from_n: int) -> None: ...


def start_clock(folder: Path) -> object:
    clock = Clock(
        folder / "clock", _NothingWaits(), 7,
        is_synced=lambda: False, wall=lambda: 5e8, since_boot=lambda: 9.0, boot="a",
    )  # fmt: skip
    marked = clock._marked
    clock.mark(event(1))
    return marked


def start_spool(folder: Path) -> object:
    spool = Spool(folder / "spool", 1000, 7 * 86_400, lambda: 1_800_000_000.0)
    waiting = len(spool)
    spool.add(f"id-{waiting}", "boot", waiting, b"{}")
    spool.spill()
    assert spool.on_disk == waiting + 1
    spool.close()
    return waiting


def start_journal(folder: Path) -> object:
    journal = Journal(folder / "journal", lambda: 1_800_000_000.0)
    last = journal.last_n
    journal.add(Entry(last + 1, f"id-{last}", "boot", last, 0.0, b"{}"))
    assert journal.last_n == last + 1
    journal.close()
    return last


def start_baseline(folder: Path) -> object:
    made = folder / "bundles"
    shipped = next(made.iterdir()) if made.exists() else tiny.make(made, relative=True)
    store = BaselineStore(folder / "kitchen.baseline.json", bundles.load(shipped), 300.0)
    before = store.baseline.utterances
    shares = dict.fromkeys(LABELS, 1 / 7)
    outputs = np.array((3.0, 0, 0, 0, 0, 0, 0, 0), np.float64)
    for _ in range(20):
        store.update(
            Result("neutral", 1 / 7, shares, np.zeros(4, np.float32), outputs, True), Quality(20.0, 0.0)
        )
    store.close()
    return before


def start_floor(folder: Path) -> object:
    store = Store(folder)
    before = store.state.floor
    store.adopt(bring(store, target(before + 1)))
    return before


def start_store(folder: Path) -> object:
    store = Store(folder)
    checked = store.state.checked_at
    store.record_check(latest="1.2.3")
    return checked > 0


def start_attempts(folder: Path) -> object:
    config = load(overrides={
        "runtime.socket": str(folder / "kitchen.sock"), "runtime.ear_state_dir": str(folder),
        "updates.dir": str(folder / "models"),
    })  # fmt: skip
    slot = Slot(
        name="base-1.0.0", folder="base-1.0.0.x", release=1, target_sha256="0" * 64, model_sha256="1" * 64
    )
    selector = ModelSelector(config)
    before = selector._attempts(slot)
    selector._write(StartAttempts(slot.target_sha256, before + 1))
    return before


def start_numbering(folder: Path) -> object:
    numbering = Numbering(folder / "numbers")
    before = numbering.last.seq
    numbering.begin("0123456789abcdef", before + 1)
    assert numbering.assign(before + 1, 0) is not None
    return before


def start_episode(folder: Path) -> object:
    messages = EpisodeMessages(folder / "kitchen.episode", "roomtone", "kitchen", lambda *_: 1)
    messages.connected()
    found = messages.unpublished_end
    stamp = "2026-01-01T10:00:00.000Z"
    messages.publish(Episode(event_type="started", started_at=stamp, peak=0.4, model="base-0.8.2"))
    return found


def start_counter(folder: Path) -> object:
    counter = UtteranceCounter(folder / "count")
    return counter.next()


STATE_FILES = [
    StateFile("numbers", "numbers", start_numbering),
    StateFile("count", "count", start_counter),
    StateFile("restarts", "restarts", start_restarts),
    StateFile("published names", "kitchen.identity", start_names),
    StateFile("clock", "clock", start_clock),
    StateFile("spool", "spool", start_spool),
    StateFile("journal", "journal", start_journal),
    StateFile("episode", "kitchen.episode", start_episode),
    StateFile("baseline", "kitchen.baseline.json", start_baseline),
    StateFile("model store", "state.json", start_store),
    StateFile("floor", "floor", start_floor),
    StateFile("start attempts", "kitchen.tries.json", start_attempts),
]
