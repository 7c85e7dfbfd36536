"""A broker with the Mosquitto adapter over a backend that does what messages tell it to (tests/plugin_probe)."""

import re
import subprocess
from pathlib import Path

from .broker import MOSQUITTO, Broker
from .mqtt import Mqtt, Packet
from .process import BUILD, wait_for

PROBE = BUILD / "tests/plugin_probe/instar_plugin_probe.so"
OPTIONS = {"gate_key": "/unused", "root": "/unused", "transfer_log": ""}


def probe_broker(folder: Path, *, options: dict[str, str] | None = None, **more) -> Broker:
    return Broker(folder, plugin_file=PROBE, options=OPTIONS | (options or {}), **more)


def refused_start(folder: Path, configuration: str) -> str:
    """What a Mosquitto says that must not start with this configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mosquitto.conf"
    path.write_text(configuration)
    ended = subprocess.run([MOSQUITTO, "-c", str(path)], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert ended.returncode != 0
    return ended.stdout + ended.stderr


def events(broker: Broker, what: str) -> list[str]:
    """The probe's log lines of one sort: starts, message, gone."""
    return re.findall(rf"instar: probe {what} ?(.*)", broker.log_text())


def sys_value(broker: Broker, topic: str) -> int:
    """A number of the $SYS tree, measured after the call. Mosquitto writes it once a second, when it has changed."""
    with Mqtt(broker.port, "sys-reader") as reader:
        reader.subscribe(f"$SYS/{topic}")
        values = [int(p.payload) for p in reader.drain(1.3)]
    assert values, f"no $SYS/{topic}"
    return values[-1]


def await_events(broker: Broker, what: str, count: int) -> list[str]:
    return wait_for(f"{count} events of the sort {what}", lambda: e if len(e := events(broker, what)) >= count else None, 30, 0.02)


def heard_before_marker(broker: Broker, listener: Mqtt) -> list[Packet]:
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
    """So many messages, however long they take, and whatever follows them at once."""
    found = []
    for _ in range(count):
        packet = client.next_message(30)
        assert packet is not None, f"{len(found)} of {count} messages came"
        found.append(packet)
    return found + client.drain(0.2)
