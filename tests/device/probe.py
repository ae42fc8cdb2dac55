"""Runs inside the sandbox of a unit and tells, as one line of JSON, what is possible there. Standard library only.

It is started by a drop-in in place of the program: as the unit's user, with every directive of the installed unit.
"""

import contextlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path


def outcome(attempt):
    """`ok`, or the name of the error."""
    try:
        attempt()
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return "ok"


def sockets(_):
    kinds = {
        "inet": (socket.AF_INET, socket.SOCK_STREAM),
        "inet6": (socket.AF_INET6, socket.SOCK_STREAM),
        "udp": (socket.AF_INET, socket.SOCK_DGRAM),
        "netlink": (socket.AF_NETLINK, socket.SOCK_RAW),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW),
        "bluetooth": (31, socket.SOCK_STREAM),
        "vsock": (40, socket.SOCK_STREAM),
    }
    return {name: outcome(lambda kind=kind: socket.socket(*kind).close()) for name, kind in kinds.items()}


def tcp(address):
    """`PORT` of this machine, or `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    return outcome(lambda: socket.create_connection((host or "127.0.0.1", int(port)), 2).close())


def unix(path):
    def connect():
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(path)

    return outcome(connect)


def write(folder):
    """A new file in a folder: what was written into it can be found from outside."""

    def attempt():
        with tempfile.NamedTemporaryFile(dir=folder, prefix="probe-", delete=False) as file:
            file.write(b"the probe was here")
            os.fchmod(file.fileno(), 0o644)

    return outcome(attempt)


def read(path):
    return outcome(lambda: Path(path).open("rb").close())


def fill(folder):
    """How many KiB can be written into a folder, of 8 MiB that are tried: in one file and then in many."""
    written = 0
    names = []
    try:
        with Path(folder, "probe-fill").open("wb", buffering=0) as file:
            names.append(file.name)
            while written < 4 << 20:
                written += file.write(bytes(4096))
    except OSError:
        pass
    try:
        for number in range(1024):
            with Path(folder, f"probe-fill-{number}").open("wb", buffering=0) as file:
                names.append(file.name)
                written += file.write(bytes(4096))
    except OSError:
        pass
    for name in names:
        Path(name).unlink()
    return written >> 10


def shout(megabytes):
    """Bytes on standard output and standard error, in the longest lines that a journal takes, and in short ones."""
    line = os.urandom(24_000).hex().encode() + b"\n"
    for descriptor in (1, 2):
        left = int(megabytes) << 20
        with contextlib.suppress(OSError):
            while left > 0:
                left -= os.write(descriptor, line)
            for _ in range(20_000):
                os.write(descriptor, line[:100] + b"\n")
    return "ok"


def hog(megabytes):
    """Memory that is really used; who is killed for it tells nothing any more."""
    return "ok" if len(b"x" * (int(megabytes) << 20)) else ""


def send(script):
    """Messages to the link, as the ear would send them; each `{"hex": ...}` or `{"text": ...}` of a file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect("/run/roomtone/link.sock")
        for message in json.loads(Path(script).read_text()):
            channel.send(message.encode())
        # Until the link has read all that waits: it takes two a second and acknowledges the good one, the last.
        channel.settimeout(30)
        while True:
            answer = channel.recv(4096)
            if not answer or b'"ack"' in answer:
                return answer.decode()


def main():
    with contextlib.suppress(FileExistsError):
        os.umask(0o022)
    found = {}
    for wish in sys.argv[1:]:
        verb, _, value = wish.partition("=")
        found[wish] = {f.__name__: f for f in (sockets, tcp, unix, write, read, fill, shout, hog, send)}[
            verb
        ](value)
    print("PROBE " + json.dumps(found), flush=True)


main()
