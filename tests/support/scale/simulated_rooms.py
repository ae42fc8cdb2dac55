"""Many rooms in a few connections: each numbers its events, keeps them, and publishes them again when asked to."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge import protocol
from edge.protocol import Command, Event, Info, LastEvent, Response
from tests.support.messages import event_of
from tests.support.scale.cluster import PASSWORD, USER
from tests.support.waiting import until

BASE: Final = "roomtone"
IN_FLIGHT: Final = 500
TICK_S: Final = 0.05
SUBSCRIPTIONS: Final = 100
"""In one packet."""


class Group:
    """Rooms that share a connection. When it ends, the next node is tried, as a device does."""

    def __init__(self, number: int, rooms: Sequence[str], addresses: Sequence[str], port: int) -> None:
        self.rooms = rooms
        self.replayed = 0
        self.connections = 0
        self._events: dict[str, list[Event]] = {room: [] for room in rooms}
        self._addresses = itertools.cycle(addresses)
        self._port = port
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"rooms-{number}", protocol=paho.MQTTv5
        )
        self._client.username_pw_set(USER, PASSWORD)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.reconnect_delay_set(1, 2)
        self._client.connect_timeout = 3.0
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._go_to_next
        self._client.on_connect_fail = lambda client, _data: self._go_to_next(client)
        self._client.on_message = self._command
        self._go_to_next(self._client)
        self._client.loop_start()

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        return len(self._client._out_messages)

    def _connected(self, client: paho.Client, *_: object) -> None:
        for begin in range(0, len(self.rooms), SUBSCRIPTIONS):
            part = self.rooms[begin : begin + SUBSCRIPTIONS]
            client.subscribe([(f"{BASE}/{room}/cmd/replay", 1) for room in part])
        self.announce()
        self.connections += 1

    def announce(self) -> None:
        """Publish which event of each room was the last one, and that the rooms are there."""
        for room in self.rooms:
            events = self._events[room]
            last = LastEvent(events[-1].boot, events[-1].seq) if events else None
            info = Info(node=room, name=room.title(), version="0.2.0", last_event=last)
            self._client.publish(f"{BASE}/{room}/info", protocol.encode(info), qos=1, retain=True)
            self._client.publish(f"{BASE}/{room}/availability", b"online", qos=1, retain=True)

    def _go_to_next(self, client: paho.Client, *_: object) -> None:
        """Let the next attempt to connect, which paho makes by itself, go to the next address."""
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600
        client.connect_async(
            next(self._addresses), self._port, keepalive=10, clean_start=False, properties=properties
        )

    def publish(self, room: str) -> None:
        """Publish the next event of a room."""
        events = self._events[room]
        events.append(event_of("happy", time.time(), seq=len(events) + 1))
        self._client.publish(f"{BASE}/{room}/event", protocol.encode(events[-1]), qos=1)

    def _command(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        room = message.topic.split("/")[1]
        command = msgspec.json.decode(message.payload, type=Command)
        wanted = self._events[room][command.from_seq - 1 : command.to_seq]
        for event in wanted:
            client.publish(f"{BASE}/{room}/event", protocol.encode(event), qos=1)
        self.replayed += len(wanted)
        answer = Response(
            transaction=command.transaction, ok=True, events=len(wanted), first_seq=command.from_seq
        )
        client.publish(f"{BASE}/{room}/resp/replay", protocol.encode(answer), qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class SimulatedRooms:
    """`count` rooms in `connections` connections, which begin at the addresses in turn."""

    def __init__(self, count: int, connections: int, addresses: Sequence[str], port: int = 1883) -> None:
        names = [f"room-{number}" for number in range(count)]
        self.groups = [
            Group(
                number,
                names[number::connections],
                (*addresses[number % len(addresses) :], *addresses[: number % len(addresses)]),
                port,
            )
            for number in range(connections)
        ]
        self.count = count
        until(lambda: all(group.connections for group in self.groups), 120)

    @property
    def replayed(self) -> int:
        """How many events were published again."""
        return sum(group.replayed for group in self.groups)

    def wait_until_acknowledged(self, seconds: float) -> None:
        """Until the brokers have acknowledged all that was published."""
        until(lambda: not any(group.unacknowledged for group in self.groups), seconds)

    def speak(self, per_second: float) -> None:
        """Publish one event of each room, at a rate."""
        turns = [(group, room) for group in self.groups for room in group.rooms]
        turns.sort(key=lambda turn: int(turn[1].partition("-")[2]))
        begin = time.monotonic()
        for number, (group, room) in enumerate(turns):
            group.publish(room)
            if (ahead := begin + number / per_second - time.monotonic()) > TICK_S:
                time.sleep(ahead)

    def announce(self) -> None:
        """Say of every room which event was its last one, as devices do every minute."""
        for group in self.groups:
            group.announce()

    def close(self) -> None:
        for group in self.groups:
            group.close()

    def __enter__(self) -> SimulatedRooms:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
