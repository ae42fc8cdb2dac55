"""What paho writes about itself: errors are read, and nothing else is even formatted."""

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.mqtt.paho_client import BoundedClient


class Packet:
    """Counts how often it is written out."""

    def __init__(self):
        self.written = 0

    def __str__(self):
        self.written += 1
        return "a packet"


def test_only_errors_are_formatted_and_reported():
    client = BoundedClient(CallbackAPIVersion.VERSION2)
    reported, packet = [], Packet()
    client.on_log = lambda _client, _data, level, text: reported.append((level, text))
    client._easy_log(paho.MQTT_LOG_DEBUG, "Received %s", packet)
    assert packet.written == 0
    client._easy_log(paho.MQTT_LOG_ERR, "cannot read %s", packet)
    assert reported == [(paho.MQTT_LOG_ERR, "cannot read a packet")]
