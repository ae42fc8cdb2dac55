"""The disk of a running link fills up while the broker is away."""

import contextlib

import pytest

from tests.support.broker import Broker
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import utterance
from tests.support.waiting import until


def fill(disk):
    with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("full_from_the_start", [True, False])
def test_nothing_crashes_and_all_that_is_kept_arrives_in_order(tmp_path, small_disk, full_from_the_start):
    settings = (f"runtime.state_dir={small_disk}",)
    with Broker(folder=tmp_path) as broker, LinkProcess(tmp_path, broker.port, settings=settings) as link:
        until(lambda: "connected" in link.codes)
        with EarClient(link.socket) as ear:
            until(lambda: "ear_connected" in link.codes)
            broker.kill()
            if full_from_the_start:
                fill(small_disk)
            for seq in range(1, 6):
                ear.tell(utterance(seq))
            if not full_from_the_start:
                until(lambda: len(ear.acks) == 5)
                fill(small_disk)
            for seq in range(6, 13):
                ear.tell(utterance(seq))
            if full_from_the_start:
                until(lambda: "spool_unusable" in link.codes)
            broker.start()
            with Subscriber(broker.port) as subscriber:
                until(lambda: len(subscriber.seqs()) == 12, 40)
                assert subscriber.seqs() == list(range(1, 13))
                until(lambda: len(ear.acks) == 12)
        assert "Traceback" not in link.log
        assert link.stop() == 0
