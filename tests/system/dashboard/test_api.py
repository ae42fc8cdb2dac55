"""The REST API: what it gives, what it does, and for whom."""

from __future__ import annotations

import csv
import io
import sqlite3
import threading
import time

import httpx
import msgspec
import pytest
from jsonschema.validators import Draft202012Validator

from dashboard.auth.accounts import Accounts
from dashboard.db.engine import connect
from dashboard.recorder.writer import Received, Writer
from edge import protocol
from edge.protocol import Command, Response
from tests.support.dashboard import Rooms
from tests.support.guarded_dashboard import elsewhere, guarded_hub
from tests.support.messages import event_of
from tests.support.waiting import until

START = 1_770_000_000


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with guarded_hub(tmp_path_factory.mktemp("hub")) as (made, broker):
        made.broker = broker
        writer = Writer(connect(made.database))
        batch = [event_of("happy" if n % 3 else "angry", START + 60 * n, seq=n + 1) for n in range(1200)]
        writer.write([Received("kitchen", message, 1000 * (START + 80_000)) for message in batch])
        writer.write([Received("study", event_of("sad", START, seq=1), 1000 * (START + 1))])
        made.operator = made.log_in()[0]
        made.viewer = made.log_in("vera", made.user("vera"))[0]
        yield made


def test_events_come_page_by_page_and_each_once(hub):
    ids, after, pages = [], {}, 0
    while True:
        answer = hub.viewer.get("/api/rooms/kitchen/events", params={"limit": 500} | after).json()
        ids += [e["id"] for e in answer["events"]]
        pages += 1
        if answer["next"] is None:
            break
        after = {"after": answer["next"]}
    assert (pages, len(ids), len(set(ids))) == (3, 1200, 1200)
    first = hub.viewer.get("/api/rooms/kitchen/events?limit=1").json()["events"][0]
    assert (first["started_at"], first["event_type"], first["seq"]) == (
        "2026-02-02T02:40:00.000Z",
        "angry",
        1,
    )
    assert first["probabilities"]["angry"] == 0.8
    span = {"from": "2026-02-02T02:41:00Z", "to": "2026-02-02T03:41:00+00:30"}
    assert [
        e["seq"] for e in hub.viewer.get("/api/rooms/kitchen/events", params=span).json()["events"]
    ] == list(range(2, 32))


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/rooms/kitchen/events?from=yesterday", 422, "not a time"),
        ("/api/rooms/kitchen/events?limit=0", 422, "limit"),
        ("/api/rooms/kitchen/events?after=xx", 422, "after"),
        ("/api/rooms/..%2f/events", 404, ""),
        ("/api/rooms/KITCHEN", 422, "node: must be 1 to 64 of a-z, 0-9, `_` and `-`"),
        ("/api/rooms/nowhere", 404, "no room"),
        ("/api/rooms/nowhere/events", 404, "no room"),
        ("/api/rooms/nowhere/utterances", 404, "no room"),
        ("/api/rooms/nowhere/events.csv", 404, "no room"),
        ("/api/rooms/nowhere/period?from=2026-01-01&to=2026-01-02", 404, "no room"),
        ("/api/rooms/kitchen/period?from=2026-01-02&to=2026-01-01", 422, "empty"),
        ("/api/rooms/kitchen/period?from=2026-01-01", 422, "to"),
        ("/api/rooms/kitchen/events?emotion=bored", 422, "emotion"),
        ("/api/nothing", 404, ""),
    ],
)
def test_what_is_wrong_is_said(hub, path, status, word):
    answer = hub.viewer.get(path)
    assert answer.status_code == status
    assert word in answer.text


