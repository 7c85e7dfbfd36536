"""Clocks that are wrong: of a broker, of whoever holds its gate key, of a device. No one of them lasts, and a device checks by its own what it can."""

import time

import pytest
from harness import forge
from harness.broker import Broker
from harness.clock import DAY_S, YEAR_S, WrongClock
from harness.device import Device
from harness.fake_service import COMMITTED, PREFIX, REFUSED, WAITING, FakeService
from harness.process import wait_for
from harness.site import Site
from harness.topics import gate_topic, manifest_topic
from harness.trees import make_tree

GROUP, PRODUCT = "test/line", "test-box"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
CANARY = {"waves": [{"devices": ["another-device"], "soak_s": 86_400}, {"share_bp": 10_000}]}


def now_ms() -> int:
    return int(time.time() * 1000)


class World:
    """A broker in bad hands, played by hand, and a device whose clock a test can set."""

    def __init__(self, folder, keys, name, **settings):
        self.signer, self.gate_key, self.root_key = (forge.Key.load(keys.folder / f"{role}.key") for role in ("release", "gate", "root"))
        self.root = keys.root.read_bytes()
        self.pack = forge.Pack(forge.read_folder(make_tree(folder / "tree", "1.0")))
        self.broker = Broker(folder / "broker", plugin=False).start()
        self.service = FakeService(self.broker.port, gate_key=self.gate_key, root=keys.root)
        self.service.packs[self.pack.id] = self.pack
        self.clock = WrongClock(folder / "clock")
        # What the kernel says of its clock is not the same on each machine.
        self.device = Device(folder / "device", name, self.broker.port, keys.root, settings={"clock": "free"} | settings)
        self.sequence, self.issue = 0, 0

    def close(self) -> None:
        self.device.clean_up()
        self.service.__exit__()
        self.broker.stop()

    def start(self) -> None:
        self.device.start(self.clock.environment)

    def set_clock(self, off_s: float) -> None:
        """The kernel tells the device when its clock is set; this one is set behind the kernel's back, so that any message must wake it."""
        self.clock.set(off_s)
        self.service.send(f"{PREFIX}/root", self.root)

    def manifest(self, policy=None, **changes) -> bytes:
        """Retains the next release; its hash."""
        self.sequence += 1
        value = {
            "product": PRODUCT, "release": f"{self.sequence}.0", "sequence": self.sequence, "issued_ms": now_ms(), "groups": [GROUP],
            "artifacts": [self.pack.value()], "policy": {"salt": [self.sequence]} | (policy or {}),
            "containers": [{"name": "app", "artifact": forge.hash_value(self.pack.artifact), "init": ["/sbin/service"],
                            "health": {"settle_ms": 200}}],
        } | changes
        envelope = forge.seal(forge.MANIFEST, forge.flat("manifest", value), self.signer)
        self.service.send(manifest_topic(GROUP, PRODUCT), envelope, retain=True)
        return forge.digest(forge.payload_of(envelope))

    def gate(self, rollout: bytes, **changes) -> bytes:
        self.issue += 1
        now = now_ms()
        value = {
            "group": GROUP, "product": PRODUCT, "manifest": forge.hash_value(rollout), "sequence": self.sequence, "state": 0, "admitted_bp": 10000,
            "fresh_ms": now, "wave_opened_ms": [now], "issue": self.issue,
        } | changes
        envelope = forge.seal(forge.GATE, forge.flat("gate", value), self.gate_key)
        self.service.send(gate_topic(GROUP, PRODUCT), envelope, retain=True)
        return envelope

    def reason(self, step: int, rollout: bytes) -> str:
        return self.service.wait_for_step({step}, rollout).get("reason", "")

    def takes(self, rollout: bytes) -> None:
        self.service.wait_for_step({COMMITTED}, rollout)

    def has_taken(self, rollout: bytes) -> bool:
        return any(bytes(report["rollout"]["bytes"]) == rollout and report["step"] == COMMITTED for report in self.service.reports)


@pytest.fixture
def world(tmp_path, keys, name):
    made = World(tmp_path, keys, name)
    yield made
    made.close()


# --- a gate key in bad hands ----------------------------------------------------------------------
def test_a_soak_that_lies_before_the_release_is_refused(world):
    world.start()
    rollout = world.manifest(CANARY)
    issued = now_ms()
    world.gate(rollout, wave=1, wave_opened_ms=[issued - DAY_MS + 1000, issued + 1000], fresh_ms=issued + 2000)
    wait_for("the device says so", lambda: any("before the release was made" in report.get("reason", "") for report in world.service.reports))
    assert not world.has_taken(rollout)


def test_a_soak_that_lies_ahead_is_waited_for_in_truth(world):
    world.start()
    rollout = world.manifest(CANARY)
    issued = now_ms()
    world.gate(rollout, wave=1, wave_opened_ms=[issued, issued + DAY_MS + 1000], fresh_ms=issued + DAY_MS + 2000)
    assert "the gate says wave 2 opened at" in world.reason(WAITING, rollout)
    wait_for("the device's owner can read it", lambda: "ahead of this device's clock" in world.device.status().get("waits", ""))
    assert not world.has_taken(rollout)
    # A day later, as far as this device knows.
    world.set_clock(DAY_S)
    world.takes(rollout)


def test_a_synchronized_device_obeys_no_gate_that_is_signed_ahead_of_it(world):
    world.device.settings["clock"] = "trusted"
    world.start()
    rollout = world.manifest()
    world.gate(rollout, fresh_ms=now_ms() + YEAR_S * 1000)
    assert "the gate says it was signed at" in world.reason(WAITING, rollout)
    world.gate(rollout)
    world.takes(rollout)


