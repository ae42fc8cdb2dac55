"""Open pages: 50 sockets as browsers open them, ten real browser contexts, and how late an event is on each."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import websockets
from playwright.async_api import Page, async_playwright

from dashboard.live.registry import RECENT_UTTERANCES
from edge import protocol
from tests.bench.hub.tools import cpu, resident_mb
from tests.bench.machine import Others
from tests.support.broker import Broker
from tests.support.dashboard import (
    AUTHORIZED,
    CHROMIUM,
    CHROMIUM_ARGUMENTS,
    TOKEN,
    Dashboard,
    Rooms,
    health,
)
from tests.support.messages import event_of
from tests.support.waiting import until as soon

ROOMS = 12
EMOTIONS = ("neutral", "happy", "angry", "uncertain")
EVERY_S = 0.5
# Also after the page has loaded itself anew, as it does when its socket was away for too long.
WATCH = """
const look = setInterval(() => {
  const place = document.querySelector('[data-node="room-0"] .rt-emotion');
  if (!place) return;
  clearInterval(look);
  const note = () => window.noteChange(place.textContent, performance.timeOrigin + performance.now());
  new MutationObserver(note).observe(place, { childList: true, characterData: true, subtree: true });
}, 50);
"""
# By the clock of the page, from the begin of its navigation: what the tool that drives the browser puts into each page
# takes a tenth of a second of it, for which no user waits.
FIRST_TILE = """
const seen = new MutationObserver(() => {
  if (!document.querySelector('.rt-tile')) return;
  seen.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.tileShown = performance.now(); }));
});
seen.observe(document, { childList: true, subtree: true });
"""
IDLE_MS = 2000


def pages(sockets: int, browsers: int, seconds: float) -> dict[str, Any]:
    """Milliseconds from publishing an event to its arrival, while all of them are open."""
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as folder, Broker() as broker:
        dashboard = Dashboard(Path(folder), "--broker", broker.url, "--no-try-it")
        rooms = Rooms(broker)
        try:
            url = dashboard.address()
            soon(lambda: health(url)["broker"] == "connected")
            for n in range(ROOMS):
                rooms.appear(f"room-{n}", f"Room {n}")
                rooms.publish(f"room-{n}", protocol.EVENT, event_of("neutral", time.time(), seq=1))
            soon(lambda: health(url)["events"] == ROOMS)
            others, begin = Others(), cpu(dashboard.process.pid)
            result = asyncio.run(_measure(url, rooms, sockets, browsers, seconds))
            used = cpu(dashboard.process.pid) - begin
            return result | {
                "dashboard_cpu_s": round(used, 1),
                "dashboard_mb": round(resident_mb(dashboard.process.pid)),
                "others_cores": round(others.cores(used), 2),
            }
        finally:
            rooms.close()
            dashboard.kill()


async def _measure(url: str, rooms: Rooms, sockets: int, browsers: int, seconds: float) -> dict[str, Any]:
    said: dict[str, float] = {}
    heard: list[float] = []
    ready = asyncio.Semaphore(0)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        real = [await _open(await (await chromium.new_context()).new_page(), url) for _ in range(browsers)]
        clients = [asyncio.create_task(_client(url, said, heard, ready)) for _ in range(sockets)]
        for _ in clients:
            async with asyncio.timeout(120):
                await ready.acquire()
        begin, n, moods = time.monotonic(), 0, []
        while time.monotonic() - begin < seconds:
            node, mood = f"room-{n % ROOMS}", ("happy", "angry")[n // ROOMS % 2]
            message = event_of(mood, time.time(), seq=n + 2)
            said[message.id] = time.time()
            if n % ROOMS == 0:
                moods.append((mood, said[message.id] * 1000))
            await asyncio.to_thread(rooms.publish, node, protocol.EVENT, message)
            n += 1
            await asyncio.sleep(max(0.0, begin + n * EVERY_S - time.monotonic()))
        await asyncio.sleep(3)
        shown = [late for seen in real for late in _late(moods, seen)]
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await chromium.close()
    return {
        "sockets": sockets,
        "browsers": browsers,
        "events": n,
        "missed": n * sockets - len(heard) + len(moods) * browsers - len(shown),
        "socket": _figures(heard),
        "browser": _figures(shown),
    }


def first_tile(rounds: int) -> dict[str, Any]:
    """Seconds from the begin of the navigation until a room's tile is on the screen.

    `cold` in a new browser, `warm` in another tab of the same one two seconds later: with what it has kept by then.
    Each room has the utterances that a tile shows.
    """
    with tempfile.TemporaryDirectory(prefix="bench-tile-") as folder, Broker() as broker:
        database = f"sqlite:///{folder}/hub.db"
        dashboard = Dashboard(Path(folder), "--broker", broker.url, "--no-try-it", "--database", database)
        rooms = Rooms(broker)
        try:
            url = dashboard.address()
            soon(lambda: health(url)["broker"] == "connected")
            for n in range(ROOMS):
                rooms.appear(f"room-{n}", f"Room {n}")
                for k in range(RECENT_UTTERANCES):
                    event = event_of(EMOTIONS[k % len(EMOTIONS)], time.time() - 60 + k, seq=k + 1)
                    rooms.publish(f"room-{n}", protocol.EVENT, event)
            soon(lambda: health(url)["events"] == ROOMS * RECENT_UTTERANCES)
            others = Others()
            cold, warm = asyncio.run(_tiles(url, rounds))
            return {
                "cold_s": round(statistics.median(cold), 2),
                "cold_s_best": round(min(cold), 2),
                "cold_s_worst": round(max(cold), 2),
                "warm_s": round(statistics.median(warm), 2),
                "warm_s_best": round(min(warm), 2),
                "warm_s_worst": round(max(warm), 2),
                "dashboard_mb": round(resident_mb(dashboard.process.pid)),
                "others_cores": round(others.cores(0.0), 2),
            }
        finally:
            rooms.close()
            dashboard.kill()


async def _tiles(url: str, rounds: int) -> tuple[list[float], list[float]]:
    cold, warm = [], []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        for _ in range(rounds):
            context = await chromium.new_context()
            await context.add_init_script(FIRST_TILE)
            for times, address in ((cold, f"{url}/?token={TOKEN}"), (warm, url)):
                page = await context.new_page()
                await page.goto(address)
                shown = await page.wait_for_function("window.tileShown")
                times.append(await shown.json_value() / 1000)
                await page.wait_for_timeout(IDLE_MS)
                await page.close()
            await context.close()
        await chromium.close()
    return cold, warm


async def _open(page: Page, url: str) -> list[tuple[str, float]]:
    """A page; what it notes (text, milliseconds since 1970) comes into the list."""
    seen: list[tuple[str, float]] = []
    await page.expose_function("noteChange", lambda text, at: seen.append((text, at)))
    await page.add_init_script(WATCH)
    await page.goto(f"{url}/?token={TOKEN}", timeout=120_000)
    await page.wait_for_selector('[data-node="room-0"] .rt-emotion', timeout=120_000)
    return seen


async def _client(url: str, said: dict[str, float], heard: list[float], ready: asyncio.Semaphore) -> None:
    """What a browser does on the wire: the page, then its WebSocket."""
    page = urllib.request.Request(url, headers=AUTHORIZED)
    await asyncio.to_thread(lambda: urllib.request.urlopen(page, timeout=60).read())
    address = f"{url.replace('http', 'ws', 1)}/api/live"
    seen: set[str] = set()
    async with websockets.connect(
        address, max_size=None, ping_interval=None, origin=url, additional_headers=AUTHORIZED
    ) as socket:  # type: ignore[arg-type]
        await socket.recv()
        ready.release()
        await socket.send('{"visible":true}')
        async for frame in socket:
            text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
            now = time.time()
            for number in set(re.findall(r"[0-9A-HJKMNP-TV-Z]{26}", text)) & said.keys() - seen:
                seen.add(number)
                heard.append((now - said[number]) * 1000)


def _late(moods: list[tuple[str, float]], seen: list[tuple[str, float]]) -> list[float]:
    """For each change of mood that was published, how long until the page showed it."""
    late = []
    for mood, at in moods:
        came = [
            when
            for text, when in seen
            if text.lower() == mood and at <= when < at + 2 * ROOMS * EVERY_S * 1000
        ]
        if came:
            late.append(came[0] - at)
    return late


def _figures(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {
        "p50_ms": round(statistics.median(ordered)),
        "p95_ms": round(ordered[int(0.95 * len(ordered))]),
        "worst_ms": round(ordered[-1]),
    }


if __name__ == "__main__":
    print(json.dumps(pages(50, 10, 30), indent=2))
