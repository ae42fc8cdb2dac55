import signal
import subprocess
import sys

import pytest

PROGRAM = """
import threading
from edge.util.service.stop_signals import call_on_signals
stopped = threading.Event()
call_on_signals(stopped.set)
print("ready", flush=True)
while not stopped.wait(0.0001):
    pass
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_that_come_together_and_at_any_moment_end_a_program(number: signal.Signals) -> None:
    for _ in range(30):
        with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as program:
            assert program.stdout is not None and program.stdout.readline() == b"ready\n"
            for _ in range(200):
                program.send_signal(number)
            try:
                assert program.wait(20) == 0
            finally:
                program.kill()
