"""Where the measured processes keep what a device keeps in memory."""

import os
import subprocess

import pytest

from tests.bench.ear import MEMORY, runtime_folder


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="no file system in memory here")
def test_sockets_and_state_are_in_memory_as_on_a_device():
    with runtime_folder() as folder:
        command = ["stat", "--file-system", "--format=%T", folder]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "tmpfs"
    assert not folder.exists()
