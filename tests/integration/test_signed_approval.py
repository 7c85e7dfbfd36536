"""Approval as a signed word: no wave behind one that asks for it opens without it, at an honest broker and at one in bad hands."""

import time

import pytest
from harness import forge
from harness.broker import Broker
from harness.device import Device
from harness.fake_service import COMMITTED, FakeService
from harness.operator import Keys, Refused, run
from harness.process import HANGS_S, wait_for
from harness.site import Site
from harness.topics import gate_topic
from harness.trees import make_tree

SIGNED = "an operator's signed approval"


def approve(site: Site, rollout: str, key, *options: str) -> dict:
    return site.operator.ask("rollout", "approve", rollout, "--key", str(key), *options)


def retained_gate(site: Site) -> dict:
    with site.broker.client("gate-reader") as client:
        client.subscribe(gate_topic(site.operator.group))
        return forge.unflat("gate", forge.payload_of(client.next_message().payload))


def first_wave_done(site: Site, release: str):
    """Two devices, of which the first has taken the release; the rollout waits for its approval."""
    first, second = (site.add_device(name) for name in ("first", "second"))
    site.wait_for_counts(site.publish("1.0"), {"committed": 2})
    rollout = site.publish(release, options=("--wave", f"{first.id}:approval", "--approval", "signed"))
    shown = site.wait_for_counts(rollout, {"committed": 1, "waiting": 1})
    assert (shown["wave"], shown["waits_for"], shown["approval_signed"]) == (1, SIGNED, True), shown
    return second, rollout


# --- an honest broker ------------------------------------------------------------------------------
def test_a_wave_opens_by_a_signed_word_alone(tmp_path, keys):
    with Site(tmp_path / "site", keys) as site:
        second, rollout = first_wave_done(site, "2.0")
        with pytest.raises(Refused, match="asks for a signed approval"):
            site.operator.ask("rollout", "approve", rollout)
        run(["keygen", str(tmp_path / "stranger")])
        for key in (tmp_path / "stranger/release.key", keys.gate):
            with pytest.raises(Refused, match="untrusted_key"):
                approve(site, rollout, key)
        with pytest.raises(Refused, match="asks for no approval"):
            approve(site, rollout, keys.release, "--wave", "2")
        shown = site.operator.rollout(rollout)
        assert (shown["wave"], shown["waits_for"]) == (1, SIGNED), shown
        assert second.release == "1.0" and "approval" not in retained_gate(site)

        # By name: what is signed for is the manifest that stands on the topic.
        assert approve(site, "2.0", keys.release)["waves"][0]["approved"] is True
        site.wait_for_counts(rollout, {"committed": 2})
        assert second.release == "2.0"
        gate = retained_gate(site)
        assert (gate["wave"], len(gate["approval"]) > 0) == (1, True)
        yes = forge.unflat("approval", forge.payload_of(bytes(gate["approval"])))
        assert bytes(yes["manifest"]["bytes"])[:8].hex() == rollout and yes["wave"] == 0

        site.broker.restart()
        assert retained_gate(site)["approval"] == gate["approval"]


def test_the_role_approve_takes_it_over(tmp_path):
    keys = Keys(tmp_path / "keys")
    run(["keygen", str(tmp_path / "approver")])
    second_root = tmp_path / "root-2.instar"
    run(["root", "new-version", str(keys.root), "-o", str(second_root), "--key", str(keys.folder / "root.key"),
         "--add-approve-key", str(tmp_path / "approver/release.pub")])
    with Site(tmp_path / "site", keys) as site:
        second, rollout = first_wave_done(site, "2.0")
        site.operator.ask("root", "publish", str(second_root))
        with pytest.raises(Refused, match="untrusted_key"):
            approve(site, rollout, keys.release)
        approve(site, rollout, tmp_path / "approver/release.key")
        site.wait_for_counts(rollout, {"committed": 2})
        assert second.release == "2.0"


