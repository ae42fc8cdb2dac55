"""A cluster of two brokers, PostgreSQL, two recorders and two dashboards behind Caddy, some of which fail.

`ROOMTONE_SCALE_ROOMS` and `ROOMTONE_SCALE_EVENTS_PER_S` say how many rooms there are, and how often they speak; the
figures are written to `scale.json`. docs/scale.md says how far it came.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from tests.support.link import EarClient, LinkProcess
from tests.support.machines import container
from tests.support.machines.network import own_network
from tests.support.machines.postgres import Postgres
from tests.support.scale.cluster import ADDRESSES, PASSWORD, PORT, USER, cluster
from tests.support.scale.hub import Hub, Reader
from tests.support.scale.simulated_rooms import SimulatedRooms
from tests.support.waiting import until

ROOMS = int(os.environ.get("ROOMTONE_SCALE_ROOMS", "10000"))
PER_S = float(os.environ.get("ROOMTONE_SCALE_EVENTS_PER_S", "100"))
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800 + ROOMS)]

CONNECTIONS = 20
ROUNDS = 3
PAGE_S = 2.0
WRONG_NUMBERS = f"""
select count(*) from (select room_id from events group by room_id
  having min(seq) <> 1 or max(seq) <> {ROUNDS} or count(*) <> {ROUNDS} or count(distinct seq) <> {ROUNDS}) as wrong
"""
OUT_OF_ORDER = """
select count(*) from (select seq - lag(seq) over (partition by room_id order by at) as step from events) as steps
where step <> 1
"""


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    container.require_container()
    with own_network():
        yield


def test_every_event_once_and_in_order_whatever_fails(
    postgres: Postgres, tmp_path: Path, artefacts: Path
) -> None:
    tmp_path.chmod(0o755)
    figures: dict[str, object] = {"rooms": ROOMS, "events_per_s": PER_S}
    with (
        cluster(tmp_path) as nodes,
        Hub(tmp_path, nodes, postgres) as hub,
        SimulatedRooms(ROOMS, CONNECTIONS, ADDRESSES) as rooms,
    ):
        begin = time.monotonic()
        rooms.wait_until_acknowledged(600 + ROOMS / 10)
        figures["announced_s"] = round(time.monotonic() - begin)
        begin = time.monotonic()
        rooms.speak(PER_S)
        hub.wait_for_events(ROOMS, 300 + ROOMS / 10)
        figures["first_round_s"] = round(time.monotonic() - begin)
        # Each dashboard has all rooms, whichever node they are connected to.
        until(lambda: hub.rooms_online() == [ROOMS, ROOMS], 300, lambda: str(hub.rooms_online()))
        with Reader(hub.url, ROOMS) as reader:
            failures = threading.Thread(target=hub.fail)
            failures.start()
            for _ in range(ROUNDS - 1):
                rooms.speak(PER_S)
            failures.join()
            begin = time.monotonic()
            rooms.wait_until_acknowledged(600 + ROOMS / 10)
            rooms.announce()
            hub.wait_for_events(ROOMS * ROUNDS, 900 + ROOMS / 5)
        figures |= summary(reader) | {
            "complete_after_s": round(time.monotonic() - begin),
            "replayed": rooms.replayed,
            "memory_mb": hub.memory_mb(),
        }
        (artefacts / "scale.json").write_text(json.dumps(figures, indent=2) + "\n")
        print(json.dumps(figures))
        assert hub.ask("select count(*) from rooms") == ROOMS
        assert hub.ask("select sum(count) from quarters") == ROOMS * ROUNDS
        assert hub.ask(WRONG_NUMBERS) == hub.ask(OUT_OF_ORDER) == hub.ask("select count(*) from lost") == 0
        times = reader.times
        assert times[int(0.95 * len(times))] < PAGE_S


def test_a_dashboard_that_comes_later_gets_the_state_of_devices_at_the_other_node(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Its node sends it nothing retained of them: it asks when it hears them."""
    tmp_path.chmod(0o755)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    with cluster(tmp_path) as nodes:
        settings = (
            f"mqtt.host={nodes[0].address}", f"mqtt.username={USER}", f"mqtt.password_file={tmp_path}/password",
        )  # fmt: skip
        with (
            LinkProcess(tmp_path, PORT, settings=settings) as link,
            EarClient(link.socket) as ear,
        ):
            until(lambda: "connected" in link.codes, 60, lambda: link.log)
            ear.report()
            with Hub(tmp_path, nodes[1:], postgres) as hub:
                assert hub.rooms_online() == [0]
                ear.report()
                until(lambda: hub.rooms_online() == [1], 120, lambda: link.log)


def lets_in(address: str) -> bool | None:
    """Whether a node lets the hub's user in; None: it does not answer."""
    answers: list[bool] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(USER, PASSWORD)
    client.on_connect = lambda _client, _data, _flags, code, _properties: answers.append(not code.is_failure)
    try:
        client.connect(address, PORT)
        client.loop_start()
        until(lambda: answers, 5)
    except (OSError, AssertionError):
        return None
    finally:
        client.disconnect()
        client.loop_stop()
    return answers[0]


def test_a_client_that_came_before_its_node_had_joined_is_let_in_afterwards(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    def wait_for_a_refusal() -> None:
        until(lambda: lets_in(ADDRESSES[1]) is False, 120)

    with cluster(tmp_path, meanwhile=wait_for_a_refusal) as nodes:
        nodes[0].kill()
        until(lambda: lets_in(ADDRESSES[1]), 30)


def summary(reader: Reader) -> dict[str, object]:
    """How the pages answered, all of them and the slowest kind."""
    times = reader.times
    kinds = {path for path, _, _ in reader.answers}
    slowest = {
        path or "/": round(max(s for p, status, s in reader.answers if p == path and status == 200), 3)
        for path in kinds
        if any(p == path and status == 200 for p, status, _ in reader.answers)
    }
    return {
        "pages": len(reader.answers),
        "pages_without_answer": len(reader.answers) - len(times),
        "page_s_p50": round(times[len(times) // 2], 3),
        "page_s_p95": round(times[int(0.95 * len(times))], 3),
        "page_s_slowest": slowest,
    }
