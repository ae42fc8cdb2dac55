"""The MQTT client that link, recorder, dashboard, publishing tools and demo share.

`client.Client` connects in a thread of its own and reconnects for ever; that thread alone touches the socket.
Nothing outside this package imports paho.

    address = address.parse("mqtts://hub@broker.example")
    client = Client(address, ClientOptions("my-id", subscriptions=(Subscription("roomtone/+/event"),)), print)
    client.start()
    client.publish("roomtone/kitchen/cmd/mute", b"{}")
    client.stop()
"""
