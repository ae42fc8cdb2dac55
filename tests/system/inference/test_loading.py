"""Loading models in several threads at once."""

import subprocess
import sys

PROGRAM = """
import os, threading
from edge.audio.vad import SILERO
from edge.inference.interpreter import Interpreter
begun = threading.Barrier(4)

def load():
    begun.wait()
    for _ in range(10):
        Interpreter(SILERO)

threads = [threading.Thread(target=load) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
os.write(2, b"still here")
"""


def test_threads_that_load_at_once_leave_standard_error_where_it_was():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == "still here"
