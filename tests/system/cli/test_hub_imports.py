"""What the hub's processes load, counted in libraries: memory differs from machine to machine, this does not."""

import subprocess
import sys

import pytest

# Each is several megabytes, in a process that never calls it.
UNUSED = {"numpy", "pygments", "rich", "scipy", "tensorflow", "torch"}


@pytest.mark.parametrize(
    "modules",
    [
        ("dashboard.server", "dashboard.application"),
        ("dashboard.db.schema", "dashboard.recorder.process", "dashboard.recorder.session"),
    ],
)
def test_a_process_of_the_hub_loads_no_library_that_it_does_not_use(modules):
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"httpx", "sqlalchemy", "alembic"} & loaded
    assert not loaded & UNUSED
