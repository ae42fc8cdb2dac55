"""The plug-in that counts instructions, on a program whose instructions are known."""

import shutil
import subprocess

import pytest

from tests.bench.arm import count

PROGRAM = """
#include <unistd.h>
#include <sys/syscall.h>
static void mark(long n) { syscall(SYS_getpriority, 0, 0x52540000 + n); }
int main(void)
{
    mark(0);
    mark(1);
    long n = 1000000;
    mark(2);
    __asm__ volatile("1: dec %0\\n jnz 1b" : "+r"(n)::"cc");
    mark(3);
}
"""


@pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "qemu-x86_64", "qemu-aarch64"))), reason="needs gcc and qemu-user"
)
def test_a_loop_of_two_instructions_is_counted_to_the_last_one(tmp_path):
    (tmp_path / "loop.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-O2", "-o", tmp_path / "loop", tmp_path / "loop.c"], check=True)
    plugin, out = count.build_plugin(tmp_path), tmp_path / "counts"
    subprocess.run(["qemu-x86_64", "-plugin", f"{plugin},out={out}", tmp_path / "loop"], check=True)
    found = count.works_of(count.read_marks(out.read_text()), {"loop": 1})["loop"]
    # Beside the loop there is its counter's first value.
    assert 2_000_000 <= found.instructions <= 2_000_004
    assert found.dot_products == 0
