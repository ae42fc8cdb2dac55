"""Trying it: a recording from the browser's microphone or a file, and what strangers may send instead."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from dashboard.tryit.api import MAX_BODIES_PER_USER
from tests.conftest import ROOT
from tests.support.audio.recordings import wav
from tests.support.broker import Broker
from tests.support.dashboard import (
    AUTHORIZED,
    CHROMIUM,
    CHROMIUM_ARGUMENTS,
    TOKEN,
    Dashboard,
    Trouble,
    health,
)
from tests.support.waiting import until

PLAIN = {"X-Roomtone": "try"} | AUTHORIZED


@pytest.fixture
def tried(mosquitto, tmp_path, models):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    child = Dashboard(tmp_path, "--broker", mosquitto.url, ROOMTONE_MODELS=str(models), TMPDIR=str(scratch))
    url = child.address()
    yield url
    written = [path for folder in (scratch, child.folder / "cwd") for path in folder.rglob("*")]
    status, _ = child.stop_timed()
    child.kill()
    assert (status, written, "Traceback" in child.log) == (0, [], False), child.log


@pytest.fixture(scope="module")
def tried_once(tmp_path_factory, models):
    """One dashboard and one browser for all recordings."""
    folder = tmp_path_factory.mktemp("tried")
    with Broker(folder=folder) as broker, sync_playwright() as playwright:
        child = Dashboard(folder, "--broker", broker.url, ROOMTONE_MODELS=str(models))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        url = child.address()
        yield f"{url}/try?token={TOKEN}", browser
        browser.close()
        child.kill()


def send(url, data, headers=PLAIN):
    request = urllib.request.Request(f"{url}/api/try", data=data, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def upload(page, data):
    page.set_input_files("input[type=file]", {"name": "x.wav", "mimeType": "audio/wav", "buffer": data})


def classify(path, models):
    output = subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "classify", "--json", path],
        env=os.environ | {"ROOMTONE_MODELS": str(models)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    return json.loads(output)


def test_a_file_gets_the_answer_that_the_command_gives(tried, speech, models):
    status, answer = send(tried, speech.read_bytes())
    expected = classify(speech, models)
    del expected["file"]
    assert (status, answer) == (200, expected)
    begin = time.monotonic()
    send(tried, speech.read_bytes())
    assert time.monotonic() - begin < 1


def test_what_the_microphone_of_a_browser_records_gets_the_answer_of_its_file(
    tried, speech, models, artefacts
):
    fake = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS + fake)
        page = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=2)
        trouble = Trouble()
        trouble.watch(page, tried)
        page.goto(f"{tried}/try?token={TOKEN}")
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.get_by_text("Recording, 3")).to_be_visible(timeout=10_000)
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".rt-answer")).to_be_visible(timeout=10_000)
        expected = classify(speech, models)["event_type"]
        word = "Not sure" if expected == "uncertain" else expected.capitalize()
        expect(page.locator(".rt-answer .rt-emotion")).to_have_text(word)
        expect(page.locator(".rt-bars li")).to_have_count(7)
        expect(page.get_by_text("nothing is stored or used")).to_be_visible()
        page.wait_for_timeout(500)
        page.screenshot(path=artefacts / "try-it-phone.png")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

        page.set_input_files("input[type=file]", speech)
        expect(page.locator(".rt-answer .rt-emotion")).to_have_text(word)
        assert not trouble, trouble
        upload(page, b"not sound")
        expect(page.get_by_role("alert")).to_contain_text("cannot be read")
        expect(page.locator(".rt-answer")).to_have_count(0)
        page.set_input_files(
            "input[type=file]",
            {"name": "silence.wav", "mimeType": "audio/wav", "buffer": wav(b"\0\0" * 48_000, 16_000)},
        )
        expect(page.get_by_text("No speech detected")).to_be_visible(timeout=15_000)
        expect(page.locator(".rt-bars")).to_have_count(0)
        browser.close()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the recordings")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        # What phones and browsers record, of that what Debian's Chromium can decode.
        ("phone.m4a", ("-c:a", "aac")),
        ("phone.aac", ("-c:a", "aac")),
        ("video.mp4", ("-c:a", "aac")),
        ("browser.webm", ("-c:a", "libopus")),
        ("phone.3gp", ("-c:a", "aac")),
        ("message.opus", ("-c:a", "libopus")),
        ("song.flac", ()),
    ],
)
def test_what_phones_record_is_decoded_in_the_browser(tried_once, speech, tmp_path, name, options):
    url, browser = tried_once
    file = tmp_path / name
    subprocess.run(["ffmpeg", "-v", "error", "-i", speech, *options, file], check=True, timeout=60)
    page = browser.new_page()
    try:
        page.goto(url)
        page.set_input_files("input[type=file]", file)
        expect(page.locator(".rt-answer .rt-emotion")).to_be_visible(timeout=20_000)
        expect(page.locator(".rt-bars li")).to_have_count(7)
        # It can be played back.
        duration = page.locator(".rt-answer audio").evaluate(
            "audio => audio.duration || new Promise(done => (audio.onloadedmetadata = () => done(audio.duration)))"
        )
        assert 2 < duration < 4
    finally:
        page.close()


def test_a_recording_that_is_cut_off_and_one_with_too_little_speech_say_so(tried_once, speech):
    url, browser = tried_once
    whole = speech.read_bytes()
    page = browser.new_page(locale="en-GB")
    try:
        page.goto(url)
        for data, there in ((whole, False), (whole[: len(whole) * 3 // 4], True)):
            upload(page, data)
            expect(page.locator(".rt-answer audio")).to_be_visible(timeout=20_000)
            expect(page.get_by_text("The recording is cut off")).to_have_count(int(there))
        answer = send(url.partition("/try?")[0], whole)[1]
        page.route("**/api/try", lambda route: route.fulfill(json=answer))
        for reason, words, bars in (
            ("too_short", "Too little speech: 0.3 s", 0),
            ("unclear", "0.3 s of speech", 7),
        ):
            answer |= {"event_type": "uncertain", "uncertain": reason, "speech_s": 0.3}
            upload(page, whole)
            expect(page.get_by_text(words)).to_be_visible(timeout=20_000)
            expect(page.locator(".rt-bars li")).to_have_count(bars)
    finally:
        page.close()


def test_errors_are_in_the_language_of_the_page(tried_once):
    url, browser = tried_once
    page = browser.new_page(locale="es-ES")
    try:
        page.goto(url)
        for name, data in (("x.wav", b"RIFF\0\0\0\0WAVEnothing"), ("x.m4a", b"nothing")):
            page.set_input_files("input[type=file]", {"name": name, "mimeType": "audio/wav", "buffer": data})
            expect(page.get_by_role("alert")).to_contain_text("no se puede leer")
        long = wav(b"\0\1" * 61 * 8000, 8000)
        upload(page, long)
        expect(page.get_by_role("alert")).to_contain_text("más de un minuto")
        # A page cannot know what is wrong with a file: the server says it.
        infinite = wav_of_floats(np.full(16_000, np.inf, np.float32))
        upload(page, infinite)
        expect(page.get_by_role("alert")).to_contain_text(
            "no se puede leer como sonido: contains NaN or infinity"
        )
        short = wav(b"\0\1" * 16, 16_000)
        upload(page, short)
        expect(page.get_by_role("alert")).to_contain_text("menos de una décima de segundo")
    finally:
        page.close()


def wav_of_floats(samples: np.ndarray) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


def huge_flac() -> bytes:
    """An hour of silence: tens of kilobytes that unfold to a hundred megabytes."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros(3600 * 8000, np.int16), 8000, format="FLAC")
    return file.getvalue()


