"""kill -9 of the broker, again and again while a fleet takes a release in waves: nothing is lost, nothing counts twice, no wave opens twice.

INSTAR_KILLS and INSTAR_FLEET say how often and how many devices (200 and 1000: make bench-fleet KILLS=200)."""

import os
import random
import time

from harness.fleet import Fleet, FleetRelease, all_devices
from harness.operator import Refused
from harness.process import wait_for
from harness.site import Site

KILLS = int(os.environ.get("INSTAR_KILLS", "12"))
DEVICES = int(os.environ.get("INSTAR_FLEET", "120"))


def finished(site: Site, rollout: str) -> int:
    """How many devices have come to an end, as the broker has it; -1 while it does not answer."""
    try:
        counts = site.operator.rollout(rollout)["counts"]
    except Refused:
        return -1
    return counts["committed"] + counts["rolled_back"]


def waits_for_approval(site: Site, rollout: str) -> bool:
    return "approval" in (site.operator.rollout(rollout).get("waits_for") or "")


def test_reports_and_waves_survive_every_kill(tmp_path, keys):
    with Site(tmp_path, keys, quiet=True) as site:
        # The last wave opens when the broker has been killed often enough, however slow that is, and however fast the rollout.
        waves = [f"{DEVICES // 20}:success=50%,soak=1s,quorum=1%", "20%:success=50%,soak=1s,quorum=1%", "60%:success=50%,quorum=1%,approval"]
        # Few at a time, where many kills are to find the rollout under way.
        in_flight = max(min(DEVICES // 8, 2 * DEVICES // KILLS), 4)
        release = FleetRelease(site, changed_bytes=60_000, waves=waves, in_flight_max=in_flight)
        rollout = release.publish()
        fleet = Fleet(release, DEVICES, rollout, fail_percent=10).start()
        try:
            seed = random.Random(4711)
            kills = 0
            approved = False
            while kills < KILLS and fleet.is_running():
                # By progress where there is some, so that the moments lie all over the rollout, however fast the machine is.
                before, patience = finished(site, rollout), time.monotonic() + seed.uniform(0.2, 1.5)
                want = before + seed.randint(0, max(1, DEVICES // KILLS))
                while finished(site, rollout) < want and time.monotonic() < patience and fleet.is_running():
                    time.sleep(seed.uniform(0.01, 0.2))
                site.broker.kill()
                kills += 1
                site.broker.start()
                if kills > KILLS // 4 and not approved and waits_for_approval(site, rollout):
                    site.operator.ask("rollout", "approve", rollout)
                    approved = True
            if not approved:
                wait_for("the last wave waits for approval", lambda: waits_for_approval(site, rollout))
                site.operator.ask("rollout", "approve", rollout)
            result = fleet.wait()
        finally:
            fleet.stop()
        assert result["done"], result
        assert result["corrupt_chunks"] == 0 and result["wave_contradictions"] == 0 and result["pending_reports"] == 0
        status = site.operator.rollout(rollout)
        assert status["counts"]["committed"] == result["running"]["2.0"]
        assert status["counts"]["rolled_back"] == DEVICES - result["running"]["2.0"]
        assert status["state"] == "complete" and status["wave"] == status["waves_total"] == 4
        applied = {row["device"]: row["applied_sequence"] for row in all_devices(site.operator)}
        assert applied == result["last_reports"], "the broker has applied what each device has said, no more and no less"
        opened = [event["what"] for event in site.operator.ask("rollout", "history", rollout)["events"] if event["what"].startswith("opened wave")]
        assert [what.split(":")[0] for what in opened] == [f"opened wave {wave} of 4" for wave in (1, 2, 3, 4)], "each once"
        print(f"{kills} kills, {DEVICES} devices, {result['seconds']:.0f} s, {result['reports']} reports sent, {sum(applied.values())} applied")
        assert kills > KILLS // 4
