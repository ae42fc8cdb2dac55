"""A Debian in which an ordinary user has typed each line of set-up of docs/subscribe.md, and runs the examples there.

    place = root("bookworm")                       # made once (minutes)
    subprocess.Popen(command(place, folder, "python3 /test/subscriber.py 127.0.0.1 1883"))

It shares the network of this machine; the folder is at `/test`, and the commands run where the set-up was made.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.machines import container
from tests.system.subscribers.examples import set_up_lines

USER = "ann"
INCLUDE = "ca-certificates,sudo"
BEFORE = f"""
useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
# Questions are answered with yes, and what is only recommended is left out: the lines have to name all that it takes.
printf 'APT::Get::Assume-Yes "true";\\nAPT::Install-Recommends "false";\\n' >/etc/apt/apt.conf.d/00test
apt-get update -qq
cd /home/{USER}
"""


def root(suite: str) -> Path:
    """The root folder of that Debian; made once for each state of the page."""
    lines = set_up_lines()
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
    typed = "\n".join(lines)
    script = (
        f"{BEFORE}export NODE_EXTRA_CA_CERTS=/mnt/authorities NPM_CONFIG_CAFILE=/mnt/authorities\n"
        f"runuser -u {USER} -- bash -ec 'export HOME=/home/{USER}\n{typed}'\napt-get clean\n"
    )
    return container.system_root(suite, f"subscribers-{suite}-{digest}", INCLUDE, script)


def command(place: Path, folder: Path, name: str, line: str) -> list[str]:
    """A line as the user types it; `name` is the container's."""
    return [
        "systemd-nspawn", "-q", "-D", str(place), "--volatile=overlay", "--register=no", "--keep-unit", "--as-pid2",
        "--console=pipe", f"--machine={name}", f"--bind={folder}:/test", f"--chdir=/home/{USER}",
        "runuser", "-u", USER, "--", "env", f"HOME=/home/{USER}", "bash", "-c", line,
    ]  # fmt: skip
