"""Lists microphones under names that survive a reboot.

ALSA numbers cards in the order in which they are found, so `hw:1,0` may be another microphone tomorrow. What stays is
what sysfs knows: vendor, product and serial number of a USB device, or the port it is plugged into.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

SYSFS: Final = Path("/sys")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A microphone as PortAudio sees it."""

    identity: str
    """`usb:VID:PID:SERIAL`, `usb-path:PORT`, `alsa:CARD` (built in) or `name:NAME` (a sound server)."""
    name: str
    index: int
    """PortAudio's number, valid until PortAudio is initialised again."""
    channels: int
    rate: int
    """Its default sample rate, in Hz."""
    default: bool


class NoSuchDeviceError(Exception):
    """No microphone or more than one matches a name; the text lists those that exist."""


def list_devices(portaudio: Any, sysfs: Path = SYSFS) -> list[Device]:
    """List the input devices of an initialised `pyaudio.PyAudio`."""
    try:
        default = portaudio.get_default_input_device_info()["index"]
    except OSError:
        default = -1
    infos = [portaudio.get_device_info_by_index(index) for index in range(portaudio.get_device_count())]
    return devices_from(infos, default, sysfs)


def devices_from(infos: Sequence[Mapping[str, Any]], default: int, sysfs: Path = SYSFS) -> list[Device]:
    """Turn PortAudio's device descriptions into devices with identities."""
    inputs = [info for info in infos if info["maxInputChannels"] > 0]
    cards = [_card(str(info["name"])) for info in inputs]
    usb = {card: _usb(sysfs, card) for card in cards if card is not None}
    # Cheap microphones share one serial number; then only the port tells them apart.
    shared = Counter(serial for serial, _ in usb.values() if serial)
    devices = []
    for info, card in zip(inputs, cards, strict=True):
        serial, port = usb.get(card, ("", "")) if card is not None else ("", "")
        if serial and shared[serial] == 1:
            identity = serial
        elif port:
            identity = f"usb-path:{port}"
        elif card is not None:
            identity = f"alsa:{_read(sysfs / 'class/sound' / f'card{card}' / 'id') or card}"
        else:
            identity = f"name:{info['name']}"
        devices.append(
            Device(
                identity=identity,
                name=str(info["name"]),
                index=int(info["index"]),
                channels=int(info["maxInputChannels"]),
                rate=round(float(info["defaultSampleRate"])),
                default=int(info["index"]) == default,
            )
        )
    return devices


def select_device(devices: Sequence[Device], wanted: str) -> Device:
    """Find a device by identity, PortAudio's number, or part of its name; empty: the default.

    Raises `NoSuchDeviceError` where none or more than one matches.
    """
    if not devices:
        raise NoSuchDeviceError("no microphone is connected; plug one in")
    if not wanted:
        return next((device for device in devices if device.default), devices[0])
    fragment = wanted.casefold()
    for found in (
        [device for device in devices if device.identity == wanted],
        [device for device in devices if str(device.index) == wanted],
        [device for device in devices if fragment in device.name.casefold()],
        [device for device in devices if fragment in device.identity.casefold()],
    ):
        # One card may have several inputs under one identity; the first is the main one.
        if len({device.identity for device in found}) == 1:
            return found[0]
        if found:
            names = ", ".join(device.identity for device in found)
            raise NoSuchDeviceError(f"{len(found)} microphones match {wanted!r}: {names}; use one of these")
    there = ", ".join(device.identity for device in devices)
    raise NoSuchDeviceError(f"no microphone matches {wanted!r}; connected: {there}")


def _card(name: str) -> int | None:
    found = re.search(r"\(hw:(\d+),\d+\)", name)
    return int(found[1]) if found else None


def _usb(sysfs: Path, card: int) -> tuple[str, str]:
    """`usb:VID:PID:SERIAL` (empty without a serial number) and the port; both empty when it is no USB device."""
    link = sysfs / "class/sound" / f"card{card}" / "device"
    if not link.exists():
        return "", ""
    # The card hangs on an interface (`1-1.2:1.0`) of the device (`1-1.2`), which knows vendor and product.
    interface = link.resolve()
    for folder in (interface, *interface.parents[:3]):
        vendor, product = _read(folder / "idVendor"), _read(folder / "idProduct")
        if vendor and product:
            serial = _read(folder / "serial")
            return (f"usb:{vendor}:{product}:{serial}" if serial else ""), folder.name
    return "", ""


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    # A serial number is whatever the maker burnt in; it must fit on one line of a configuration.
    return re.sub(r"[^\x21-\x7e]+", "_", text)[:64]
