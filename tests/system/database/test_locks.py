"""Locks of SQLite, seen from another process."""

import subprocess
import sys

from dashboard.db.engine import connect
from dashboard.db.schema import migrate

CODE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("insert into rooms (node, name, first_seen) values ('study', '', 0)")
connection.commit()
connection.close()
"""


def test_opening_the_database_again_does_not_release_the_locks_of_other_connections(tmp_path):
    """POSIX locks belong to the process: whoever closes the file by itself releases those of SQLite.

    Another process would then take itself for the last one, and remove the log that is still in use.
    """
    database = tmp_path / "hub.db"
    url = f"sqlite:///{database}"
    migrate(connect(url))
    first = connect(url).connect()
    first.exec_driver_sql("insert into rooms (node, name, first_seen) values ('hall', '', 0)")
    first.commit()
    connect(url)
    subprocess.run([sys.executable, "-c", CODE, str(database)], check=True)
    assert database.with_name("hub.db-wal").exists()
    assert first.exec_driver_sql("select count(*) from rooms").scalar() == 2
    first.close()
