"""Models: a real repository with real bundles, boxes that tell of themselves, a real browser."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import zlib

import httpx
import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from edge import protocol
from edge.inference import bundle
from edge.protocol import Command, ModelInfo, ModelStatus, Response
from tests.support.bundles.shipped import SHIPPED
from tests.support.dashboard import health
from tests.support.guarded_dashboard import DESKTOP, PHONE, SPANISH, Guarded, open_guarded
from tests.support.site.publishing import Site
from tests.support.waiting import until

ZERO = "0" * 64


@pytest.fixture
def repository(tmp_path):
    site = Site(tmp_path / "site")
    site.publish(bundle.find("small"))
    # As `roomtone train export --plots` makes it: what is shipped has no pictures.
    folder = shutil.copytree(bundle.find("base"), tmp_path / SHIPPED)
    (folder / "plots").mkdir(exist_ok=True)
    picture = grey_png(400, 300)
    (folder / "plots" / "confusion.png").write_bytes(picture)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["plots/confusion.png"] = hashlib.sha256(picture).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    site.publish(folder, percent=100)
    return site


def grey_png(width: int, height: int) -> bytes:
    """A picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def guarded(tmp_path, mosquitto, repository):
    made = Guarded(tmp_path, mosquitto, "--updates", str(repository.hub.folder))
    try:
        until(lambda: health(made.url)["broker"] == "connected")
        yield made
    finally:
        made.child.kill()
    assert "Traceback" not in made.child.log, made.child.log


def status(release=0, state="idle", **more):
    fields = {
        "installed_version": "0.2.0",
        "latest_version": "0.2.0",
        "model": SHIPPED,
        "release": release,
    }
    return ModelStatus(**fields | {"state": state, "in_progress": state != "idle"} | more)


def appear(rooms, node, **told):
    rooms.appear(node, node.capitalize())
    ear = ModelInfo(
        model=SHIPPED, model_sha256=ZERO, feature_spec_sha256=ZERO, runtime="litert 2.0", vad="silero",
        ear_version="1.0.0", config_sha256=ZERO,
    )  # fmt: skip
    rooms.publish(
        node, protocol.INFO, protocol.Info(node=node, name=node.capitalize(), version="1.0.0", ear=ear)
    )
    rooms.publish(node, protocol.MODEL, status(**told))


def run_commands(rooms, verbs):
    """Devices that carry out every command; `verbs` gets (node, verb), but for levels."""

    def answer(client, _userdata, message):
        _, node, _, verb = message.topic.split("/")
        command = msgspec.json.decode(message.payload, type=Command)
        reply = Response(transaction=command.transaction, ok=True)
        client.publish(f"roomtone/{node}/resp/{verb}", protocol.encode(reply))
        if verb != "level_on":
            # The rooms page, which is first after the login, asks for levels.
            verbs.append((node, verb))
        if verb == "model_rollback":
            told = status(refused=2, error=f"{SHIPPED}: rolled back by a command")
            client.publish(f"roomtone/{node}/model", protocol.encode(told), retain=True)

    rooms.client.on_message = answer
    rooms.client.subscribe("roomtone/+/cmd/+", 1)


