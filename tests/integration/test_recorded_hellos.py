"""Hellos that come again, keys that were taken back, state that was lost, and disks that were cloned."""

import shutil

import pytest
from harness import forge
from harness.device import Device
from harness.operator import Refused
from harness.paper_device import PaperDevice
from harness.process import wait_for
from harness.site import Site

GROUP = "test/line"
UNTRUSTED_KEY, STALE = 5, 7


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def hello_of(device: PaperDevice, boot: int, connect: int, group: str = GROUP) -> bytes:
    return forge.seal(forge.HELLO, forge.flat("hello", {
        "device": device.id, "public_key": list(device.key.public), "product": device.product, "groups": [group], "boot": boot,
        "connect": connect, "pack_formats": [1], "root_version": 1}), device.key)


def say(device: PaperDevice, envelope: bytes) -> dict:
    device.client.publish(f"{device.prefix}/hello", envelope, qos=1)
    return device.await_ack()


def shown(site, device: str) -> dict:
    """As the broker knows it; {} while it does not."""
    try:
        return site.operator.device(device)
    except Refused:
        return {}


def test_a_recorded_hello_does_nothing(site):
    device = PaperDevice(site.broker, "gw-01", group=GROUP)
    recorded = hello_of(device, 1, 1, "old/group")
    assert say(device, recorded)["code"] == 0
    assert say(device, hello_of(device, 9, 7))["code"] == 0
    before = shown(site, "gw-01")
    device.connect(site.broker, username="evil")
    ack = say(device, recorded)
    assert (ack["code"], ack["boot"]) == (STALE, 9), "the device would go on above it"
    after = shown(site, "gw-01")
    assert {key: after[key] for key in ("groups", "boot", "connect", "public_key")} == {
        key: before[key] for key in ("groups", "boot", "connect", "public_key")}
    assert say(device, hello_of(device, 9, 7))["code"] == 0, "the last one, delivered twice"


def test_a_key_that_was_forgotten_does_not_come_back(site):
    old = PaperDevice(site.broker, "gw-01", group=GROUP)
    recorded = hello_of(old, 1, 1)
    assert say(old, recorded)["code"] == 0
    site.operator.ask("devices", "forget", "gw-01")
    old.connect(site.broker, username="evil")
    assert say(old, recorded)["code"] == UNTRUSTED_KEY
    site.broker.restart()
    old.connect(site.broker, username="evil")
    assert say(old, hello_of(old, 2, 1))["code"] == UNTRUSTED_KEY
    wait_for("the log names who came", lambda: "was taken back by an operator" in site.broker.log_text() and
             "user 'evil'" in site.broker.log_text())
    old.client.close()
    fresh = PaperDevice(site.broker, "gw-01", group=GROUP)
    assert fresh.hello()["code"] == 0
    assert shown(site, "gw-01")["public_key"] == fresh.key.public.hex()
    site.operator.ask("devices", "forget", "gw-01", "--allow-key")
    fresh.client.close()
    old.connect(site.broker)
    assert say(old, hello_of(old, 3, 1))["code"] == 0


def test_other_hardware_takes_the_place_and_the_history(site):
    rollout = bytes.fromhex(site.operator.ask("rollout", "show", site.publish("1.0"))["manifest"])
    old = PaperDevice(site.broker, "gw-01", group=GROUP)
    assert old.hello()["code"] == 0
    assert old.report(1, rollout, "fetching")["sequence"] == 1
    fresh_key = forge.Key.random()
    site.operator.ask("devices", "replace", "gw-01", "--key-id", fresh_key.id.hex())
    assert old.hello(connect=2)["code"] == UNTRUSTED_KEY
    old.client.close()
    other = PaperDevice(site.broker, "gw-01", group=GROUP)
    assert other.hello()["code"] == UNTRUSTED_KEY, "another key was named"
    other.client.close()
    fresh = PaperDevice(site.broker, "gw-01", group=GROUP, key=fresh_key)
    ack = fresh.hello()
    assert (ack["code"], ack["sequence"]) == (0, 1), "its reports go on after those of before"
    row = shown(site, "gw-01")
    assert row["public_key"] == fresh_key.public.hex()
    assert len(row["last_reports"]) == 1


def test_a_device_that_lost_its_state_comes_back_by_its_key(site):
    device = site.add_device("box")
    wait_for("the broker knows it", lambda: shown(site, device.id).get("boot") == 1)
    device.restart()
    wait_for("it was started again", lambda: shown(site, device.id).get("boot") == 2)
    device.stop()
    for file in device.state_dir.iterdir():
        if file.is_file() and file.name != "identity.key":
            file.unlink()
    device.start()
    wait_for("its starts go on", lambda: shown(site, device.id).get("boot") == 3)
    assert "its state was lost, or another device has its name and key; going on as start 3" in device.log_text()
    assert not shown(site, device.id)["cloned"], "one device alone is no clone"


def test_a_cloned_disk_is_told(site):
    device = site.add_device("box")
    wait_for("the broker knows it", lambda: shown(site, device.id).get("boot") == 1)
    device.stop()
    clone = Device(site.folder / "clone", device.id, site.broker.port, site.keys.root)
    shutil.copytree(device.state_dir, clone.state_dir, symlinks=True)
    site.devices.append(clone)
    device.start()
    wait_for("the first is there", lambda: shown(site, device.id).get("boot", 0) >= 2)
    clone.start()
    wait_for("two devices are seen", lambda: shown(site, device.id)["cloned"])
    wait_for("the log says so", lambda: f"two devices speak as {device.id} with the same key" in site.broker.log_text())
