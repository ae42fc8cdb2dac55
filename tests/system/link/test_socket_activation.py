"""A socket that systemd has opened for the link."""

import os
import socket
import subprocess
import sys


def test_a_socket_of_the_service_manager_is_taken_and_not_removed(tmp_path):
    path = tmp_path / "s"
    code = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "from pathlib import Path;"
        "from edge.link.ipc.listener import listen; found = listen(Path('/absent/unused'));"
        "print(found.socket.getsockname(), found.made, 'LISTEN_FDS' in os.environ); found.close()"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as ours:
        ours.bind(str(path))
        ours.listen()
        done = subprocess.run(
            [sys.executable, "-c", code, str(ours.fileno())],
            env={**os.environ, "LISTEN_FDS": "1"},
            pass_fds=[ours.fileno()],
            capture_output=True,
            check=False,
        )
    assert done.stdout.decode().strip() == f"{path} None False", done.stderr.decode()
    assert path.exists()
