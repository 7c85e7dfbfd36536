"""A broker with the Mosquitto adapter over a backend that messages control (tests/plugin_probe)."""

import re
import subprocess
from pathlib import Path

from .broker import MOSQUITTO, Broker
from .mqtt import Mqtt, Packet
from .process import BUILD, HANGS_S, wait_for

PROBE = BUILD / "tests/plugin_probe/instar_plugin_probe.so"
UPTIME = "$SYS/broker/uptime"
OPTIONS = {"gate_key": "/unused", "root": "/unused", "transfer_log": ""}


def probe_broker(folder: Path, *, options: dict[str, str] | None = None, **more) -> Broker:
    return Broker(folder, plugin_file=PROBE, options=OPTIONS | (options or {}), **more)


def refused_start(folder: Path, configuration: str, program: str = MOSQUITTO) -> str:
    """What a Mosquitto says that must not start with this configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mosquitto.conf"
    path.write_text(configuration)
    ended = subprocess.run([program, "-c", str(path)], capture_output=True, text=True, timeout=HANGS_S, stdin=subprocess.DEVNULL)
    assert ended.returncode != 0
    return ended.stdout + ended.stderr


def events(broker: Broker, what: str) -> list[str]:
    """The probe's log lines of one sort: starts, message, gone."""
    return re.findall(rf"instar: probe {what} ?(.*)", broker.log_text())


def sys_value(broker: Broker, topic: str) -> int:
    """A number of the $SYS tree, measured after the call. Mosquitto publishes the tree every other second, in the same order, beginning with
    the uptime, and of the rest what has changed: from one uptime to the next is one measurement."""
    values: list[int] = []
    uptimes = 0
    with Mqtt(broker.port, "sys-reader") as reader:
        reader.subscribe(f"$SYS/{topic}", UPTIME)
        while uptimes < 2 or not values:
            packet = reader.next_message()
            assert packet is not None, f"no $SYS/{topic}"
            if packet.topic != UPTIME:
                values.append(int(packet.payload))
            elif not packet.retained:
                uptimes += 1
    return values[-1]


def await_events(broker: Broker, what: str, count: int) -> list[str]:
    return wait_for(f"{count} events of the sort {what}", lambda: e if len(e := events(broker, what)) >= count else None, interval_s=0.02)


def received_before_marker(broker: Broker, listener: Mqtt) -> list[Packet]:
    """All that a subscriber of `marker` has been sent until now, without waiting for silence."""
    with broker.client("marker") as writer:
        writer.publish("marker", "", qos=1)
    found = []
    while True:
        packet = listener.next_message()
        assert packet is not None
        if packet.topic == "marker":
            return found
        found.append(packet)


def take(client: Mqtt, count: int) -> list[Packet]:
    """So many messages, however long they take, and whatever the broker has sent by then."""
    found = []
    for _ in range(count):
        packet = client.next_message()
        assert packet is not None, f"{len(found)} of {count} messages came"
        found.append(packet)
    return found + client.drain()
