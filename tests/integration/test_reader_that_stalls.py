"""A device that stops reading its socket costs the broker one credit window of memory, and others nothing."""

import signal
import threading
import time
from functools import partial

import pytest
from harness.mqtt import Closed
from harness.probe import sys_value
from harness.process import wait_for
from harness.site import Site

WINDOW = 256 * 1024
CONTENT = 24_000_000
# What the broker's process may grow by that is not queued data: allocator slack and RocksDB's reads, which do not rise with what is left to send.
SLACK_KB = 6 * 1024


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


# Bytes that Mosquitto itself holds, queues of clients included.
heap = partial(sys_value, topic="broker/heap/current")


def test_broker_holds_one_window_for_a_device_that_stops_reading(site):
    stalls = site.add_device("stalls", shaped=True, settings={"window_bytes_max": WINDOW})
    link = site.shapers[0]
    site.wait_for_counts(site.publish("1.0"), {"committed": 1})
    link.stall()
    held, start = heap(site.broker), link.bytes_down
    # Well into the fetch, so that buffers and caches are as large as they get.
    link.stall_at = start + CONTENT // 3
    rollout = site.publish("2.0", changed_bytes=CONTENT)
    wait_for("a third is fetched", link.stands)
    memory = site.broker.memory_kb()
    link.stall_at = start + CONTENT // 2
    wait_for("half of it is fetched", link.stands)
    # Nor does it do anything else: after a minute it would ask once more for what does not come.
    stalls.process.child.send_signal(signal.SIGSTOP)
    sent_at_stall = site.broker.bytes_sent(stalls.id)

    # Meanwhile another device installs the same, and telemetry flows.
    telemetry: list[bytes] = []
    stop = threading.Event()

    def talk():
        with site.broker.client("sensor") as sensor, site.broker.client("listener") as listener:
            listener.subscribe("plant/temperature")
            number = 0
            while not stop.is_set():
                sensor.publish("plant/temperature", str(number), qos=1)
                message = listener.next_message()
                if message is None:
                    return
                telemetry.append(message.payload)
                number += 1
                time.sleep(0.02)

    talker = threading.Thread(target=talk, daemon=True)
    talker.start()
    held_growth, growth = heap(site.broker) - held, site.broker.memory_kb() - memory
    other = site.add_device("reads")
    other.wait_for_release("2.0")
    wait_for("telemetry flows", lambda: len(telemetry) > 20 or not talker.is_alive())
    stop.set()
    talker.join()

    assert held_growth <= WINDOW * 1.1, f"the broker's heap grew by {held_growth} bytes"
    assert growth <= WINDOW // 1024 + SLACK_KB, f"the broker grew by {growth} KB"
    assert site.broker.bytes_sent(stalls.id) - sent_at_stall <= WINDOW
    assert len(telemetry) > 20
    assert telemetry == [str(number).encode() for number in range(len(telemetry))]

    # And when it reads again it gets the rest.
    link.stall_at = None
    stalls.process.child.send_signal(signal.SIGCONT)
    site.wait_for_counts(rollout, {"committed": 2})


def test_device_that_never_reads_at_all(site):
    """A client that asks for everything and reads nothing."""
    device = site.add_device("honest")
    site.wait_for_counts(site.publish("1.0", noise_bytes=4_000_000), {"committed": 1})
    pack = site.broker.transfers()[0].pack
    from harness import forge
    held = heap(site.broker)
    asked = forge.flat("fetch", {"session": 1, "pack": forge.hash_value(bytes.fromhex(pack)), "ranges": [{"first": 0, "count": 10}],
                                 "window_bytes": 2**32 - 1, "piece_bytes_max": 32768})
    deaf = site.broker.client("deaf", receive_buffer=4096)
    deaf.subscribe("instar/v1/d/deaf/chunk", qos=0)
    for session in range(1, 40):
        try:
            deaf.publish("instar/v1/d/deaf/fetch", asked)
        except Closed:
            break
    # Never more than the broker's own bound, whatever a device asks for.
    assert heap(site.broker) - held <= 512 * 1024 * 1.2 + 64 * 1024
    assert device.release == "1.0"
    deaf.close()
