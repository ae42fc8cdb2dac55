"""A change of keys that is interrupted at any of its steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.publish import rotation, setup
from provisioning.publish.catalogue import Catalogue
from tests.support.crashing_process import live
from tests.support.site.publishing import Site, ask


def _change(folder: Path, role: str) -> Callable[[Callable[[str], None]], None]:
    """As `fleet keys rotate` does it, up to the way to the hub."""

    def work(step: Callable[[str], None]) -> None:
        catalogue = Catalogue(folder)
        rotation.rotate(catalogue, role, (), ask, step)
        rotation.resign_if_needed(catalogue, ask)
        step("targets: signed")
        setup.to_local_hub(catalogue)
        step("hub: brought")

    return work


@pytest.mark.parametrize("role", ["root", "targets", "online"])
def test_the_power_may_go_between_any_two_steps_of_a_change_of_keys(folder: Path, role: str) -> None:
    before = Site(folder / "site").folder / "models"
    shutil.copytree(before, folder / "whole")
    steps = live(_change(folder / "whole", role), None)
    assert steps == [
        "key: written", "root: signed", "key: old one put aside", "key: in its place",
        "targets: signed", "hub: brought",
    ]  # fmt: skip
    for point, name in enumerate(steps):
        cut = folder / str(point)
        shutil.copytree(before, cut)
        assert live(_change(cut, role), point)[-1] == name
        # What every command does first; then whoever signs can sign, and the hub and its boxes believe it.
        catalogue = Catalogue(cut)
        rotation.activate_keys(catalogue)
        rotation.resign_if_needed(catalogue, ask)
        setup.resign_targets(catalogue, setup.targets_signer(catalogue, None, ask))
        setup.to_local_hub(catalogue)
        assert catalogue.root().signed.version == (1 if name == "key: written" else 2), name
        # And the next change of keys goes through as if nothing had been.
        assert rotation.rotate(catalogue, role, (), ask), name
        rotation.resign_if_needed(catalogue, ask)
        setup.to_local_hub(catalogue)
        assert not [*catalogue.folder.glob("*.next"), *catalogue.hub.glob("*.next")], name