def test_rooms_their_history_and_an_export_are_for_everybody(hub):
    rooms = {room["node"]: room for room in hub.viewer.get("/api/rooms").json()}
    assert (rooms["kitchen"]["utterances"], rooms["study"]["utterances"]) == (1200, 1)
    assert hub.viewer.get("/api/rooms/kitchen").json() == rooms["kitchen"]
    day = {"from": "2026-02-02T00:00:00Z", "to": "2026-02-03T00:00:00Z", "emotion": "angry"}
    found = hub.viewer.get("/api/rooms/kitchen/period", params=day | {"zone": "UTC"}).json()
    assert (found["total"], len(found["buckets"]), found["marks"]) == (400, 24, [])
    assert hub.viewer.get("/api/rooms/kitchen/events", params=day).json()["events"][1]["seq"] == 4
    assert hub.viewer.get("/api/today?zone=Asia/Kolkata").json() == []
    answer = hub.viewer.get("/api/rooms/kitchen/events.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="kitchen.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 1200
    assert (rows[0]["event_type"], rows[0]["angry"], rows[0]["seq"]) == ("angry", "0.8", "1")


def test_a_viewer_may_look_and_nothing_more(hub):
    for method, path in (
        ("DELETE", "/api/rooms/kitchen"),
        ("POST", "/api/rooms/kitchen/commands/mute"),
        ("POST", "/api/anything/new"),
        ("PUT", "/api/rooms"),
        ("GET", "/api/audit"),
    ):
        answer = hub.viewer.request(method, path)
        assert (answer.status_code, list(answer.json())) == (403, ["error"]), path
        assert httpx.request(method, hub.url + path).status_code == 401
        if method != "GET":
            elsewhere_made = hub.operator.request(method, path, headers={"Origin": "https://evil.example"})
            assert elsewhere_made.status_code == 403
    assert hub.viewer.get("/api/me").json() == {"name": "vera", "role": "viewer", "login": True}


def test_a_webhook_that_is_not_allowed_is_refused_before_the_rule_is_kept(hub):
    rule = {"name": "Shouting", "minutes": 10}
    for webhook in ("http://192.168.1.5/hook", "https://localhost:8443/", "http://[::1]/"):
        answer = hub.operator.post("/api/rules", json=rule | {"webhook": webhook})
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("webhook: not a public address; start `./run hub`"), (
            answer.text
        )
    assert "`--notify 192.168.1.5`" in hub.operator.post(
        "/api/rules", json=rule | {"webhook": "http://192.168.1.5/hook"}
    ).text  # fmt: skip
    assert hub.operator.post("/api/rules", json=rule | {"webhook": "http://a:99999/"}).status_code == 422
    answer = hub.operator.post("/api/rules", json=rule | {"node": "The Kitchen"})
    assert answer.json()["error"] == "node: must be at most 64 of a-z, 0-9, `_` and `-`"
    assert hub.operator.get("/api/rules").json() == []
    # A name that has no address now may have one when there is an alert.
    kept = hub.operator.post("/api/rules", json=rule | {"webhook": "http://no-such-host.invalid/"}).json()
    path = f"/api/rules/{kept['id']}"
    assert hub.operator.put(path, json=rule | {"webhook": "http://10.0.0.1/"}).status_code == 422
    # A rule that was made while its webhook was allowed can still be paused.
    with sqlite3.connect(hub.file) as connection:
        connection.execute("update rules set webhook = 'http://10.0.0.1/'")
    answer = hub.operator.put(path, json=rule | {"webhook": "http://10.0.0.1/", "paused": True})
    assert (answer.status_code, answer.json()["paused"]) == (200, True)
    assert hub.operator.delete(path).status_code == 204


def test_a_command_is_answered_by_the_room_and_written_down(hub):
    rooms = Rooms(hub.broker)
    heard = []

    def obey(client, _userdata, message):
        command = msgspec.json.decode(message.payload, type=Command)
        heard.append((message.topic, command.sent_at is not None))
        answer = Response(
            transaction=command.transaction, ok="study" not in message.topic, error="muted at the device"
        )
        client.publish(message.topic.replace("/cmd/", "/resp/"), protocol.encode(answer), qos=1)

    rooms.client.on_message = obey
    for node in ("kitchen", "study"):
        rooms.client.subscribe(f"roomtone/{node}/cmd/+", 1)
    until(lambda: hub.operator.get("/healthz").json()["broker"] == "connected")
    time.sleep(0.3)
    assert hub.operator.post("/api/rooms/kitchen/commands/mute").json()["ok"] is True
    refused = hub.operator.post("/api/rooms/study/commands/unmute").json()
    assert (refused["ok"], refused["error"]) == (False, "muted at the device")
    assert heard == [("roomtone/kitchen/cmd/mute", True), ("roomtone/study/cmd/unmute", True)]
    assert hub.operator.post("/api/rooms/kitchen/commands/explode").status_code == 422
    assert hub.operator.post("/api/rooms/nowhere/commands/mute").status_code == 404
    rooms.appear("attic", "Attic")
    until(lambda: hub.operator.get("/api/rooms/attic").status_code == 200)
    assert hub.operator.post("/api/rooms/attic/commands/mute").status_code == 504
    notes = [(n["who"], n["action"], n["target"], n["result"]) for n in hub.operator.get("/api/audit").json()]
    assert ("operator", "mute", "kitchen", "ok") in notes
    assert ("operator", "unmute", "study", "muted at the device") in notes
    assert ("operator", "mute", "attic", "no answer") in notes
    rooms.close()


def test_a_period_and_a_room_are_erased_with_their_sums(hub):
    def erase(path, password=hub.password, client=hub.operator, **span):
        return client.request("DELETE", path, params=span, json={"password": password})

    def rows(statement):
        with sqlite3.connect(hub.file) as connection:
            return connection.execute(statement).fetchall()

    writer = Writer(connect(hub.database))
    batch = [event_of("happy", START + 60 * n, seq=n + 1) for n in range(60)]
    writer.write([Received("cellar", message, 1000 * (START + 80_000)) for message in batch])
    span = {"from": "2026-02-02T02:50:00Z", "to": "2026-02-02T03:10:00Z"}
    assert erase("/api/rooms/cellar", **span | {"to": span["from"]}).status_code == 422
    # A session or token that was left open is not enough.
    token = Accounts(connect(hub.database)).create_session("operator", "program")
    program = httpx.Client(base_url=hub.url, headers={"Authorization": f"Bearer {token}"})
    assert hub.operator.delete("/api/rooms/cellar", params=span).status_code == 403
    assert program.delete("/api/rooms/cellar", params=span).status_code == 403
    assert erase("/api/rooms/cellar", password="wrong", **span).status_code == 403
    assert rows("select count(*) from events join rooms on rooms.id = room_id where node = 'cellar'") == [
        (60,)
    ]
    assert ("erase", "cellar", "refused") in {
        (n["action"], n["target"], n["result"]) for n in hub.operator.get("/api/audit").json()
    }
    answer = erase("/api/rooms/cellar", **span)
    assert answer.json() == {"ok": True, "error": "", "events": 20}
    left = [e["seq"] for e in hub.viewer.get("/api/rooms/cellar/events?limit=1000").json()["events"]]
    assert left == [*range(1, 11), *range(31, 61)]
    sums = "select sum(count), sum(duration_ms) from quarters join rooms on rooms.id = room_id where node = 'cellar'"
    assert rows(sums) == [(40, 40 * 2310)]
    # What is gone on purpose is no gap.
    assert rows("select complete_to from boots join rooms on rooms.id = room_id where node = 'cellar'") == [
        (60,)
    ]
    # An erasure that erases nothing is not called one.
    with sqlite3.connect(hub.file) as connection:
        connection.execute("create trigger kept before delete on events begin select raise(ignore); end")
    kept = erase("/api/rooms/cellar", **{"from": "2026-02-01T00:00:00Z"})
    assert kept.json().get("ok") is False, kept.text
    with sqlite3.connect(hub.file) as connection:
        connection.execute("drop trigger kept")
    assert erase("/api/rooms/cellar", client=program).json()["ok"] is True
    assert erase("/api/rooms/nowhere").status_code == 404
    assert rows("select count(*) from rooms where node = 'cellar'") == [(0,)]
    assert rows("select count(*) from events") == [(1201,)]


def test_an_erasure_without_an_end_leaves_nothing_where_the_clock_is_behind(hub):
    """The events are of a year that this machine has not reached."""
    later = START + 20 * 365 * 86_400
    event = event_of("sad", later, seq=1)
    Writer(connect(hub.database)).write([Received("loft", event, 1000 * (later + 10))])
    span = {"from": "2026-02-01T00:00:00Z"}
    answer = hub.operator.request(
        "DELETE", "/api/rooms/loft", params=span, json={"password": hub.password}, headers=elsewhere()
    )
    assert answer.json() == {"ok": True, "error": "", "events": 1}
    with sqlite3.connect(hub.file) as connection:
        left = "select count(*) from events join rooms on rooms.id = room_id where node = 'loft'"
        assert connection.execute(left).fetchone() == (0,)


def test_the_description_is_valid_and_names_every_route(hub):
    description = hub.viewer.get("/api/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    assert {"/api/rooms", "/api/rooms/{node}/events", "/api/rooms/{node}/commands/{verb}"} <= set(
        description["paths"]
    )
    for name, schema in description["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("description") or name.startswith(("HTTP", "Validation", "Verb")), name
    assert not {"/login", "/healthz", "/logout"} & set(description["paths"])


def test_one_changes_ones_own_password_and_all_sessions_end(hub):
    password = hub.user("carl")
    client, _ = hub.log_in("carl", password)
    assert client.post("/api/password", json={"old": "wrong", "new": "x" * 12}).status_code == 403
    assert client.post("/api/password", json={"old": password, "new": "short"}).status_code == 422
    assert (
        client.post("/api/password", json={"old": password, "new": "correct horse battery"}).status_code
        == 204
    )
    assert hub.log_in("carl", "correct horse battery")[1].status_code == 303
    assert hub.log_in("carl", password)[1].status_code == 401
    until(lambda: client.get("/api/me").status_code == 401, 15)


def test_bodies_without_end_and_too_many_requests_are_cut_off(hub):
    client, _ = hub.log_in()
    assert client.post("/api/password", content=b"x" * (3 << 20)).status_code in (400, 422, 413)
    statuses = []
    with httpx.Client(base_url=hub.url, cookies=client.cookies, headers=elsewhere()) as many:
        threads = [
            threading.Thread(
                target=lambda: statuses.extend(many.get("/api/me").status_code for _ in range(110))
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses.count(429) >= 30
    assert hub.operator.get("/").status_code == 200


def test_metrics_need_a_login_and_follow_the_accept_header(hub):
    assert httpx.get(f"{hub.url}/metrics").status_code == 401
    answer = hub.viewer.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "roomtone_hub_broker_connected 1.0" in answer.text
    assert "process_resident_memory_bytes" in answer.text
    answer = hub.viewer.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
