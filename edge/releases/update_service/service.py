"""The update service: the only process that writes the model store. It handles one request and ends.

    python -m edge.releases --config FILE    on a device: started for each connection to roomtone-update.socket
    python -m edge.releases                  elsewhere: a child of the link, which sends its configuration

It has neither the microphone nor the broker. On a device it reads configuration and trusted root itself, and runs as a
user of its own: a link that was taken over can send its requests (`messages.py`), and cannot install anything
that was not signed and validated.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edge.config.load import load
from edge.config.settings import Config
from edge.releases.store.model_store import Store, StoreError
from edge.releases.store.state import folder_of
from edge.releases.update_service.check import UpdateCheck
from edge.releases.update_service.messages import (
    MAX_LINE,
    Answer,
    Check,
    Confirm,
    Outcome,
    Progress,
    Request,
    RollBack,
    SaveProbation,
    SetReference,
)
from edge.util.errors import UserError
from edge.util.text.patterns import in_words

CREDENTIALS: Final = Path("/run/credentials")
"""Where systemd shows each unit its own credentials."""


def handle(
    request: Request,
    config: Config,
    on_progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Carry out one request. Raises nothing that a request or the disk can cause."""
    try:
        if isinstance(request, Check):
            return UpdateCheck(config, on_progress=on_progress).run()
        store = Store(folder_of(config), clock=clock)
        match request:
            case SetReference(counts):
                store.set_reference(counts)
            case SaveProbation(spent_s, crashes):
                store.save_probation(spent_s=spent_s, crashes=crashes)
            case Confirm():
                _refuse_early(store, config, clock())
                store.confirm()
            case RollBack(reason):
                store.roll_back(reason)
    except UserError as error:
        return Outcome("failed", str(error))
    return Outcome("done")


def _refuse_early(store: Store, config: Config, now: float) -> None:
    probation = store.state.probation
    if probation is None:
        raise StoreError("no model is on probation")
    # Not from the link's count: the shortest probation holds even if the link is not to be trusted.
    if 0 <= now - probation.since < 60 * config.updates.probation_minutes:
        raise StoreError("the probation has not lasted long enough to be passed")


def own_credentials(config: Config) -> Config:
    """Return the configuration with paths to another unit's credentials replaced by those of this unit.

    The configuration names the link's credentials; systemd shows the same files to this unit in another folder.
    """
    own = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not own:
        return config

    def seen_here(path: str) -> str:
        if Path(path).parent.parent != CREDENTIALS:
            return path
        return str(Path(own) / Path(path).name)

    updates = msgspec.structs.replace(
        config.updates,
        root_file=seen_here(config.updates.root_file),
        ca_file=seen_here(config.updates.ca_file or config.mqtt.ca_file),
    )
    return msgspec.structs.replace(config, updates=updates)


def main() -> int:
    """Entry point of the process. The exit status is always 0: the outcome is the last line."""
    parser = argparse.ArgumentParser(prog="python -m edge.releases", description="Roomtone's update service.")
    parser.add_argument("--config", type=Path, help="configuration file (default: JSON in the first line)")
    options = parser.parse_args()

    def emit(answer: Answer) -> None:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()

    try:
        if options.config is not None:
            config = own_credentials(load(options.config))
        else:
            config = msgspec.json.decode(sys.stdin.buffer.readline(MAX_LINE), type=Config)
        request: Request = msgspec.json.decode(sys.stdin.buffer.readline(MAX_LINE), type=Request)
    except (UserError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        emit(Outcome("failed", f"the update service cannot read its request: {in_words(error)}"[:300]))
        return 0
    emit(handle(request, config, emit))
    return 0
