"""The past on the pages, as people ask for it: a day, a week, a month, in a real browser."""

from __future__ import annotations

import csv
import re
import signal
import struct
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.recorder.writer import Received, Writer
from tests.support.dashboard import Dashboard, Recorder, open_page
from tests.support.messages import event_of
from tests.support.waiting import until

ZONE = "Europe/Madrid"
DESKTOP = {"viewport": {"width": 1440, "height": 900}, "timezone_id": ZONE}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "timezone_id": ZONE}


RED_MARK = """canvas => {
  const {width, height} = canvas, {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
  let n = 0, x = 0, y = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i] > 180 && data[i + 1] < 90 && data[i + 2] > 30 && data[i + 2] < 90) {
      n += 1; x += (i / 4) % width; y += Math.floor(i / 4 / width);
    }
  const box = canvas.getBoundingClientRect(), scale = box.width / width;
  return [box.x + scale * x / n, box.y + scale * y / n];
}"""
"""The middle of the red pixels of a chart, in the page."""

LINES = """elements => elements.map(element => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return range.getClientRects().length;
})"""
"""How many lines the text of each element takes."""


def last_tuesday():
    """Midnight of a Tuesday at least two days ago."""
    today = datetime.now(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=(today.weekday() - 1) % 7 + (7 if (today.weekday() - 1) % 7 < 2 else 0))


def write(recorder, node, utterances):
    engine = connect(f"sqlite:///{recorder.file}")
    migrate(engine)
    batch = [
        Received(node, event_of(emotion, at.timestamp(), seq=n + 1, **changes), round(at.timestamp() * 1000))
        for n, (at, emotion, changes) in enumerate(utterances)
    ]
    writer = Writer(engine)
    writer.write(batch)
    writer.set_room_name(node, node.capitalize())
    engine.dispose()


@pytest.fixture
def past(mosquitto, tmp_path):
    """A hub whose rooms have no device any more: a kitchen with a bad Tuesday evening, and a calm study."""
    recorder = Recorder(mosquitto, tmp_path)
    recorder.start()
    recorder.wait_connected()
    tuesday = last_tuesday()
    evening = [
        (tuesday + timedelta(hours=18, minutes=n), "angry" if n == 20 else "neutral", {"arousal": 0.1})
        for n in range(0, 50, 10)
    ]
    morning = [(tuesday + timedelta(hours=9), "happy", {"confidence": 0.55, "arousal": 0.7})]
    before = [
        (tuesday - timedelta(days=d) + timedelta(hours=12, minutes=n), "neutral", {})
        for d in range(7, 0, -1)
        for n in range(3)
    ]
    write(recorder, "kitchen", before + morning + evening)
    write(recorder, "study", [(tuesday + timedelta(hours=10), "sad", {})])
    child = Dashboard(
        tmp_path, "--broker", mosquitto.url, "--database", f"sqlite:///{recorder.file}", "--no-try-it"
    )
    yield child.address(), tuesday, recorder
    child.kill()
    recorder.stop(signal.SIGKILL)
    assert "Traceback" not in child.log, child.log


def test_how_was_last_tuesday_evening_in_the_kitchen(browser, past, artefacts):
    """Three clicks: the room, the day, the hour."""
    url, tuesday, _ = past
    with open_page(browser, url, **DESKTOP) as (page, trouble):
        page.get_by_role("link", name="Kitchen").click()
        page.get_by_label("Go to a day").fill(tuesday.strftime("%Y-%m-%d"))
        expect(page.locator(".rt-summary")).to_contain_text("6 utterances")
        expect(page).to_have_url(re.compile(f"date={tuesday:%Y-%m-%d}"))
        expect(page.locator(".rt-chart canvas")).to_have_count(3)
        page.screenshot(path=artefacts / "day-1440-light.png", full_page=True)
        page.get_by_text("Show as table").click()
        page.get_by_role("button", name=re.compile(r"^(6:00 PM|18:00)$")).click()
        expect(page.locator(".rt-row")).to_have_count(5)
        expect(page.locator(".rt-row.is-angry")).to_have_count(1)
        expect(page).to_have_url(re.compile("selected="))
        page.go_back()
        expect(page.locator(".rt-row")).to_have_count(6)
        assert not trouble, trouble


