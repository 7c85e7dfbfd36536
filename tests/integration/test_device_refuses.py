"""What a device does with statements and content that are wrong, from a broker that would send it anything.

The broker here is a plain Mosquitto without the plugin: what stands in its place is written by hand, and checks nothing.
"""

import os
import random
import re
import time
from pathlib import Path

import pytest
from harness import forge
from harness.broker import Broker
from harness.device import Device
from harness.fake_service import COMMITTED, FAILED, REFUSED, FakeService
from harness.process import HANGS_S, wait_for
from harness.topics import manifest_topic
from harness.trees import fingerprint, make_tree

GROUP, PRODUCT = "test/line", "test-box"
BAD_SIGNATURE, UNTRUSTED_KEY, EXPIRED, STALE, CORRUPT, UNSUPPORTED, RULE, MALFORMED, TOO_LARGE = 4, 5, 6, 7, 9, 12, 14, 2, 3


class World:
    """A device that runs release 1 well, and a service that can send what a broker must not send."""

    def __init__(self, folder, keys, name):
        self.folder, self.keys = folder, keys
        self.signer, self.gate_key = forge.Key.load(keys.release), forge.Key.load(keys.gate)
        self.good = forge.Pack(forge.read_folder(make_tree(folder / "tree", "1.0")))
        self.broker = Broker(folder / "broker", plugin=False).start()
        self.service = FakeService(self.broker.port, gate_key=self.gate_key, root=keys.root)
        self.sequence = 0
        self.device = Device(folder / "device", name, self.broker.port, keys.root).start()
        rollout = self.offer(self.good)
        self.service.wait_for_step({COMMITTED}, rollout)
        self.pid = self.device.container_pid("app")
        self.revision = fingerprint(self.device.state_dir / "revisions/1/artifacts")
        self.outside = self.names_outside()
        assert self.pid > 0 and self.revision

    def close(self):
        self.device.clean_up()
        self.service.__exit__()
        self.broker.stop()

    def names_outside(self):
        """Everything near the device that is none of its own folder, and places where an escape would land."""
        return {str(p) for p in self.folder.rglob("*") if self.device.state_dir not in (p, *p.parents)
                and not p.is_relative_to(self.broker.folder)}

    def manifest(self, pack, **changes) -> dict:
        return {
            "product": PRODUCT, "release": f"{self.sequence}.0", "sequence": self.sequence, "issued_ms": int(time.time() * 1000),
            "groups": [GROUP], "artifacts": [pack.value()], "policy": {"salt": [1, 2, 3]},
            "containers": [{"name": "app", "artifact": forge.hash_value(pack.artifact), "init": ["/sbin/service"],
                            "health": {"settle_ms": 300, "probe": {"command": ["/sbin/probe"], "interval_ms": 100, "timeout_ms": 1000 * HANGS_S}}}],
        } | changes

    def offer(self, pack, *, signer=None, **changes) -> bytes:
        self.sequence += 1
        envelope = forge.seal(forge.MANIFEST, forge.flat("manifest", self.manifest(pack, **changes)), signer or self.signer)
        return self.service.offer(envelope, group=GROUP, product=PRODUCT, sequence=changes.get("sequence", self.sequence), packs=[pack])

    def check_refused(self, code, reason, *, rollout=None, steps=(REFUSED, FAILED), since=0):
        """A report with this code and reason came, the log has it too, and nothing else happened."""
        def found():
            for report in self.service.reports[since:]:
                if report["step"] in steps and report["code"] == code and re.search(reason, report.get("reason", ""), re.I):
                    return report
            return None
        try:
            report = wait_for(f"a report with code {code} that says {reason}", found)
        except AssertionError as error:
            came = [(r["step"], r["code"], r.get("reason")) for r in self.service.reports[since:]]
            raise AssertionError(f"{error}; came: {came}; log: {self.device.log_text()[-1500:]}") from error
        wait_for(f"the log says {reason}", lambda: re.search(reason, self.device.log_text(), re.I))
        if rollout is not None:
            assert bytes(report["rollout"]["bytes"]) == rollout
        self.check_untouched()

    def check_untouched(self):
        assert self.device.container_pid("app") == self.pid
        assert self.device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
        assert self.device.release == "1.0"
        assert fingerprint(self.device.state_dir / "revisions/1/artifacts") == self.revision
        assert self.names_outside() == self.outside
        assert list(self.folder.rglob("*escaped*")) == []
        assert not Path("/tmp/instar-escaped").exists() and not Path("/tmp/escaped").exists()


@pytest.fixture(scope="module")
def world(tmp_path_factory, keys):
    made = World(tmp_path_factory.mktemp("world"), keys, f"r{os.getpid()}")
    yield made
    made.close()


# --- statements ----------------------------------------------------------------------------------
def test_wrong_key(world):
    fetched, since = world.service.bytes_sent, len(world.service.reports)
    world.offer(world.good, signer=forge.Key.random())
    world.check_refused(UNTRUSTED_KEY, "key", since=since)
    assert world.service.bytes_sent == fetched


def test_gate_key_does_not_sign_releases(world):
    since = len(world.service.reports)
    world.offer(world.good, signer=world.gate_key)
    world.check_refused(UNTRUSTED_KEY, "key", since=since)


