import subprocess
import sys


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_native_chatter_is_gone_and_the_log_is_not() -> None:
    result = run(
        "import os, sys\nfrom edge.ear.native_output import silence_native_stderr\n"
        "os.write(2, b'native before\\n')\nsilence_native_stderr()\n"
        "os.write(2, b'native after\\n')\nprint('python', file=sys.stderr)\n"
    )
    assert result.stderr == "native before\npython\n"


def test_for_a_moment_it_is_quiet_and_then_as_before() -> None:
    result = run(
        "import os, sys\nfrom edge.ear.native_output import quiet_native_stderr\n"
        "print('one', file=sys.stderr)\n"
        "with quiet_native_stderr():\n    os.write(2, b'chatter\\n')\n"
        "os.write(2, b'two\\n')\nprint('three', file=sys.stderr)\n"
    )
    assert result.stderr == "one\ntwo\nthree\n"


def test_a_traceback_is_still_seen() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from edge.ear import native_output\nnative_output.silence_native_stderr()\n1/0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "ZeroDivisionError" in result.stderr
