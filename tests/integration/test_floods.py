"""One client sends as much as its line gives. It costs itself only: the broker stays small, and everybody else is heard."""

import itertools
import os
import threading

import pytest
from harness import forge, mqtt
from harness.broker import Broker
from harness.paper_device import PaperDevice
from harness.process import wait_for
from harness.site import Site

MEMORY_KB_MAX = 16 * 1024
FLOODER = "flooder"
TOPIC = f"instar/v1/d/{FLOODER}"


class Flood:
    """Sends the packets over and over from a thread of its own, until the block ends."""

    def __init__(self, broker: Broker, client_id: str, packets: list[bytes], **login: str):
        self.packets, self.sent = packets, 0
        self.client = broker.client(client_id, **login)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.client.socket.sendall(b"".join(self.packets))
                self.sent += len(self.packets)
        except OSError:
            pass  # the test ends, and closes it

    def __enter__(self) -> "Flood":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        # Its connection is closed only when all has been taken in: the broker answers behind it.
        self.thread.join()
        self.client.ping()
        self.client.close()


def packet(topic: str, payload: bytes) -> bytes:
    body = mqtt.text(topic) + payload
    return b"\x30" + mqtt.length(len(body)) + body


def hello(device: PaperDevice, connect: int) -> bytes:
    return forge.seal(forge.HELLO, forge.flat("hello", {
        "device": device.id, "public_key": list(device.key.public), "product": device.product, "groups": [device.group], "boot": 1,
        "connect": connect, "pack_formats": [1], "root_version": 1}), device.key)


def big_hellos(device: PaperDevice) -> list[bytes]:
    return [packet(f"{TOPIC}/hello", forge.seal(forge.HELLO, bytes(130_000), device.key))]


def good_hellos(device: PaperDevice) -> list[bytes]:
    return [packet(f"{TOPIC}/hello", hello(device, connect)) for connect in range(2, 40)]


def bad_hellos(device: PaperDevice) -> list[bytes]:
    damaged = bytearray(hello(device, 2))
    damaged[40] ^= 1
    return [packet(f"{TOPIC}/hello", bytes(damaged))] * 100


def stale_reports(device: PaperDevice) -> list[bytes]:
    report = forge.flat("report", {"device": device.id, "sequence": 9, "rollout": forge.hash_value(bytes(32)), "attempt": 1,
                                   "step": "failed"})
    return [packet(f"{TOPIC}/report", forge.seal(forge.REPORT, report, device.key))] * 100


def big_junk(device: PaperDevice) -> list[bytes]:
    return [packet(f"{TOPIC}/{kind}", os.urandom(120_000)) for kind in ("report", "fetch", "hello")]


def unknown_fetches(device: PaperDevice) -> list[bytes]:
    return [packet(f"{TOPIC}/fetch", forge.flat("fetch", {
        "session": session, "pack": forge.hash_value(os.urandom(32)), "ranges": [{"first": 0, "count": 1}], "window_bytes": 65_536,
        "piece_bytes_max": 8_192})) for session in range(1, 60)]


def puts(device: PaperDevice) -> list[bytes]:
    return [packet(f"instar/v1/o/{FLOODER}/put", os.urandom(65_000))]


def is_taken(device: PaperDevice, payload: bytes) -> bool:
    """Says hello, and looks whether one before it was taken."""
    device.client.publish(f"{device.prefix}/hello", payload, qos=1)
    acks = [forge.unflat("ack", message.payload) for message in device.client.drain() if message.topic.endswith("/ack")]
    return any(ack["code"] == 0 for ack in acks)


# How many messages are enough to fill a broker that does not bound them: 200 MB of the big ones, seconds of work of the small.
FLOODS = [(big_hellos, 1_500), (big_junk, 1_500), (puts, 3_000), (good_hellos, 40_000), (bad_hellos, 40_000), (stale_reports, 40_000),
          (unknown_fetches, 40_000)]


@pytest.mark.parametrize("make, messages", FLOODS, ids=[make.__name__ for make, _ in FLOODS])
def test_a_flood_costs_its_own_client_only(tmp_path, keys, make, messages):
    # Each packet in the log would be a flood of its own.
    with Site(tmp_path, keys, quiet=True, options={"transfer_log": ""}) as site:
        good = PaperDevice(site.broker, "good-1")
        good.hello()
        flooder = PaperDevice(site.broker, FLOODER, group="evil/x", product="toaster", username="evil")
        flooder.hello()
        flooder.client.close()
        manifest = bytes.fromhex(site.operator.ask("rollout", "show", site.publish("1.0"))["manifest"])
        idle = peak = site.broker.memory_kb()
        with Flood(site.broker, FLOODER, make(flooder), username="evil") as flood:
            wait_for("the flood is under way", lambda: flood.sent > messages // 4)
            assert good.report(1, manifest, "fetching")["sequence"] == 1
            peak = max(peak, site.broker.memory_kb())
            while flood.sent < messages:
                peak = max(peak, site.broker.memory_kb())
                wait_for("more of it is taken in", lambda seen=flood.sent: flood.sent > seen, interval_s=0.02)
            assert good.report(2, manifest, "staging")["sequence"] == 2
        peak = max(peak, site.broker.memory_kb())
        assert peak - idle <= MEMORY_KB_MAX, f"{idle} KB became {peak} KB"
        log = site.broker.log_text()
        assert f"client '{FLOODER}', user 'evil', address 127.0.0.1" in log
        assert log.count(f"client '{FLOODER}'") < 20, "a line a minute, however many messages"
        # And it is a device like any other again.
        connects = itertools.count(100)
        flooder.connect(site.broker, username="evil")
        wait_for("the flooder is heard again", lambda: is_taken(flooder, hello(flooder, next(connects))))


def test_made_up_devices_of_one_login_are_bounded(tmp_path, keys):
    def names(rows: dict) -> list[str]:
        return [row["device"] for row in rows["devices"]]

    with Site(tmp_path, keys, options={"unknown_devices_max_per_login": "5"}) as site:
        made_up = [PaperDevice(site.broker, f"made-up-{number}", username="evil") for number in range(12)]
        codes = [device.hello().get("code", 0) for device in made_up]
        assert codes[:5] == [0] * 5 and all(codes[5:]), codes
        good = PaperDevice(site.broker, "good-1", username="plant")
        assert good.hello().get("code", 0) == 0
        unknown = site.operator.ask("devices", "list", "--unknown")
        assert names(unknown) == ["good-1"] + [f"made-up-{number}" for number in range(5)]
        assert {row["login"] for row in unknown["devices"]} == {"evil", "plant"}
        assert "login 'evil' has brought 5 devices" in site.broker.log_text()

        # What takes part is known from then on, and what is gone can be taken away.
        manifest = bytes.fromhex(site.operator.ask("rollout", "show", site.publish("1.0"))["manifest"])
        assert good.report(1, manifest, "fetching")["sequence"] == 1
        for device in made_up:
            device.client.disconnect()
        wait_for("the others are gone", lambda: not any(row["online"] for row in site.operator.ask("devices", "list")["devices"]
                                                        if row["login"] == "evil"))
        assert site.operator.ask("devices", "forget", "--all", "--unknown", "--older-than", "0")["forgotten"] == 5
        assert names(site.operator.ask("devices", "list")) == ["good-1"]