def test_one_flipped_bit_anywhere(world):
    world.sequence += 1
    envelope = forge.seal(forge.MANIFEST, forge.flat("manifest", world.manifest(world.good)), world.signer)
    dice, fetched = random.Random(7), world.service.bytes_sent
    fetches = len(world.service.fetches)
    topic = manifest_topic(GROUP, PRODUCT)
    # Every byte of the frame, some of the rest.
    for at in [*range(84), *range(84, len(envelope), 9)]:
        flipped = bytearray(envelope)
        flipped[at] ^= 1 << dice.randrange(8)
        world.service.send(topic, bytes(flipped), retain=True)
    since = len(world.service.reports)
    flipped = bytearray(envelope)
    flipped[-1] ^= 1
    world.service.send(topic, bytes(flipped), retain=True)
    world.check_refused(BAD_SIGNATURE, "signature", since=since)
    assert (world.service.bytes_sent, len(world.service.fetches)) == (fetched, fetches)


def test_expired(world):
    since = len(world.service.reports)
    rollout = world.offer(world.good, issued_ms=int(time.time() * 1000) - 9000, expires_ms=int(time.time() * 1000) - 1000)
    world.check_refused(EXPIRED, "expire", rollout=rollout, since=since)


def test_older_sequence(world):
    since = len(world.service.reports)
    rollout = world.offer(world.good, release="0.9", sequence=1)
    world.check_refused(STALE, "sequence|older", rollout=rollout, since=since)


def test_for_another_group(world):
    since = len(world.service.reports)
    world.offer(world.good, groups=["other/line"])
    world.check_refused(RULE, "group", since=since)


def test_setting_with_power_over_the_host(world):
    since = len(world.service.reports)
    container = world.manifest(world.good)["containers"][0] | {"settings": [{"key": "lxc.mount.entry", "value": "/ host none bind"}]}
    rollout = world.offer(world.good, containers=[container])
    world.check_refused(RULE, "lxc.mount.entry", rollout=rollout, since=since)


def test_for_another_architecture(world):
    since = len(world.service.reports)
    rollout = world.offer(world.good, requirements={"architectures": ["pdp11"]})
    world.check_refused(UNSUPPORTED, "architecture|pdp11", rollout=rollout, since=since)


# --- content -------------------------------------------------------------------------------------
def hostile(world, *entries: forge.Entry) -> forge.Pack:
    """The good tree with further entries, whatever they say; its packs and hashes are right."""
    return forge.Pack(sorted([*world.good.entries, *entries], key=lambda e: e.path.encode().replace(b"/", b"\0")))


@pytest.mark.parametrize("code,reason,entries", [
    (MALFORMED, r"\.\.", [forge.Entry("../escaped", 1, 0o644, b"x")]),
    (MALFORMED, r"\.\.", [forge.Entry("usr/../../escaped", 1, 0o644, b"x")]),
    (MALFORMED, "absolute", [forge.Entry("/tmp/instar-escaped", 1, 0o644, b"x")]),
    (RULE, "leads out", [forge.Entry("usr/out", 2, target="../../escaped")]),
    (MALFORMED, "not a folder", [forge.Entry("usr/way", 2, target="/tmp"), forge.Entry("usr/way/escaped", 1, 0o644, b"x")]),
    (MALFORMED, "not an earlier file", [forge.Entry("usr/zlink", 3, 0, target="../../etc/passwd")]),
    (RULE, "device", [forge.Entry("dev/mem", 4, 0o666)]),
], ids=["parent", "parent-inside", "absolute", "symlink-out", "below-a-symlink", "hardlink-out", "device-node"])
def test_hostile_index(world, code, reason, entries):
    since = len(world.service.reports)
    rollout = world.offer(hostile(world, *entries))
    world.check_refused(code, reason, rollout=rollout, since=since)


def test_chunk_that_does_not_match_its_hash(world):
    since = len(world.service.reports)
    pack = hostile(world, forge.Entry("usr/share/new", 1, 0o644, os.urandom(5000)))
    right = pack.body[-1].sent
    pack.body[-1].sent = right[:-1] + bytes([right[-1] ^ 1])
    rollout = world.offer(pack)
    world.check_refused(CORRUPT, "chunk", rollout=rollout, since=since)


def test_chunk_that_decodes_to_far_more_than_it_says(world):
    since = len(world.service.reports)
    pack = hostile(world, forge.Entry("usr/share/bomb", 1, 0o644, os.urandom(100)))
    pack.body[-1].codec, pack.body[-1].sent = forge.ZSTD, forge.compress(bytes(64 * 1024 * 1024))
    pack.body[-1].encoded_bytes = len(pack.body[-1].sent)
    pack.seal_up()
    rollout = world.offer(pack)
    world.check_refused(CORRUPT, "chunk", rollout=rollout, since=since)
    assert world.device.process.memory_kb("VmHWM") < 64 * 1024


def test_chunk_that_says_it_decodes_to_far_more_than_allowed(world):
    since = len(world.service.reports)
    pack = hostile(world, forge.Entry("usr/share/huge", 1, 0o644, os.urandom(100)))
    pack.body[-1].decoded_bytes = 512 * 1024 * 1024
    pack.seal_up()
    rollout = world.offer(pack)
    world.check_refused(TOO_LARGE, "decoded size", rollout=rollout, since=since)


# --- and after all that --------------------------------------------------------------------------
def test_good_release_still_gets_in(world):
    tree = make_tree(world.folder / "tree", "2.0")
    rollout = world.offer(forge.Pack(forge.read_folder(tree)))
    report = world.service.wait_for_step({COMMITTED}, rollout)
    assert report["bytes_fetched"] > 0
    assert world.device.ask("app", "/bin/cat", "/www/version") == "2.0\n"
