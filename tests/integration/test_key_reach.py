"""How far a key reaches: one that is limited to a plant moves no device of another, and uses up nobody else's numbers; and what ends it."""

import json
import shutil
import time

import pytest
from harness import forge
from harness.operator import Keys, Refused, run
from harness.process import HANGS_S, wait_for
from harness.site import Site
from harness.topics import manifest_topic

PREFIX = "instar/v1"
NEVER_MS = 253402300799000  # the year 9999


class Plants:
    """A root document that names one key for all, one of plant-7 and below, and one of exactly plant-7."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = Keys(folder / "keys")
        self.first = self.keys.root
        self.versions = 1
        for name, filter_ in (("limited", "plant-7/#"), ("exact", "plant-7")):
            run(["keygen", str(folder / name)])
            self.next_root("--add-release-key", str(folder / name / "release.pub"), "--release-groups", filter_)
        self.limited, self.exact = (forge.Key.load(folder / name / "release.key") for name in ("limited", "exact"))

    def next_root(self, *change: str):
        self.versions += 1
        out = self.folder / f"root-{self.versions}.instar"
        run(["root", "new-version", str(self.keys.root), "-o", str(out), "--key", str(self.keys.folder / "root.key"), *change])
        self.keys.root = out
        return out


@pytest.fixture
def plants(tmp_path) -> Plants:
    return Plants(tmp_path)


@pytest.fixture
def site(tmp_path, plants):
    with Site(tmp_path / "site", plants.keys) as made:
        made.operator.group = "plant-9"
        yield made


def offer(site: Site, base: dict, key: forge.Key, topic_group: str, groups: list[str], sequence: int, release: str) -> tuple[str, str]:
    """A manifest signed by hand: what the broker says of it, its state and its code."""
    manifest = base | {"groups": groups, "sequence": sequence, "release": release, "issued_ms": int(time.time() * 1000)}
    envelope = forge.seal(forge.MANIFEST, forge.flat("manifest", manifest), key)
    rollout = forge.digest(forge.payload_of(envelope))[:8].hex()
    with site.broker.client("op-by-hand") as client:
        client.subscribe(f"{PREFIX}/r/{rollout}/status")
        client.publish(manifest_topic(topic_group), envelope, qos=1, retain=True)
        status = json.loads(client.next_message().payload)
    return status["state"], status.get("code", "")


def retained(site: Site, topic: str) -> bytes:
    with site.broker.client("op-reader") as client:
        client.subscribe(topic)
        return client.next_message().payload


def groups_of(site: Site, device) -> list[str]:
    return site.operator.device(device.id)["groups"]


def test_a_limited_key_moves_no_device_of_another_plant(site, plants):
    device = site.add_device("far", groups="plant-9/line-a")
    device.wait_until_up()
    wait_for("the broker knows the device", lambda: any(row["device"] == device.id for row in site.operator.ask("devices", "list")["devices"]))
    move = ("devices", "group", device.id, "--root", str(plants.keys.root), "--key")
    with pytest.raises(Refused, match="would leave group plant-9/line-a"):
        site.operator.ask(*move, str(plants.folder / "limited" / "release.key"), "--groups", "plant-7/line-x")

    topic = f"{PREFIX}/d/{device.id}/assign"
    good = forge.Key.load(plants.keys.release)

    def assignment(key: forge.Key, groups: list[str], issued_ms: int) -> bytes:
        return forge.seal(6, forge.flat("assignment", {"device": device.id, "groups": groups, "issued_ms": issued_ms}), key)

    now = int(time.time() * 1000)
    with site.broker.client("op-by-hand") as client:
        client.publish(topic, assignment(plants.limited, ["plant-7/line-x"], now), qos=1, retain=True)
        client.publish(topic, assignment(good, ["plant-7/line-x"], NEVER_MS), qos=1, retain=True)  # by a key for all, too
    for reason in ("would leave it", "ahead of this broker's clock"):
        wait_for(f"the broker says `{reason}`", lambda: reason in site.broker.log_text())
    assert groups_of(site, device) == ["plant-9/line-a"]

    # Who may sign for both moves it, and nobody stands in the way of taking that back.
    site.operator.ask(*move, str(plants.keys.release), "--groups", "plant-7/line-x")
    wait_for("the device is there", lambda: groups_of(site, device) == ["plant-7/line-x"])
    site.operator.ask(*move, str(plants.keys.release), "--clear")
    wait_for("its own configuration counts again", lambda: groups_of(site, device) == ["plant-9/line-a"])

    # An older one is a replay, at the broker already.
    with site.broker.client("op-by-hand") as client:
        client.publish(topic, assignment(good, ["plant-7/line-x"], now), qos=1, retain=True)
    wait_for("the broker says why", lambda: "is in force: sign it again" in site.broker.log_text())
    assert groups_of(site, device) == ["plant-9/line-a"]


def test_a_limited_key_uses_up_its_own_numbers_alone(site, plants):
    near, far = site.add_device("near", groups="plant-7/line-a"), site.add_device("far", groups="plant-9/line-a")
    site.wait_for_counts(site.publish("1.0", groups=["plant-7", "plant-9"]), {"committed": 2})
    base = forge.unflat("manifest", forge.payload_of(retained(site, manifest_topic("plant-7"))))
    assert offer(site, base, plants.limited, "plant-7", ["plant-7", "plant-9"], 2, "both") == ("refused", "untrusted_key")
    assert offer(site, base, plants.exact, "plant-7/line-a", ["plant-7/line-a"], 2, "below") == ("refused", "untrusted_key")
    assert offer(site, base, plants.limited, "plant-7", ["plant-7"], 2**64 - 1, "last") == ("refused", "refused")
    assert offer(site, base, plants.limited, "plant-7", ["plant-7"], 1 + 1_000_001, "far") == ("refused", "refused")

    # A key of exactly plant-7 reaches no device of plant-7/line-a.
    state, _ = offer(site, base, plants.exact, "plant-7", ["plant-7"], 2, "by-the-exact-key")
    assert state != "refused"
    wait_for("the device says why", lambda: "which is for plant-7 alone" in near.log_text())
    assert near.release == "1.0"

    # As far as it goes: a million at a time, in its own plant.
    assert offer(site, base, plants.limited, "plant-7", ["plant-7"], 1_000_000, "ahead")[0] != "refused"
    near.wait_for_release("ahead")
    assert offer(site, base, plants.limited, "plant-7", ["plant-7"], 1_900_000, "further")[0] != "refused"
    near.wait_for_release("further")
    rollout = site.publish("2.0", groups=["plant-9"])
    assert site.operator.rollout(rollout)["sequence"] == 2
    site.wait_for_counts(rollout, {"committed": 1})
    assert far.release == "2.0"

    # The key is taken out: its numbers count no more, at the broker and on the device.
    site.operator.ask("root", "publish", str(plants.next_root("--remove-key", plants.limited.id.hex())))
    wait_for("the device starts over", lambda: near.status().get("highest_sequence", -1) < 1_000_000)
    rollout = site.publish("3.0", groups=["plant-7", "plant-9"])
    assert site.operator.rollout(rollout)["sequence"] == 3
    near.wait_for_release("3.0")
    far.wait_for_release("3.0")
    assert near.status()["highest_sequence"] == 3


def test_after_a_lost_store_the_next_release_goes_above_what_devices_have(site):
    device = site.add_device("kept", groups="plant-9/line-a")
    for release in ("1.0", "2.0", "3.0"):
        site.wait_for_counts(site.publish(release), {"committed": 1})
    site.broker.stop()
    shutil.rmtree(site.broker.folder / "store")
    (site.broker.folder / "mosquitto.db").unlink(missing_ok=True)
    site.broker.start()
    wait_for("the device is back", lambda: any(row["device"] == device.id and row["online"]
                                               for row in site.operator.ask("devices", "list")["devices"]), HANGS_S)
    rollout = site.publish("4.0")
    assert site.operator.rollout(rollout)["sequence"] == 4
    site.wait_for_counts(rollout, {"committed": 1})
    assert device.release == "4.0"
