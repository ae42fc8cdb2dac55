"""The broker's configuration of a site, for any folders."""

from __future__ import annotations

import pytest

from provisioning.fleet.records import SiteSettings
from provisioning.fleet.site import DATA_IN_TEMPLATE, FOLDER_IN_TEMPLATE, broker_config


@pytest.mark.parametrize(
    ("folder", "data"),
    [
        ("/etc/mosquitto/roomtone", "/var/lib/mosquitto/"),
        ("/srv/mosquitto/config", "/srv/mosquitto/config/data/"),
        ("/srv/mosquitto/data/", "/x/mosquitto/data/y/"),
    ],
)
def test_folders_are_written_as_they_are(folder: str, data: str) -> None:
    text = broker_config(SiteSettings(name="home", hosts=("hub",)), folder, data)
    lines = text.splitlines()
    assert f"persistence_location {data}" in lines
    assert f"cafile {folder}/ca.crt" in lines
    rest = text.replace(folder, "").replace(data, "")
    assert DATA_IN_TEMPLATE not in rest
    assert FOLDER_IN_TEMPLATE not in rest
