"""A program whose database is at the newest revision does without alembic; every other database is migrated."""

from __future__ import annotations

import subprocess
import sys

from alembic.script import ScriptDirectory

from dashboard.db import schema
from dashboard.db.engine import connect

MIGRATE = """
import sys
from dashboard.db.engine import connect
from dashboard.db.schema import migrate
migrate(connect(sys.argv[1]))
print("alembic" in sys.modules)
"""


def loads_alembic(url):
    command = [sys.executable, "-c", MIGRATE, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()


def test_the_newest_revision_is_that_of_alembic():
    assert schema.newest_revision() == ScriptDirectory.from_config(schema._config()).get_current_head()


def test_alembic_is_loaded_only_where_there_is_something_to_migrate(tmp_path):
    url = f"sqlite:///{tmp_path}/hub.db"
    assert loads_alembic(url) == "True"
    assert loads_alembic(url) == "False"
    engine = connect(url)
    schema.migrate(engine, "0005")
    assert loads_alembic(url) == "True"
    with engine.connect() as connection:
        assert schema.current_revision(connection) == schema.newest_revision()
    engine.dispose()
