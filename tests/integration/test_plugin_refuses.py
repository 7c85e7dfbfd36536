"""What the plugin lets nobody retain, and its answers to the operator."""

import json
import random
import time

import pytest
from harness import forge
from harness.operator import Refused
from harness.site import Site
from harness.topics import manifest_topic

GROUP, PRODUCT = "test/line", "test-box"
TOPIC = manifest_topic(GROUP, PRODUCT)


@pytest.fixture(scope="module")
def site(tmp_path_factory, keys):
    with Site(tmp_path_factory.mktemp("site"), keys) as made:
        made.publish("1.0")
        yield made


def retained(site, topic) -> list[bytes]:
    with site.broker.client("retained-reader") as client:
        client.subscribe(topic)
        return [packet.payload for packet in client.drain() if packet.retained]


@pytest.fixture(scope="module")
def good(site) -> bytes:
    found = retained(site, TOPIC)
    assert len(found) == 1
    return found[0]


def publish(site, envelope: bytes) -> list[dict]:
    """Publishes a manifest that must be refused, and returns the `refused` statuses that come back."""
    with site.broker.client(f"op-test{random.randrange(10**6)}") as client:
        client.subscribe("instar/v1/r/+/status")
        client.drain()
        client.publish(TOPIC, envelope, qos=1, retain=True)
        statuses: list[dict] = []
        while not statuses:
            message = client.next_message()
            assert message is not None, "no status `refused`"
            statuses = [status for packet in (message, *client.drain()) if (status := json.loads(packet.payload))["state"] == "refused"]
        return statuses


def changed(site, good, *keys, **changes) -> bytes:
    value = forge.unflat("manifest", forge.payload_of(good)) | {"sequence": 1000} | changes
    return forge.seal(forge.MANIFEST, forge.flat("manifest", value), *(keys or [forge.Key.load(site.keys.release)]))


@pytest.mark.parametrize("code,make", [
    ("untrusted_key", lambda site, good: changed(site, good, forge.Key.random())),
    ("untrusted_key", lambda site, good: changed(site, good, forge.Key.load(site.keys.gate))),
    ("bad_signature", lambda site, good: good[:-1] + bytes([good[-1] ^ 1])),
    ("expired", lambda site, good: changed(site, good, issued_ms=1, expires_ms=int(time.time() * 1000) - 1)),
    ("stale", lambda site, good: changed(site, good, sequence=1, release="0.9")),
    ("refused", lambda site, good: changed(site, good, groups=["other/line"])),
], ids=["unknown-key", "gate-key", "flipped-bit", "expired", "older-sequence", "another-group"])
def test_bad_manifest_is_not_retained(site, good, code, make):
    statuses = publish(site, make(site, good))
    assert retained(site, TOPIC) == [good]
    assert len(statuses) == 1, statuses
    assert statuses[0]["code"] == code or statuses[0]["code"] == {"untrusted_key": 5, "bad_signature": 4, "expired": 6, "stale": 7,
                                                                  "refused": 14}[code]
    assert len(statuses[0]["reason"]) > 10


def test_flipped_bits_are_never_retained(site, good):
    dice = random.Random(3)
    with site.broker.client("op-flipper") as client:
        for at in range(len(good)):
            flipped = bytearray(good)
            flipped[at] ^= 1 << dice.randrange(8)
            client.publish(TOPIC, bytes(flipped), qos=1, retain=True)
    assert retained(site, TOPIC) == [good]


def test_manifest_whose_packs_were_not_uploaded(site, good):
    tree = site.tree("nowhere", changed_bytes=1000)
    pack = forge.Pack(forge.read_folder(tree))
    container = {"name": "app", "artifact": forge.hash_value(pack.artifact)}
    statuses = publish(site, changed(site, good, artifacts=[pack.value()], containers=[container]))
    assert retained(site, TOPIC) == [good]
    assert len(statuses) == 1 and "pack" in statuses[0]["reason"]


def test_publisher_refuses_to_sign_with_a_key_that_devices_would_refuse(site):
    with pytest.raises(Refused) as refused:
        site.operator.publish("9.0", site.tree("9.0"), key=site.keys.gate)
    assert refused.value.code == 5


def test_hand_made_index_has_the_same_name_as_the_packer_s(site):
    """The tests' own writer of indexes and the program's agree to the byte."""
    tree = site.tree("same")
    artifact = json.loads((site.operator.pack(tree) / "artifact.json").read_text())
    pack = forge.Pack(forge.read_folder(tree))
    assert pack.artifact.hex() in json.dumps(artifact)
