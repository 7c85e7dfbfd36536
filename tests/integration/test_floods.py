"""One client, or fifty, send as much as their line gives. It costs themselves only: the broker stays small, and everybody else is heard."""

import itertools
from contextlib import ExitStack

import pytest
from harness import forge
from harness.floods import KINDS, Flood, hello, packets
from harness.paper_device import PaperDevice
from harness.process import wait_for
from harness.site import Site

MEMORY_KB_MAX = 16 * 1024
FLOODER = "flooder"
FLOODERS = 50


def is_taken(device: PaperDevice, payload: bytes) -> bool:
    """Says hello, and looks whether one before it was taken."""
    device.client.publish(f"{device.prefix}/hello", payload, qos=1)
    acks = [forge.unflat("ack", message.payload) for message in device.client.drain() if message.topic.endswith("/ack")]
    return any(ack["code"] == 0 for ack in acks)


# How many messages are enough to fill a broker that does not bound them: 200 MB of the big ones, seconds of work of the small.
BIG = {"big_hellos": 1_500, "big_junk": 1_500, "puts": 3_000}
SMALL = 40_000
OPERATOR = ("--username", "alice")


class Scene:
    """A good device and an operator with a release in force, and devices of another login that are about to flood."""

    def __init__(self, site: Site, flooders: list[str]):
        self.site = site
        self.good = PaperDevice(site.broker, "good-1")
        self.good.hello()
        self.flooders = [PaperDevice(site.broker, name, group="evil/x", product="toaster", username="evil") for name in flooders]
        for flooder in self.flooders:
            flooder.hello()
            flooder.client.close()
        rollout = site.publish("1.0", options=OPERATOR)
        self.manifest = bytes.fromhex(self.ask("rollout", "show", rollout)["manifest"])
        self.reports = 0

    def ask(self, *arguments: str) -> dict:
        return self.site.operator.ask(*arguments, *OPERATOR)

    def expect_heard(self) -> None:
        """The good device's report is durable, and the operator is answered, however long that takes."""
        self.reports += 1
        assert self.good.report(self.reports, self.manifest, "fetching")["sequence"] == self.reports
        assert self.ask("rollout", "list")["rollouts"][0]["release"] == "1.0"

    def flood(self, kind: str) -> list[Flood]:
        return [Flood(self.site.broker, flooder.id, packets(KINDS[kind](flooder)), username="evil") for flooder in self.flooders]


def options_for(kind: str) -> dict[str, str]:
    # Each packet in the log would be a flood of its own. Who may not command is known by the list of those who may.
    return {"transfer_log": ""} | ({"operators": "alice"} if kind == "commands" else {})


def peak_memory_kb(site: Site, scene: Scene, floods: list[Flood], messages: int) -> int:
    """While the flood goes on and everybody else is heard."""
    def sent() -> int:
        return sum(flood.sent for flood in floods)

    wait_for("the flood is under way", lambda: sent() > messages // 4)
    scene.expect_heard()
    peak = site.broker.memory_kb()
    while sent() < messages:
        peak = max(peak, site.broker.memory_kb())
        wait_for("more of it is taken in", lambda seen=sent(): sent() > seen, interval_s=0.02)
    scene.expect_heard()
    return max(peak, site.broker.memory_kb())


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_costs_its_own_client_only(tmp_path, keys, kind):
    with Site(tmp_path, keys, quiet=True, options=options_for(kind)) as site:
        scene = Scene(site, [FLOODER])
        idle = site.broker.memory_kb()
        with scene.flood(kind)[0] as flood:
            peak = peak_memory_kb(site, scene, [flood], BIG.get(kind, SMALL))
        peak = max(peak, site.broker.memory_kb())
        assert peak - idle <= MEMORY_KB_MAX, f"{idle} KB became {peak} KB"
        if kind != "commands":  # Mosquitto itself drops those that the plugin has forbidden
            log = site.broker.log_text()
            assert f"client '{FLOODER}', user 'evil', address 127.0.0.1" in log
            assert log.count(f"client '{FLOODER}'") < 20, "a line a minute, however many messages"
        # And it is a device like any other again.
        flooder, connects = scene.flooders[0], itertools.count(1_000)
        flooder.connect(site.broker, username="evil")
        wait_for("the flooder is heard again", lambda: is_taken(flooder, hello(flooder, next(connects))))


# How fast everybody is heard meanwhile is for bench/floods to measure: here it is that they are, and what the broker takes.
@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_of_fifty_clients_costs_themselves_only(tmp_path, keys, kind):
    with Site(tmp_path, keys, quiet=True, options=options_for(kind)) as site:
        scene = Scene(site, [f"{FLOODER}-{number}" for number in range(FLOODERS)])
        with ExitStack() as stack:
            # Connections cost memory of Mosquitto's own: it is idle when all of them are there.
            floods = scene.flood(kind)
            idle = site.broker.memory_kb()
            for flood in floods:
                stack.enter_context(flood)
            peak = peak_memory_kb(site, scene, floods, BIG.get(kind, SMALL))
        peak = max(peak, site.broker.memory_kb())
        assert peak - idle <= MEMORY_KB_MAX, f"{idle} KB became {peak} KB"


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
