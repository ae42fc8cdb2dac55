"""What `roomtone doctor` looks at for the ear: PyAudio, microphones, and the socket to the link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.commands.doctor import Check
from edge.config import Config
from edge.ear.devices import NoSuchDeviceError, choose, listen
from edge.ear.microphone import portaudio
from edge.ear.quiet import quiet_native_stderr
from edge.errors import UserError


def checks(config: Config) -> Iterator[Check]:
    """The way in and the way out of the ear."""
    if config.audio.source == "wav":
        yield _room(config)
    else:
        yield _microphone(config)
    yield _link(config)


def _room(config: Config) -> Check:
    import threading

    from edge.ear.room import WavRoomSource

    try:
        return Check("WAV room", "ok", WavRoomSource(config.audio, threading.Event()).name)
    except UserError as error:
        return Check("WAV room", "fail", str(error), "set `audio.room` to a folder of recordings")


def _microphone(config: Config) -> Check:
    try:
        library = portaudio()
    except UserError as error:
        return Check("microphone", "fail", str(error), "apt install portaudio19-dev; pip install PyAudio")
    try:
        with quiet_native_stderr():
            system = library.PyAudio()
            try:
                found = listen(system)
            finally:
                system.terminate()
        device = choose(found, config.audio.device)
    except (NoSuchDeviceError, OSError) as error:
        # The ear waits for it, and so may the doctor's verdict: a box is often set up before its microphone comes.
        return Check("microphone", "warn", str(error), "plug one in; `roomtone devices` shows what is there")
    return Check("microphone", "ok", f"{device.name} [{device.identity}]")


def _link(config: Config) -> Check:
    path = config.runtime.socket
    try:
        listening = _listens(Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace"), path)
    except OSError:
        listening = Path(path).is_socket()
    if listening:
        return Check("socket", "ok", f"a link listens at {path}")
    return Check("socket", "warn", f"no link listens at {path}", "start it: roomtone link")


def _listens(sockets: str, path: str) -> bool:
    """Looks into the kernel's table: to connect would take the place of an ear that is at work."""
    rows = [row.split(maxsplit=7) for row in sockets.splitlines()[1:]]
    accepts = 0x10000
    return any(len(row) == 8 and row[7] == path and int(row[3], 16) & accepts for row in rows)