def claims_4_gb() -> bytes:
    data = bytearray(wav(b"\0\1" * 16_000, 16_000))
    struct.pack_into("<I", data, 4, 0xFFFFFFFF)
    struct.pack_into("<I", data, 40, 0xFFFFFFF0)
    return bytes(data)


def test_strange_uploads_get_a_clear_answer_and_the_next_one_is_served(tried, speech):
    wanted = [
        (b"not sound at all", 415, "send WAV"),
        (wav(b"", 16_000), 400, "no s"),
        (wav(b"\0\1" * 61 * 8000, 8000), 400, "longer than 60 s"),
        (wav(b"\0\1" * 16, 16_000), 400, "shorter than 100 ms"),
        (huge_flac(), 415, "send WAV"),
        (b"\0" * (9 << 20), 413, "at most 8 MiB"),
        (b"", 400, "empty"),
        (b"RIFF" + os.urandom(4) + b"WAVE" + os.urandom(100_000), 400, ""),
        (speech.read_bytes()[:50], 400, ""),
    ]
    for data, status, text in wanted:
        begin = time.monotonic()
        got, answer = send(tried, data)
        assert got == status, answer
        assert text in answer["error"]
        assert answer["code"]
        assert "/proc/" not in answer["error"]
        assert time.monotonic() - begin < 20
    assert send(tried, claims_4_gb())[0] in (200, 400)
    assert send(tried, speech.read_bytes())[0] == 200
    assert health(tried)["status"] == "ok"


def test_another_site_cannot_send_and_nobody_can_send_without_end(tried):
    assert send(tried, b"x", {})[0] == 401
    # A form of another site comes with this browser's cookie, and cannot set the header.
    cookie = {"Cookie": f"roomtone-token-{tried.rpartition(':')[2]}={TOKEN}"}
    assert send(tried, b"x", cookie)[0] == 403
    statuses = [send(tried, b"x")[0] for _ in range(22)]
    assert statuses == [415] * 20 + [429] * 2


def test_a_worker_that_dies_costs_one_answer(tried, speech):
    assert send(tried, speech.read_bytes())[0] == 200
    workers = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_worker_of_ours(entry)
    ]
    assert workers
    for pid in workers:
        os.kill(pid, 9)
    time.sleep(0.2)
    assert send(tried, speech.read_bytes())[0] == 200


def _is_worker_of_ours(entry: Path) -> bool:
    try:
        parent = entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1]
        return b"dashboard.tryit.worker" in entry.joinpath("cmdline").read_bytes() and _child_of_test(parent)
    except OSError:
        return False


def _child_of_test(pid: str) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1] == str(os.getpid())


def begun(url):
    """A connection on which an upload has begun and does not go on."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=40)
    bearer = PLAIN.get("Authorization", "")
    connection.sendall(
        f"POST /api/try HTTP/1.1\r\nHost: {host}:{port}\r\nX-Roomtone: try\r\nAuthorization: {bearer}\r\n"
        "Content-Length: 1000\r\n\r\nabc".encode()
    )
    return connection


@pytest.mark.long
def test_a_body_that_never_ends_is_given_up(tried):
    with begun(tried) as connection:
        assert b" 408 " in connection.recv(100)


def test_no_more_bodies_are_received_at_once_than_there_are_places(tried):
    """Each is kept in memory, before any of them waits for the worker."""
    held = [begun(tried) for _ in range(MAX_BODIES_PER_USER)]
    try:
        until(lambda: send(tried, b"x")[0] == 503, 15)
    finally:
        for one in held:
            one.close()
    until(lambda: send(tried, b"x")[0] == 415, 15)
