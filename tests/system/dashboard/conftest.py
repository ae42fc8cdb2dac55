from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from edge.inference import bundle
from edge.util.errors import UserError
from tests.conftest import SPEECH
from tests.support.audio.recordings import wav
from tests.support.broker import Broker
from tests.support.dashboard import CHROMIUM, CHROMIUM_ARGUMENTS, Dashboard, Rooms, health
from tests.support.waiting import until


@pytest.fixture(scope="module")
def playwright():
    """There can be only one in a thread."""
    if not Path(CHROMIUM).exists() and os.environ.get("CI") != "true":
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium, or name another in ROOMTONE_CHROMIUM")
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright):
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
    yield chromium
    chromium.close()


@pytest.fixture
def browser_with_microphone(playwright, speech):
    """Its microphone hears a sentence, again and again."""
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    )
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_ARGUMENTS, *fake])
    yield chromium
    chromium.close()


@pytest.fixture
def mosquitto():
    with Broker() as broker:
        yield broker


@pytest.fixture
def dashboard(mosquitto, tmp_path):
    child = Dashboard(tmp_path, "--broker", mosquitto.url)
    yield child
    child.kill()


@pytest.fixture
def url(dashboard):
    address = dashboard.address()
    until(lambda: health(address)["broker"] == "connected")
    return address


@pytest.fixture
def rooms(mosquitto):
    publisher = Rooms(mosquitto)
    yield publisher
    publisher.close()


@pytest.fixture(scope="module")
def models():
    """Where the shipped bundles are; development uses others by ROOMTONE_MODELS."""
    try:
        return bundle.find("base").parent
    except UserError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have the shipped bundle: {error}")
        pytest.skip(f"no bundle: {error}")


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A sentence as a WAV file of 48 kHz, as browsers record."""
    source = SPEECH / "goforward.raw"
    if not source.exists():
        pytest.fail("this test needs recorded speech: apt-get install pocketsphinx-testdata")
    samples = np.repeat(np.fromfile(source, "<i2"), 3)
    path = tmp_path_factory.mktemp("speech") / "sentence.wav"
    path.write_bytes(wav(samples.tobytes(), 48_000))
    return path
