"""`roomtone devices`: lists the microphones, or shows the level of one."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from edge.util.errors import UserError
from edge.util.text.terminal import printable

EPILOG: Final = """examples:
  roomtone devices
  roomtone devices --meter                          the level of the default microphone
  roomtone devices --meter usb:0d8c:0014:A7 --seconds 10
"""


def register(subparsers: Any) -> None:
    """Add `roomtone devices`."""
    parser = subparsers.add_parser(
        "devices",
        help="list the microphones, under names that survive a reboot",
        description="Lists the input devices. Set `audio.device` to an identity from this list; "
        "part of a name or a number works as well.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON array; with --meter one JSON object per second"
    )
    parser.add_argument(
        "--meter", nargs="?", const="", metavar="DEVICE", help="show the level of a device until Ctrl-C"
    )
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="with --meter: end after N seconds")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the microphones, or the level of one; status 1 when there is none. Raises `UserError`."""
    if options.meter is not None:
        return _run_meter(options)
    if options.seconds is not None:
        raise UserError("--seconds needs --meter")
    import msgspec

    from edge.ear.capture.devices import list_devices
    from edge.ear.capture.microphone import portaudio
    from edge.ear.native_output import quiet_native_stderr

    library = portaudio()
    with quiet_native_stderr():
        system = library.PyAudio()
        try:
            found = list_devices(system)
        finally:
            system.terminate()
    if options.json:
        print(msgspec.json.encode(found).decode())
    elif not found:
        print("no microphone is connected", file=sys.stderr)
    else:
        width = max(len(device.identity) for device in found)
        for device in found:
            mark = "*" if device.default else " "
            print(
                f"{mark} {printable(device.identity):<{width}}  {printable(device.name)} "
                f"(number {device.index}, {device.channels} channels, {device.rate} Hz)"
            )
        print("* = the default; set audio.device to an identity", file=sys.stderr)
    return 0 if found else 1


def _run_meter(options: argparse.Namespace) -> int:
    from edge.cli.mute import RUNTIME
    from edge.ear.capture import meter
    from edge.ear.capture.microphone import MicrophoneSource
    from edge.ear.core_dumps import disable_core_dumps
    from edge.ear.native_output import silence_native_stderr

    meter.refuse_if_muted(RUNTIME)
    source = MicrophoneSource(options.meter)
    silence_native_stderr()
    disable_core_dumps()
    return 0 if meter.show(source, options.seconds, sys.stdout, as_json=options.json) else 1


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError("must be between 0 and 86400")
    return value
