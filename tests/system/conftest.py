"""What all integration tests share."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import create_engine

from tests.support.broker import Broker
from tests.support.machines.postgres import Postgres, programs


@pytest.fixture
def broker(tmp_path_factory):
    """A mosquitto that lets anybody in, for one test."""
    with Broker(folder=tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres():
    found = programs()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have PostgreSQL: apt-get install postgresql")
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    server = Postgres(found)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/events.db"
    server = request.getfixturevalue("postgres")
    engine = create_engine(server.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("drop schema public cascade; create schema public")
    engine.dispose()
    return server.url
