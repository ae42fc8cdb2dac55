"""What the hub's processes load, counted in libraries: memory differs from machine to machine, this does not."""

import subprocess
import sys

import pytest

from dashboard.db.engine import connect
from dashboard.db.schema import migrate

# Each is several megabytes, in a process that never calls it.
UNUSED = {"numpy", "pydantic.v1", "pygments", "rich", "scipy", "tensorflow", "torch", "watchfiles"}
# Loaded by the first notification, model card or QR code, by a repository of models, and for PostgreSQL.
LATER = {"cryptography", "httpx", "markdown_it", "segno", "sqlalchemy.dialects.postgresql", "tuf"}

# As the command does it, up to where the server would answer the first request.
DASHBOARD = """
import sys
from dashboard import application, server
from edge.cli.main import main

def serve(settings, listener, notifications):
    application.Application(settings, notifications).build()
    import uvicorn
    print(*(name for name, module in sys.modules.items() if module is not None))
    return 0

server.serve = serve
main(["dashboard", "--port", "0", "--broker", "mqtt://127.0.0.1:1", *sys.argv[1:]])
"""
RECORDER = """
import sys, dashboard.db.schema, dashboard.recorder.process, dashboard.recorder.session
print(*(name for name, module in sys.modules.items() if module is not None))
"""


def loaded(program: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=300
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", [(), ("--proxy", "127.0.0.1", "--guest-links")])
def test_the_dashboard_starts_without_what_only_some_requests_need(tmp_path, arguments):
    database = f"sqlite:///{tmp_path}/events.db"
    # What alembic loads to migrate a database is not counted.
    engine = connect(database)
    migrate(engine)
    engine.dispose()
    found = loaded(DASHBOARD, "--database", database, *arguments)
    assert {"fastapi", "sqlalchemy"} <= found
    assert found & (UNUSED | LATER) == set()


def test_the_recorder_loads_no_library_that_it_does_not_use():
    found = loaded(RECORDER)
    assert {"sqlalchemy", "paho"} <= found
    assert found & (UNUSED | LATER) == set()
