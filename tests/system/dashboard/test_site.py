"""Dashboard and recorder at the broker of a site, with certificates of their own, and a real room."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.support.dashboard import Dashboard, Recorder, health, open_page
from tests.support.link import EarClient, LinkProcess
from tests.support.messages import utterance
from tests.support.site.fleet import FleetSite
from tests.support.waiting import until

REFUSED = re.compile(r"\[not_authorized\] cannot read (?:\$share/\w+/)?(\S+):")


def refused(log: str) -> set[str]:
    """Topic filters that the broker does not let a client read."""
    return set(REFUSED.findall(log))


@pytest.fixture
def site(tmp_path):
    with FleetSite(tmp_path / "fleet") as made:
        yield made


def test_a_room_is_seen_and_recorded_over_mutual_tls_and_its_page_says_when_its_certificate_ends(
    site, tmp_path, browser, artefacts
):
    kitchen = site.device("kitchen", "--days", 12)
    hub = [site.join("hub", role) for role in ("subscriber", "recorder")]
    recorder = Recorder(site.broker, tmp_path, "--join", str(hub[1]))
    recorder.start()
    until(lambda: "connected" in recorder.codes)
    dashboard = Dashboard(tmp_path, "--join", str(hub[0]))
    url = dashboard.address()
    until(lambda: health(url)["broker"] == "connected")
    try:
        with (
            LinkProcess(tmp_path, site.port, settings=(*kitchen, "node.name=Kitchen")) as link,
            EarClient(link.socket) as ear,
            open_page(browser, url) as (page, trouble),
        ):
            ear.tell(utterance(1))
            expect(page.locator(".rt-emotion")).to_have_text("Happy", timeout=20_000)
            expect(page.locator(".rt-certificate")).to_have_text("Certificate expires in 11 days: renew it")
            # The meter asks the room for its level: a subscriber may.
            until(lambda: ear.commands)
            until(lambda: recorder.count() == 1)
            page.screenshot(path=artefacts / "certificate-tile.png", full_page=True)
            page.goto(f"{url}/room/kitchen")
            expect(page.get_by_text("Device certificate valid until")).to_be_visible()
            page.screenshot(path=artefacts / "certificate-room.png", full_page=True)
            assert not trouble, trouble
        assert dashboard.stop() == 0
    finally:
        dashboard.kill()
        recorder.stop(signal.SIGTERM)


def test_a_revoked_dashboard_says_so_and_goes_on_trying(site, tmp_path):
    place = site.join("hub", "subscriber")
    site.fleet("revoke", "subscriber.hub")
    dashboard = Dashboard(tmp_path, "--join", str(place))
    try:
        dashboard.address()
        until(
            lambda: {"certificate_revoked", "certificate_refused", "connection_closed"} & set(dashboard.codes)
        )
        assert dashboard.running
    finally:
        dashboard.kill()


def test_dashboard_and_recorder_with_the_certificate_of_a_device_say_that_they_may_not_read(site, tmp_path):
    place = site.join("study")
    dashboard = Dashboard(tmp_path, "--join", str(place))
    try:
        dashboard.address()
        until(
            lambda: {"roomtone/+/event", "roomtone/+/state"} <= refused(dashboard.log),
            what=lambda: dashboard.log,
        )
    finally:
        dashboard.kill()
    recorder = Recorder(site.broker, tmp_path, "--join", str(place))
    recorder.start(wait=False)
    try:
        until(lambda: "roomtone/+/event" in refused(recorder.log), what=lambda: recorder.log)
        until(lambda: "not_recording" in recorder.codes, 90, what=lambda: recorder.log)
    finally:
        recorder.stop(signal.SIGTERM)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--join", "/absent"), "make it with `roomtone join"),
        (("--join", "/tmp", "--broker", "mqtt://x"), "leave out --broker"),
        (("--broker", "mqtt://x", "--ca-file", "/x"), "write --broker mqtts://host"),
        (("--broker", "mqtts://x", "--ca-file", "/absent"), "/absent: cannot be read"),
        (("--broker", "mqtts://x", "--ca-file", "/etc/hostname"), "/etc/hostname: not a certificate"),
    ],
)
@pytest.mark.parametrize("program", ["dashboard", "recorder"])
def test_what_can_never_work_is_refused_at_once(tmp_path, program, arguments, said):
    more = ("--port", "0") if program == "dashboard" else ("--database", f"sqlite:///{tmp_path}/db")
    command = [sys.executable, "-m", "edge.cli.main", program, *more, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) == 1