def test_a_roll_out_is_watched_and_rolled_back(browser, guarded, rooms, artefacts):
    verbs: list[tuple[str, str]] = []
    run_commands(rooms, verbs)
    appear(rooms, "kitchen", release=2)
    appear(rooms, "study", state="downloading", update_percentage=40)
    appear(rooms, "attic", refused=2, error=f"{SHIPPED}: slower than this box allows")
    rooms.appear("hall", "Hall")
    with open_guarded(browser, guarded.url, "operator", guarded.password, **DESKTOP) as page:
        page.goto(f"{guarded.url}/models")
        expect(page.locator(".rt-models li")).to_have_count(4)
        expect(page.locator("[data-node=study]")).to_contain_text("Downloading 40 %")
        expect(page.locator("[data-node=attic]")).to_contain_text("slower than this box allows")
        expect(page.locator("[data-node=hall]")).to_contain_text("updates off")
        newest = page.locator("[data-release='2']")
        expect(newest).to_contain_text("1 runs it, 1 in progress, 1 refused it or rolled back")
        # The archive and what it holds differ in size: each says which it is.
        expect(newest).to_contain_text(re.compile(r"download \d+\.\d MB"))
        expect(page.locator(".rt-model:not([data-release])").first).to_contain_text(
            re.compile(r"model file \d+\.\d MB")
        )
        appear(rooms, "study", release=2)
        expect(newest).to_contain_text("2 run it, 1 refused it or rolled back")
        page.screenshot(path=artefacts / "models-desktop.png", full_page=True)
        page.get_by_role("button", name="Attic: check for update").click()
        expect(page.get_by_role("status").filter(has_text="Checking for an update.")).to_be_visible()
        assert verbs == [("attic", "model_check")]
        # By keyboard: the dialog asks, Escape takes it back, Enter does it.
        page.get_by_role("button", name="Kitchen: roll back").focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Roll back Kitchen to the previous model?")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        newest.get_by_role("button", name="Roll back on 2 devices").focus()
        page.keyboard.press("Enter")
        dialog.get_by_role("button", name="Roll back").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text="2 devices rolled back.")).to_be_visible()
        assert sorted(verbs[1:]) == [("kitchen", "model_rollback"), ("study", "model_rollback")]
        expect(newest).to_contain_text("3 refused it or rolled back")
        actions = [row["action"] for row in page.evaluate("fetch('/api/audit').then((r) => r.json())")]
        assert actions.count("model_rollback") == 2


def test_all_boxes_are_told_to_look_and_the_hint_stays_for_those_that_come_later(guarded, rooms, repository):
    told = []
    rooms.client.on_message = lambda _c, _u, message: told.append(json.loads(message.payload))
    client, _ = guarded.log_in()
    answer = client.post("/api/models/announce")
    assert answer.status_code == 200, answer.text
    rooms.client.subscribe("roomtone/fleet/announce", 1)
    until(lambda: told)
    version = repository.hub.status()["timestamp"]["version"]
    assert told == [{"timestamp_version": version}] == [answer.json()]


def test_cards_and_pictures_are_read_on_a_phone_and_in_spanish(browser, guarded, artefacts):
    for name, options, button in (
        ("phone", PHONE, f"Model card and plots of {SHIPPED}"),
        ("spanish", SPANISH, f"Ficha y gráficos de {SHIPPED}"),
    ):
        with open_guarded(browser, guarded.url, "operator", guarded.password, **options) as page:
            page.goto(f"{guarded.url}/models")
            page.get_by_role("button", name=button).first.click()
            expect(page.locator(".rt-markdown").first).to_contain_text("Intended use")
            picture = page.locator(".rt-plots img").first
            picture.scroll_into_view_if_needed()
            expect(picture).to_have_js_property("complete", True)
            assert picture.evaluate("image => image.naturalWidth") > 300
            page.screenshot(path=artefacts / f"models-{name}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            violations = Axe().run(page).response["violations"]
            assert not violations, [(v["id"], v["nodes"][0]["html"]) for v in violations]


def test_a_viewer_sees_all_of_it_and_changes_nothing(browser, guarded, rooms):
    password = guarded.user("vera")
    appear(rooms, "kitchen", release=2)
    with open_guarded(browser, guarded.url, "vera", password, **DESKTOP) as page:
        page.goto(f"{guarded.url}/models")
        expect(page.locator("[data-node=kitchen]")).to_contain_text("release 2, confirmed")
        expect(page.get_by_role("button", name=f"Model card and plots of {SHIPPED}").first).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Roll back|check for update"))).to_have_count(0)
    client, _ = guarded.log_in("vera", password)
    for path in (
        "models/announce",
        "rooms/kitchen/commands/model_rollback",
        "rooms/kitchen/commands/model_check",
    ):
        assert client.post(f"/api/{path}").status_code == 403
    for path in ("models", f"models/{SHIPPED}.2.tar/card", f"models/{SHIPPED}.2.tar/plots/confusion.png"):
        assert client.get(f"/api/{path}").status_code == 200
        assert httpx.get(f"{guarded.url}/api/{path}").status_code == 401
    for path in (
        "models/..%2f..%2fetc/card",
        "models/base-9.9.9.9.tar/card",
        f"models/{SHIPPED}.2.tar/plots/x.png",
    ):
        assert client.get(f"/api/{path}").status_code in (404, 422)
