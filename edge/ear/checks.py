"""What `roomtone doctor` looks at for the ear: the recordings of a playback, or PyAudio and the microphone."""

from __future__ import annotations

from collections.abc import Iterator

from edge.config.settings import Config
from edge.doctor.check import Check
from edge.ear.capture import device_holder
from edge.ear.capture.devices import NoSuchDeviceError, choose, listen
from edge.ear.capture.microphone import portaudio
from edge.ear.native_output import quiet_native_stderr
from edge.util.errors import UserError


def checks(config: Config) -> Iterator[Check]:
    """Where the sound is to come from."""
    yield _room(config) if config.audio.source == "playback" else _microphone(config)


def _room(config: Config) -> Check:
    import threading

    from edge.ear.capture.playback import PlaybackSource

    try:
        return Check("playback", "ok", PlaybackSource(config.audio, threading.Event()).name)
    except UserError as error:
        return Check("playback", "fail", str(error), "set `audio.playback_dir` to a folder of recordings")


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
        held = "; ".join(one.words for one in device_holder.holders())
        remedy = held or "plug one in; `roomtone devices` shows what is there"
        return Check("microphone", "warn", str(error), remedy)
    return Check("microphone", "ok", f"{device.name} [{device.identity}]")
