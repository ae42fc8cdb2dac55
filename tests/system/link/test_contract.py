"""Everything that is really published fits the published schema, QoS and retain flags."""

import json

import jsonschema

from edge.protocol import EarHealth, HealthReport, LevelSignal, json_schema
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import utterance
from tests.support.waiting import until

HEALTH = EarHealth(
    frames=1, overruns=0, utterances=1, inference_p50_ms=1, inference_p95_ms=3, rss_mb=90, dropped=0
)


def fits(message):
    """The row of the page that the message belongs to; raises when it does not fit."""
    leaf = message.topic.split("/", 2)[2]
    leaf = "resp/<verb>" if leaf.startswith("resp/") else leaf
    _, qos, _, kind, payload, _ = next(row for row in json_schema.PAYLOADS if row[0] == leaf)
    assert message.qos == qos
    tree = json.loads(message.payload) if kind == "JSON" else message.payload.decode()
    jsonschema.Draft202012Validator(json_schema.schema(payload)).validate(tree)
    return leaf


def test_all_that_is_published_fits_the_published_schema(tmp_path, broker):
    with Subscriber(broker.port) as subscriber, LinkProcess(tmp_path, broker.port) as link:
        until(lambda: "connected" in link.codes)
        with EarClient(link.socket) as ear:
            until(lambda: "ear_connected" in link.codes)
            ear.tell(utterance(1))
            ear.say(HealthReport(HEALTH))
            subscriber.answer("level_on", subscriber.command("level_on"))
            until(lambda: ear.commands)
            ear.say(LevelSignal(dbfs=-30, speech=True))
            subscriber.answer("mute", subscriber.command("mute", nonsense=1))
            until(lambda: subscriber.of("level") and subscriber.of("event"))
        link.stop()
        until(lambda: subscriber.last("availability") == "offline")
    ours = [m for m in subscriber.messages if "/cmd/" not in m.topic]
    seen = {fits(message) for message in ours}
    assert seen >= {"availability", "mic", "event", "level", "health", "info", "resp/<verb>"}
    assert all(len(m.payload) <= 1024 for m in ours if m.topic.endswith("/event"))