# --- a broker in bad hands: a Mosquitto without the plugin, and the gate key -------------------------
class Taken:
    """A device that runs 1.0; everything else comes from somebody who has the gate key and no other."""

    GROUP, PRODUCT = "test/line", "test-box"

    def __init__(self, folder, keys, name):
        self.signer, self.gate_key = forge.Key.load(keys.release), forge.Key.load(keys.gate)
        self.broker = Broker(folder / "broker", plugin=False).start()
        self.service = FakeService(self.broker.port, gate_key=self.gate_key, root=keys.root)
        self.device = Device(folder / "device", name, self.broker.port, keys.root).start()
        self.folder, self.issue = folder, 100
        old = self.pack("1.0")
        self.service.wait_for_step({COMMITTED}, self.offer(old, 1, {}, gate=True))

    def close(self):
        self.device.clean_up()
        self.service.__exit__()
        self.broker.stop()

    def pack(self, release: str) -> forge.Pack:
        return forge.Pack(forge.read_folder(make_tree(self.folder / "trees" / release, release)))

    def offer(self, pack, sequence: int, policy: dict, *, gate: bool = False) -> bytes:
        manifest = {
            "product": self.PRODUCT, "release": f"{sequence}.0", "sequence": sequence, "issued_ms": int(time.time() * 1000),
            "groups": [self.GROUP], "artifacts": [pack.value()], "policy": {"salt": [1, 2, 3]} | policy,
            "containers": [{"name": "app", "artifact": forge.hash_value(pack.artifact), "init": ["/sbin/service"],
                            "health": {"settle_ms": 300, "probe": {"command": ["/sbin/probe"], "interval_ms": 100,
                                                                   "timeout_ms": 1000 * HANGS_S}}}],
        }
        envelope = forge.seal(forge.MANIFEST, forge.flat("manifest", manifest), self.signer)
        return self.service.offer(envelope, group=self.GROUP, product=self.PRODUCT, sequence=sequence, packs=[pack], gate=gate)

    def open_wave(self, wave: int, rollout: bytes, sequence: int, approval: bytes = b"") -> None:
        """`wave`: from 1. All before it open with it."""
        self.issue += 1
        now = int(time.time() * 1000)
        gate = {"group": self.GROUP, "product": self.PRODUCT, "manifest": forge.hash_value(rollout), "sequence": sequence, "state": 0,
                "admitted_bp": 10000, "wave": wave - 1, "fresh_ms": now, "wave_opened_ms": [now] * wave, "issue": self.issue}
        if approval:
            gate["approval"] = list(approval)
        self.service.send(gate_topic(self.GROUP, self.PRODUCT), forge.seal(forge.GATE, forge.flat("gate", gate), self.gate_key), retain=True)

    def approval(self, rollout: bytes, wave: int, key: forge.Key) -> bytes:
        return forge.seal(forge.APPROVAL, forge.flat("approval", {
            "product": self.PRODUCT, "manifest": forge.hash_value(rollout), "wave": wave, "issued_ms": int(time.time() * 1000)}), key)

    def wait_for_refusal(self, rollout: bytes, reason: str) -> None:
        def told():
            return any(reason in report.get("reason", "") and bytes(report["rollout"]["bytes"]) == rollout for report in self.service.reports)
        wait_for(f"a report that says '{reason}'; came: {[r.get('reason') for r in self.service.reports]}; "
                 f"the device's log is {self.device.process.log}", told)


@pytest.fixture
def taken(tmp_path, keys, name):
    made = Taken(tmp_path, keys, name)
    yield made
    made.close()


def test_a_gate_that_skips_the_approval_is_not_obeyed(taken):
    policy = {"approval_signed": True, "waves": [{"devices": ["somebody-else"], "approval": True}, {"share_bp": 10000}]}
    new = taken.pack("2.0")
    earlier = taken.offer(new, 2, policy)
    rollout = taken.offer(new, 3, policy)
    fetched = len(taken.service.fetches)

    taken.open_wave(2, rollout, 3)
    taken.wait_for_refusal(rollout, "opens wave 2 without a signed approval: not obeyed")
    taken.open_wave(2, rollout, 3, taken.approval(rollout, 0, taken.gate_key))
    taken.wait_for_refusal(rollout, "which may not sign this")
    taken.open_wave(2, rollout, 3, taken.approval(earlier, 0, taken.signer))
    taken.wait_for_refusal(rollout, f"the approval is of rollout {earlier[:8].hex()}")
    good = bytearray(taken.approval(rollout, 0, taken.signer))
    good[-1] ^= 1
    taken.open_wave(2, rollout, 3, bytes(good))
    taken.wait_for_refusal(rollout, "does not verify")
    assert len(taken.service.fetches) == fetched and taken.device.release == "1.0"

    taken.open_wave(2, rollout, 3, taken.approval(rollout, 0, taken.signer))
    taken.service.wait_for_step({COMMITTED}, rollout)
    assert taken.device.release == "3.0"


def test_the_approval_of_an_earlier_wave_opens_no_later_one(taken):
    policy = {"approval_signed": True, "waves": [{"devices": ["one"], "approval": True}, {"devices": ["two"], "approval": True},
                                                 {"share_bp": 10000}]}
    rollout = taken.offer(taken.pack("2.0"), 2, policy)
    taken.open_wave(3, rollout, 2, taken.approval(rollout, 0, taken.signer))
    taken.wait_for_refusal(rollout, "it is of wave 1, that of wave 2 is needed")
    assert taken.device.release == "1.0"
    taken.open_wave(3, rollout, 2, taken.approval(rollout, 1, taken.signer))
    taken.service.wait_for_step({COMMITTED}, rollout)
    assert taken.device.release == "2.0"
