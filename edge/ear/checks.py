"""Checks of `roomtone doctor` for the ear: the folder of the playback, or PyAudio and the microphone."""

from __future__ import annotations

from collections.abc import Iterator

from edge.config.settings import Config
from edge.doctor.check import Check
from edge.ear.capture import device_holder
from edge.ear.capture.devices import NoSuchDeviceError, list_devices, select_device
from edge.ear.capture.microphone import portaudio
from edge.ear.native_output import quiet_native_stderr
from edge.util.errors import UserError


def checks(config: Config) -> Iterator[Check]:
    """Check the configured audio source."""
    yield _playback(config) if config.audio.source == "playback" else _microphone(config)


def _playback(config: Config) -> Check:
    import threading

    from edge.ear.capture.playback import PlaybackSource

    try:
        return Check("playback", "ok", PlaybackSource(config.audio, threading.Event()).name)
    except UserError as error:
        return Check("playback", "fail", str(error), "set `audio.playback_dir` to a folder of audio files")


def _microphone(config: Config) -> Check:
    try:
        library = portaudio()
    except UserError as error:
        return Check("microphone", "fail", str(error), "apt install portaudio19-dev; pip install PyAudio")
    try:
        with quiet_native_stderr():
            system = library.PyAudio()
            try:
                found = list_devices(system)
            finally:
                system.terminate()
        device = select_device(found, config.audio.device)
    except (NoSuchDeviceError, OSError) as error:
        # A warning, not a failure: the ear waits for its microphone, and a device is often set up before it has one.
        held = "; ".join(one.description for one in device_holder.holders())
        remedy = held or "`roomtone devices` shows what is there"
        return Check("microphone", "warn", str(error), remedy)
    return Check("microphone", "ok", f"{device.name} [{device.identity}]")