def test_a_pause_outlasts_all_other_gates(world):
    world.start()
    rollout = world.manifest()
    opened = now_ms()
    open_gate = world.gate(rollout, issue=4, state=1)
    world.gate(rollout, issue=5, state=1)
    wait_for("the device has the pause", lambda: world.device.status().get("last_signed", 0) >= opened)
    for number in range(120):
        other = forge.digest(b"rollout %d" % number)
        world.gate(other, sequence=1000 + number)
    replayed = forge.unflat("gate", forge.payload_of(open_gate)) | {"state": 0, "issue": 4}
    world.service.send(gate_topic(GROUP, PRODUCT), forge.seal(forge.GATE, forge.flat("gate", replayed), world.gate_key), retain=True)
    wait_for("the replay is refused", lambda: "is older (issue 4) than one heard before (5)" in world.device.log_text())
    assert not world.has_taken(rollout)


def test_a_stale_gate_is_waited_for(world):
    world.start()
    rollout = world.manifest({"stale_after_s": 3600}, issued_ms=now_ms() - 3 * HOUR_MS)
    then = now_ms() - 2 * HOUR_MS
    world.gate(rollout, wave_opened_ms=[then], fresh_ms=then)
    assert "waits for a newer gate" in world.reason(WAITING, rollout)
    world.gate(rollout, wave_opened_ms=[then])
    world.takes(rollout)


# --- clocks of devices ----------------------------------------------------------------------------
def test_a_device_without_a_clock_takes_what_expires(world):
    world.device.settings["clock"] = "none"
    world.clock.set_to("1970-01-02")
    world.start()
    rollout = world.manifest(expires_ms=now_ms() + 90 * DAY_MS)
    world.gate(rollout)
    world.takes(rollout)
    assert world.device.status()["clock"] == {"state": "none", "synchronized": False, "credible": False}
    # By the gate of that very release it has expired: the only clock that this device has heard of.
    expired = world.manifest(expires_ms=now_ms() + HOUR_MS)
    world.gate(expired, fresh_ms=now_ms() + 2 * HOUR_MS)
    assert "by the broker's gate" in world.reason(REFUSED, expired)
    following = world.manifest(expires_ms=now_ms() + HOUR_MS)
    world.gate(following)
    world.takes(following)


def test_what_a_clock_years_ahead_refuses_is_taken_when_it_is_put_right(world):
    world.clock.set_to("2090-01-02")
    world.start()
    rollout = world.manifest(expires_ms=now_ms() + 90 * DAY_MS)
    world.gate(rollout)
    assert "it is 2090-01-02 00:0" in (reason := world.reason(REFUSED, rollout)) and "by this device's own clock (not synchronized)" in reason
    world.set_clock(0)
    world.takes(rollout)


def test_an_expired_root_document_lets_nothing_new_begin(world):
    world.start()
    first = world.manifest()
    world.gate(first)
    world.takes(first)
    document = forge.unflat("root", forge.payload_of(world.root))

    def put_root(version: int, before: bytes, **changes) -> bytes:
        value = document | {"version": version, "previous": forge.hash_value(forge.digest(before)), "issued_ms": now_ms()} | changes
        payload = forge.flat("root", value)
        world.service.send(f"{PREFIX}/root", forge.seal(forge.ROOT, payload, world.root_key), retain=True)
        return payload

    second = put_root(2, forge.payload_of(world.root), issued_ms=now_ms() - DAY_MS, expires_ms=now_ms() - HOUR_MS)
    wait_for("the second root document is in force", lambda: "root document 2 is in force" in world.device.log_text())
    rollout = world.manifest()
    world.gate(rollout)
    assert "root document 2 expired on" in world.reason(WAITING, rollout)
    assert world.device.release == "1.0", "what runs goes on"
    put_root(3, second, expires_ms=now_ms() + YEAR_S * 1000)
    world.takes(rollout)


# --- clocks of brokers ----------------------------------------------------------------------------
def test_a_broker_that_was_years_ahead_leaves_nothing_behind(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("box", settings={"clock": "free"})
        site.publish("1.0")
        device.wait_for_release("1.0")
        clock = WrongClock(tmp_path / "clock", 20 * YEAR_S)
        site.broker.stop()
        site.broker.environment = clock.environment
        site.broker.start()
        site.broker.turn()
        site.broker.stop()
        site.broker.environment = {}
        site.broker.start()
        site.publish("2.0", expires="90d")
        device.wait_for_release("2.0")
        window = time.strftime("%a %H:%M 2h", time.localtime(time.time() - 3600))
        site.publish("3.0", policy={"windows": [window]})
        device.wait_for_release("3.0")
        later = time.strftime("%a %H:%M 1h", time.localtime(time.time() + 3 * 3600))
        site.publish("4.0", policy={"windows": [later]})
        wait_for("it waits for its window, by its own clock", lambda: "by this device's clock" in device.status().get("waits", ""))


def test_a_wave_that_a_fast_clock_opened_is_obeyed_when_that_clock_is_right(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        canary = site.add_device("canary", settings={"clock": "free"})
        device = site.add_device("box", settings={"clock": "free"})
        site.broker.stop()
        site.broker.environment = WrongClock(tmp_path / "clock", 3 * 3600).environment
        site.broker.start()
        site.publish("1.0", policy={"waves": [{"devices": [canary.id], "soak": "1s"}, {"share": "100%"}]})
        # Before its wave no soak stands: that the broker's clock is wrong holds it up by nothing.
        canary.wait_for_release("1.0")
        wait_for("the device knows better", lambda: "ahead of this device's clock" in device.status().get("waits", ""))
        site.broker.stop()
        site.broker.environment = {}
        site.broker.start()
        device.wait_for_release("1.0")
