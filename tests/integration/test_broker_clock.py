"""The broker's own clock: years ahead at the start, set while it runs, far from the operator's. And what an operator sees of clocks."""

import time

import pytest
from harness import forge
from harness.clock import DAY_S, YEAR_S, WrongClock
from harness.operator import Refused
from harness.process import HANGS_S, wait_for
from harness.site import Site
from harness.topics import manifest_topic

GROUP = "test/line"
HOUR_S = 3600
IN_DOUBT = "the broker's clock, which is in doubt"


class Clocked:
    """A site whose broker's clock a test can set, and one device."""

    def __init__(self, folder, keys, off_s: float = 0, **options):
        self.clock = WrongClock(folder / "clock", off_s)
        self.site = Site(folder, keys, options=options)
        self.site.broker.environment = self.clock.environment

    def __enter__(self) -> "Clocked":
        self.site.__enter__()
        self.device = self.site.add_device("box", settings={"clock": "free"})
        return self

    def __exit__(self, *args: object) -> None:
        self.site.__exit__(*args)

    def retained(self, kind: str) -> bytes | None:
        with self.site.broker.client("op-retained") as client:
            client.subscribe(f"instar/v1/{kind}/{GROUP}/test-box")
            found = [packet.payload for packet in client.drain() if packet.retained]
        return found[-1] if found else None

    def gate(self) -> dict | None:
        found = self.retained("gate")
        return forge.unflat("gate", forge.payload_of(found)) if found else None

    def known(self) -> list[str]:
        return [row["device"] for row in self.site.operator.ask("devices", "list")["devices"]]

    def waits_for(self, rollout: str) -> str:
        return self.site.operator.rollout(rollout)["waits_for"]

    def wait_for_log(self, text: str) -> None:
        wait_for(f"the broker logs: {text}", lambda: text in self.site.broker.log_text())


def test_years_ahead_it_signs_nothing_until_it_is_put_right(tmp_path, keys):
    with Clocked(tmp_path, keys) as it:
        it.site.publish("1.0")
        it.device.wait_for_release("1.0")
        before = it.gate()
        it.site.broker.stop()
        it.clock.set(20 * YEAR_S)
        it.site.broker.start()
        it.wait_for_log("the broker's clock is in doubt: it says ")
        said = it.site.operator.rollouts()
        assert said["clock"]["ok"] is False and "after this broker last saw the time" in said["clock"]["reason"]
        assert said["time_ms"] > (time.time() + 19 * YEAR_S) * 1000
        rollout = it.site.publish("2.0", expires="90d")
        wait_for("the release waits for the clock", lambda: IN_DOUBT in it.waits_for(rollout))
        assert it.gate()["issue"] == before["issue"] and it.gate()["manifest"] == before["manifest"]
        it.clock.set(0)
        it.device.wait_for_release("2.0")
        it.wait_for_log("in doubt no more")
        assert it.gate()["fresh_ms"] <= (time.time() + 1) * 1000
        assert it.site.operator.rollouts()["clock"] == {"ok": True, "trusted": False, "reason": ""}


def test_what_is_set_while_it_runs_holds_gates_until_it_is_set_back(tmp_path, keys):
    with Clocked(tmp_path, keys) as it:
        it.site.publish("1.0")
        it.device.wait_for_release("1.0")
        it.clock.set(2 * HOUR_S)
        it.wait_for_log("forward by ")
        rollout = it.site.publish("2.0")
        wait_for("the release waits for the clock", lambda: IN_DOUBT in it.waits_for(rollout))
        assert it.device.release == "1.0"
        it.clock.set(0)
        it.device.wait_for_release("2.0")


def test_an_operator_who_is_ahead_of_it_is_told_and_one_who_agrees_vouches_for_it(tmp_path, keys):
    with Clocked(tmp_path, keys, -2 * HOUR_S) as it:
        with pytest.raises(Refused) as refused:
            it.site.publish("1.0")
        assert refused.value.code == 4
        assert "ahead of the broker's" in refused.value.err and " UTC here, " in refused.value.err
        assert it.site.operator.rollouts()["rollouts"] == []
        # It is put right; that alone is a jump, which nobody could tell from a wrong one.
        it.clock.set(0)
        it.wait_for_log("forward by ")
        it.site.publish("2.0")
        it.device.wait_for_release("2.0")
        it.wait_for_log("in doubt no more")


def test_a_release_that_is_dated_ahead_waits_for_its_time(tmp_path, keys):
    with Clocked(tmp_path, keys, clock="trust") as it:
        it.site.publish("1.0")
        it.device.wait_for_release("1.0")
        before = it.gate()
        value = forge.unflat("manifest", forge.payload_of(it.retained("manifest")))
        value |= {"sequence": value["sequence"] + 1, "release": "2.0", "issued_ms": int((time.time() + HOUR_S) * 1000)}
        envelope = forge.seal(forge.MANIFEST, forge.flat("manifest", value), forge.Key.load(keys.release))
        with it.site.broker.client("op-ahead") as client:
            client.publish(manifest_topic(GROUP), envelope, qos=1, retain=True)
        rollout = forge.digest(forge.payload_of(envelope)).hex()[:16]
        wait_for("the broker has it", lambda: rollout in [row["rollout"] for row in it.site.operator.rollouts()["rollouts"]])
        assert "ahead of the broker's clock" in it.waits_for(rollout)
        assert it.gate()["manifest"] == before["manifest"], "no gate is signed for it"
        it.clock.set(HOUR_S)
        wait_for("its gate is signed", lambda: it.gate()["manifest"] != before["manifest"])
        it.wait_for_log("It is believed all the same")
        assert it.waits_for(rollout) == ""


def test_the_operator_sees_each_devices_clock(tmp_path, keys):
    with Clocked(tmp_path, keys) as it:
        away = it.site.add_device("away", start=False, settings={"clock": "free"})
        away.start(WrongClock(tmp_path / "away-clock", -DAY_S).environment)
        for device, off_s in ((it.device, 0), (away, DAY_S)):
            wait_for("it has said hello", lambda device=device: device.id in it.known())
            shown = it.site.operator.device(device.id)
            assert shown["clock"] == "free"
            assert abs(shown["clock_offset_ms"] / 1000 - off_s) < HANGS_S
            assert abs(shown["time_ms"] / 1000 + off_s - time.time()) < 2 * HANGS_S