def test_show_me_the_angry_minute_of_18_00(browser, past):
    """A click on the mark in the chart lists its utterance, with its time."""
    url, tuesday, _ = past
    with open_page(browser, url, f"/room/kitchen?date={tuesday:%Y-%m-%d}", **DESKTOP) as (page, trouble):
        chart = page.locator(".rt-full .rt-chart canvas")
        expect(chart).to_be_visible()
        page.wait_for_timeout(500)
        chart.scroll_into_view_if_needed()
        page.mouse.click(*chart.evaluate(RED_MARK))
        expect(page.locator(".rt-row")).to_have_count(1)
        expect(page.locator(".rt-row")).to_contain_text("Angry")
        spoken = (tuesday + timedelta(hours=18, minutes=20)).astimezone(UTC)
        expect(page.locator(".rt-row time")).to_have_attribute(
            "datetime", re.compile(f"{spoken:%Y-%m-%dT%H:%M}")
        )
        page.get_by_role("button", name="Show the whole period").click()
        expect(page.locator(".rt-row")).to_have_count(6)
        assert not trouble, trouble


def test_earlier_and_later_are_in_the_address(browser, past):
    url, tuesday, _ = past
    with open_page(browser, url, f"/room/kitchen?date={tuesday:%Y-%m-%d}", **DESKTOP) as (page, trouble):
        expect(page.locator(".rt-summary")).to_contain_text("6 utterances")
        page.get_by_role("button", name="Earlier").click()
        expect(page.locator(".rt-summary")).to_contain_text("3 utterances")
        expect(page).to_have_url(re.compile(f"date={tuesday - timedelta(days=1):%Y-%m-%d}"))
        page.get_by_role("button", name="Later").click()
        expect(page.locator(".rt-summary")).to_contain_text("6 utterances")
        page.reload()
        expect(page.locator(".rt-summary")).to_contain_text("6 utterances")
        assert not trouble, trouble


