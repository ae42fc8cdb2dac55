"""A microphone of PulseAudio: a null sink, and its monitor as the default source."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.conftest import SPEECH

SCRIPT = """
load-module module-native-protocol-unix auth-anonymous=1
load-module module-null-sink sink_name=room rate=16000 channels=1 format=s16le
set-default-sink room
set-default-source room.monitor
"""


class VirtualMicrophone:
    """A sound server of the test's own; what is played into it is what the microphone hears."""

    def __init__(self, folder: Path, socket: Path | None = None) -> None:
        self.folder = folder
        for name in ("run", "home"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        where = f"auth-anonymous=1 socket={socket}" if socket else "auth-anonymous=1"
        (folder / "mic.pa").write_text(SCRIPT.replace("auth-anonymous=1", where))
        (folder / "home" / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "HOME": str(folder / "home"),
        }
        self.environment.pop("PULSE_SERVER", None)
        if socket is not None:
            self.environment["PULSE_SERVER"] = f"unix:{socket}"
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.server = subprocess.Popen(
            [
                "pulseaudio", "-n", "-F", self.folder / "mic.pa",
                "--exit-idle-time=-1", "--use-pid-file=no", "--daemonize=no",
            ],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 10
        while subprocess.run(
            ["pactl", "info"], env=self.environment, capture_output=True, check=False
        ).returncode:
            assert self.server.poll() is None, "pulseaudio has ended"
            assert time.monotonic() < end, "pulseaudio does not answer"
            time.sleep(0.1)

    def play(self, name: str, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Plays one of the recorded voices into the room."""
        player = subprocess.Popen(
            ["paplay", "--raw", "--format=s16le", "--rate=16000", "--channels=1", SPEECH / name],
            env=self.environment,
        )
        if wait:
            assert player.wait(30) == 0
        return player

    def freeze(self) -> None:
        """The server holds the device and no longer gives anything: what a pulled-out USB microphone does."""
        assert self.server is not None
        self.server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.server is not None
        self.server.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait()
            self.server = None
