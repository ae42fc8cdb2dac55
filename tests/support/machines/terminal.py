"""A terminal of an ordinary user in a container: commands are typed into a shell, and questions are answered."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time

from tests.support.machines.container import Container

CTRL_C = b"\x03"
REPEAT_S = 3.0
PRESS_AGAIN_S = 60.0
_END = r"\x1eEND %d \[(\d+)\] \[(.*?)\]\x1e"
_QUESTION = re.compile(r"(?:assphrase|assword|once more|Repeat|Code that)[^\n]*: ?\Z")
_CODE = re.compile(r"--code ([A-Z2-7]{5}(?:-[A-Z2-7]{5}){2})")


class Terminal:
    """A shell that keeps its folder, variables and environment from one command to the next."""

    def __init__(
        self, container: Container, user: str, folder: str, settings: dict[str, str], answer: str
    ) -> None:
        self._container = container
        self._answer = answer
        self._code = ""
        self._count = 0
        home = settings | {"HOME": f"/home/{user}", "TERM": "dumb", "PS1": ""}
        variables = [f"{name}={value}" for name, value in home.items()]
        shell = shlex.join(
            [
                "runuser",
                "-u",
                user,
                "--",
                "env",
                *variables,
                "bash",
                "--noprofile",
                "--norc",
                "--noediting",
                "-i",
            ]
        )
        ours, theirs = pty.openpty()
        self._terminal = ours
        self._shell = subprocess.Popen(
            container.way_in(f"exec setsid --ctty --wait {shell}"),
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.types(f"stty -echo; cd {folder}; PS1=", 60)

    def types(
        self, text: str, timeout_s: float, until: str = "", stays: bool = False, after_s: float = 0.0
    ) -> tuple[str, str]:
        """Run commands; return the first one that failed (empty: none) and all that was printed.

        `until`: press Ctrl-C when this appears, or `after_s` later, or with `stays` leave it running in this terminal.
        """
        self._count += 1
        script = self._container.root / "srv" / f"typed-{os.getpid()}-{id(self)}-{self._count}"
        script.write_text(text)
        script.chmod(0o644)
        # Its number tells it from what an interrupted command before it has still printed.
        end = f'printf \'\\036END {self._count} [%s] [%s]\\036\' "$__status" "$__failed"; trap - ERR'
        # The first command that fails; what Ctrl-C ends has not failed.
        trap = "trap '[ $? -eq 130 ] || __failed=${__failed:-$BASH_COMMAND}' ERR"
        self._write(f"__failed= __status=0; {trap}; . /srv/{script.name}; __status=$?; {end}\n")
        said, answered, pressed, again, press_again = "", 0, False, 0.0, 0.0
        limit = time.monotonic() + timeout_s
        while (done := re.search(_END % self._count, said, re.DOTALL)) is None:
            assert time.monotonic() < limit, f"{text}\n{said[-4000:]}"
            said += self._read()
            self._code = (_CODE.findall(said) or [self._code])[-1]
            if until and not pressed and re.search(until, said):
                pressed = True
                if stays:
                    return "", said
                time.sleep(after_s)
                self.interrupt()
                press_again = time.monotonic() + PRESS_AGAIN_S
            # A sudo with a terminal of its own may lose it, and a package that is being unpacked goes on: people press
            # again.
            if pressed and time.monotonic() > press_again:
                press_again = time.monotonic() + PRESS_AGAIN_S
                self.interrupt()
            # A sudo that has not ended yet takes what is typed with it.
            if pressed and time.monotonic() > again:
                again = time.monotonic() + REPEAT_S
                self._write(f"__status=0; {end}\n")
            if len(said) > answered and (question := _QUESTION.search(said)):
                answered = len(said)
                # The code of the join file that was made last.
                self._write((self._code if question[0].startswith("Code") else self._answer) + "\n")
        if until and not pressed:
            return done[2] or "it ended by itself", said
        return done[2] or ("" if done[1] == "0" else f"status {done[1]}"), said[: done.start()]

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._terminal, CTRL_C)

    def ends(self, timeout_s: float) -> None:
        """End what runs in here by Ctrl-C, and wait for it."""
        self._count += 1
        self.interrupt()
        self._write(f"printf '\\036END {self._count} [0] []\\036'\n")
        said, limit = "", time.monotonic() + timeout_s
        while re.search(_END % self._count, said, re.DOTALL) is None:
            assert time.monotonic() < limit, said[-4000:]
            said += self._read()

    def close(self) -> None:
        """Hang up."""
        self._shell.send_signal(signal.SIGHUP)
        os.close(self._terminal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._shell.wait(30)
        self._shell.kill()
        self._shell.wait()

    def _write(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _read(self) -> str:
        if not select.select([self._terminal], [], [], 0.2)[0]:
            return ""
        try:
            return os.read(self._terminal, 65536).decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            return ""