@pytest.mark.parametrize(
    ("name", "options"), [("1440-dark", DESKTOP | {"color_scheme": "dark"}), ("390-light", PHONE)]
)
def test_a_week_and_a_month_are_compared_and_lead_to_their_days(browser, past, artefacts, name, options):
    url, tuesday, _ = past
    path = f"/room/kitchen?view=week&date={tuesday:%Y-%m-%d}&compare=previous"
    with open_page(browser, url, path, **options) as (page, trouble):
        comparison = page.locator("section", has=page.get_by_role("heading", name="Comparison"))
        row = comparison.get_by_role("row", name=re.compile("Utterances"))
        expect(row.get_by_role("cell")).to_have_text(["9", "18"])
        expect(page.locator(".rt-chart canvas")).to_have_count(4)
        expect(page.locator(".rt-row")).to_have_count(9)
        assert set(page.eval_on_selector_all(".rt-at", LINES)) == {1}
        expect(page).to_have_title("Kitchen · Roomtone")
        page.wait_for_timeout(300)
        page.screenshot(path=artefacts / f"week-{name}.png", full_page=True)
        page.get_by_label("Compare with").select_option(label="Study")
        expect(row.get_by_role("cell")).to_have_text(["9", "1"])
        page.get_by_role("button", name="Month").click()
        day = page.locator(".rt-date:not(.is-other)").filter(has_text=re.compile(f"^{tuesday.day}$"))
        expect(day).to_have_attribute("aria-label", re.compile("6 utterances"))
        page.screenshot(path=artefacts / f"month-{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        day.click()
        expect(page.locator(".rt-period-title")).to_contain_text("Tuesday")
        assert not trouble, trouble


def test_what_is_exported_is_what_is_seen(browser, past, tmp_path):
    url, tuesday, _ = past
    path = f"/room/kitchen?date={tuesday:%Y-%m-%d}"
    with open_page(browser, url, path, **DESKTOP) as (page, trouble):
        page.get_by_text("Filter and compare").click()
        page.get_by_role("button", name="Neutral").click()
        page.get_by_role("button", name="Happy").click()
        page.get_by_label("At least this sure").select_option(label="60 %")
        expect(page.locator(".rt-row")).to_have_count(4)
        with page.expect_download() as download:
            page.get_by_role("link", name="Export as CSV").click()
        rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
        assert [row["event_type"] for row in rows] == ["neutral"] * 4
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as Parquet").click()
        assert download.value.suggested_filename == "kitchen.parquet"
        data = download.value.path().read_bytes()
        (length,) = struct.unpack("<I", data[-8:-4])
        assert (data[:4], data[-4:], length < len(data)) == (b"PAR1", b"PAR1", True)
        assert b"started_at" in data
        page.locator(".rt-filters").get_by_label("Arousal").select_option(label="More agitated than usual")
        expect(page.get_by_text("No utterances in this period")).to_be_visible()
        assert not [said for said in trouble if "events.csv" not in said], trouble


def test_a_period_to_the_minute_is_exported_and_erased(browser, past):
    """The evening has an utterance each ten minutes: from 18:05 to 18:25 there are two, one of them angry."""
    url, tuesday, recorder = past
    with open_page(browser, url, f"/room/kitchen?date={tuesday:%Y-%m-%d}", **DESKTOP) as (page, _):
        page.get_by_text("Another period, to the minute").click()
        page.get_by_label("From").fill(f"{tuesday:%Y-%m-%d}T18:05")
        page.get_by_label("To", exact=True).fill(f"{tuesday:%Y-%m-%d}T18:25")
        with page.expect_download() as download:
            page.get_by_role("link", name="Export as CSV").click()
        rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
        assert sorted(row["event_type"] for row in rows) == ["angry", "neutral"]
        page.get_by_role("button", name="Erase this period").click()
        page.get_by_role("dialog").get_by_role("button", name="Erase", exact=True).click()
        expect(page.locator(".rt-summary")).to_contain_text("4 utterances")
        assert recorder.count() == 26


def test_a_period_that_is_typed_stays_when_the_filter_changes(browser, past):
    """Else the button beside it erases the whole day."""
    url, tuesday, _ = past
    with open_page(browser, url, f"/room/kitchen?date={tuesday:%Y-%m-%d}", **DESKTOP) as (page, _):
        page.get_by_text("Another period, to the minute").click()
        page.get_by_label("From").fill(f"{tuesday:%Y-%m-%d}T18:05")
        page.get_by_text("Filter and compare").click()
        page.locator(".rt-filters").get_by_label("Arousal").select_option(label="More agitated than usual")
        expect(page).to_have_url(re.compile("arousal="))
        page.wait_for_timeout(500)
        expect(page.get_by_label("From")).to_have_value(f"{tuesday:%Y-%m-%d}T18:05")
        # Another day is another period.
        page.get_by_role("button", name="Earlier").click()
        expect(page.get_by_label("From")).to_have_value("")


def test_erase_a_day(browser, past):
    url, tuesday, recorder = past
    with open_page(browser, url, f"/room/kitchen?date={tuesday:%Y-%m-%d}", **DESKTOP) as (page, _):
        page.get_by_role("button", name="Erase this period").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Tuesday")
        dialog.get_by_role("button", name="Erase", exact=True).click()
        expect(page.locator(".rt-summary")).to_contain_text("0 utterances")
        assert recorder.count() == 22


def test_rooms_that_were_recorded_are_there_at_once_and_go_when_they_are_erased(browser, past):
    url, tuesday, recorder = past
    with open_page(browser, url, **DESKTOP) as (page, trouble):
        expect(page.locator(".rt-tile")).to_have_count(2)
        expect(page.locator('.rt-tile[data-node="study"]')).to_contain_text("History only")
        expect(page.locator('.rt-tile[data-node="study"] .rt-emotion')).to_have_text("Sad")
        # Another program writes into the database, as `roomtone hub simulate` does.
        write(recorder, "attic", [(tuesday, "surprised", {})])
        expect(page.locator('.rt-tile[data-node="attic"]')).to_contain_text("Attic", timeout=15_000)
        expect(page.locator('.rt-tile[data-node="attic"] .rt-emotion')).to_have_text("Surprised")
        page.evaluate("fetch('/api/rooms/attic', {method: 'DELETE'})")
        expect(page.locator('.rt-tile[data-node="attic"]')).to_have_count(0, timeout=15_000)
        until(lambda: recorder.count() == 28)
        assert not trouble, trouble
