"""A box that joins a site gets its models with no hand work: where from, and whose, stands in its join file."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from edge.releases.store.model_store import Store
from tests.support.bundles import tiny
from tests.support.site.fleet import FleetSite
from tests.support.site.hub_server import Hub
from tests.support.site.room_device import Device
from tests.support.waiting import until


def test_a_box_that_joins_gets_updates_from_its_join_file_alone(folder: Path, hub: Hub, capsys) -> None:
    """A real site: its broker with certificates, its hub, its keys. The box knows nothing but `kitchen.join`."""
    from edge.cli.main import main

    secret = folder / "passphrase"
    secret.write_text("correct horse\n")
    with FleetSite(folder / "home") as site:
        site.fleet("keys", "init", "--url", hub.url, "--ca", hub.cert, "--passphrase-file", secret)
        hub.start(folder / "home" / "site" / "models" / "hub")
        made = tiny.make(folder / "made", "1.1.0", bias=np.full(7, 0.001))
        reason = "the comparison has no recordings in this test"
        # The authority of the hub's certificate is known since `keys init`.
        site.fleet("publish", made, "--everywhere", "--force", reason, "--passphrase-file", secret)
        site.fleet("enrol", "kitchen", "--out", folder / "kitchen.join")
        capsys.readouterr()
        assert (
            main(
                [
                    "join",
                    str(folder / "kitchen.join"),
                    "--to",
                    str(folder / "joined"),
                    "--json",
                    "--accept-unconfirmed",
                ]
            )
            == 0
        )
        settings = json.loads(capsys.readouterr().out)
        nothing = SimpleNamespace(url="", root="", cert="")
        factory = tiny.make(folder / "shipped", "1.0.0")
        box = Device(folder / "kitchen", "kitchen", site.port, factory, nothing, nothing, **settings)
        try:
            box.start()
            until(
                lambda: Store(box.folder / "models").state.current is not None,
                60,
                lambda: box.log("ear") + box.log(),
            )
            current = Store(box.folder / "models").state.current
            assert (current.name, current.release) == ("base-1.1.0", 1)
            until(lambda: "model: base-1.1.0" in box.log("ear"), 20, lambda: box.log("ear"))
            assert "[connected]" in box.log()
        finally:
            box.stop()
