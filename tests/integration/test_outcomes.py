"""What came of a rollout, in the words of the programs: each outcome, that it stays, and what operators are told before and after."""

import os
import subprocess

import pytest
from harness.operator import Refused, health
from harness.process import HANGS_S, INSTAR, wait_for
from harness.site import Site

TOO_MUCH = {"free_min": 1 << 60}  # no device has as much room


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def say(site: Site, *arguments: str, ends_with: int = 0) -> str:
    """What a person reads, of both outputs."""
    done = subprocess.run([str(INSTAR), *arguments], capture_output=True, text=True, timeout=HANGS_S, stdin=subprocess.DEVNULL,
                          env=os.environ | {"INSTAR_BROKER": f"mqtt://127.0.0.1:{site.broker.port}"})
    assert done.returncode == ends_with, done.stdout + done.stderr
    return done.stdout + done.stderr


def publish_and_wait(site: Site, release: str, *, ends_with: int, **changes: object) -> str:
    path = site.operator.describe(release, site.operator.pack(site.tree(release)), **changes)
    return say(site, "publish", str(path), "--key", str(site.keys.release), "--root", str(site.keys.root), "--wait", ends_with=ends_with)


def known(site: Site, count: int) -> None:
    wait_for(f"the broker knows {count} devices", lambda: len(site.operator.ask("devices", "list")["devices"]) == count)


def test_everyone_took_it_and_that_stays_so(site):
    device = site.add_device("one")
    known(site, 1)
    words = publish_and_wait(site, "1.0", ends_with=0)
    assert "complete; 1 of 1 device has committed" in words.splitlines()[-1]
    (rollout,) = site.operator.rollouts()["rollouts"]
    assert (rollout["state"], rollout["outcome"]) == ("complete", "complete")
    with pytest.raises(Refused, match="has ended .complete."):
        site.operator.ask("rollout", "abort", "1.0")
    device.stop()
    site.operator.ask("devices", "forget", device.id)
    shown = site.operator.rollout(rollout["rollout"])
    assert (shown["state"], shown["outcome"], shown["devices"]) == ("complete", "complete", 0)


def test_some_did_not_take_it_and_may_try_again(site):
    good, bad = site.add_device("good"), site.add_device("bad")
    known(site, 2)
    site.wait_for_counts(site.publish("1.0"), {"committed": 2})
    (good.state_dir / "volumes/data").mkdir(parents=True, exist_ok=True)
    (good.state_dir / "volumes/data/licence").write_text("paid\n")
    app = {"name": "app", "artifact": str(site.operator.pack(site.tree("2.0"))), "init": ["/sbin/service"],
           "volumes": [{"name": "data", "path": "/var/lib/data"}],
           "health": health("/bin/ls", "/var/lib/data/licence", settle="500ms", interval="100ms")}
    words = publish_and_wait(site, "2.0", ends_with=7, containers=[app]).splitlines()
    rollout = site.operator.rollouts()["rollouts"][0]["rollout"]
    ending = [line for line in words if line.startswith((f"rollout {rollout}: ", "reason: ", "next: "))]
    assert ending[-4] == f"rollout {rollout}: complete with failures; 1 of 2 devices has committed, 1 rolled back", words
    assert "licence" in ending[-3] and ending[-3].endswith("(1 device)")
    assert ending[-2].startswith(f"next: instar rollout show {rollout} --devices")
    assert ending[-1].startswith(f"next: instar rollout retry {rollout}")
    assert "complete with failures" in say(site, "rollout", "list") and "complete with failures" in say(site, "rollout", "show", "2.0")

    (bad.state_dir / "volumes/data").mkdir(parents=True, exist_ok=True)
    (bad.state_dir / "volumes/data/licence").write_text("paid\n")
    assert "may try again" in say(site, "rollout", "retry", "2.0")
    site.wait_for_counts(rollout, {"committed": 2})
    wait_for("all of them took it", lambda: site.operator.rollout(rollout)["outcome"] == "complete")


def test_nobody_took_it(site):
    site.add_device("one")
    known(site, 1)
    words = publish_and_wait(site, "1.0", ends_with=7, requirements=TOO_MUCH)
    assert "nobody took it; 0 of 1 device have committed, 1 refused it" in words and "reason: no_space" in words
    assert "1 of 1" not in say(site, "rollout", "show", "1.0")


def test_a_newer_release_takes_over_what_an_absent_device_keeps_open(site):
    here, away = site.add_device("here"), site.add_device("away")
    site.wait_for_counts(site.publish("1.0"), {"committed": 2})
    away.stop()
    older = site.publish("2.0")
    site.wait_for_counts(older, {"committed": 1, "waiting": 1})
    newer = site.publish("3.0")
    shown = site.operator.rollout(older)
    assert (shown["state"], shown["outcome"], shown["superseded_by"]) == ("superseded", "superseded", newer)
    assert f"superseded by rollout {newer}" in say(site, "rollout", "watch", "2.0", ends_with=7)
    for verb in ("pause", "resume", "abort", "revert", "retry"):
        assert f"rollout {newer} has taken over" in say(site, "rollout", verb, "2.0", ends_with=4)
    away.start()
    site.wait_for_counts(newer, {"committed": 2})
    wait_for("the newer one is complete", lambda: site.operator.rollout(newer)["outcome"] == "complete")
    assert site.operator.rollout(older)["state"] == "superseded" and here.release == away.release == "3.0"


def test_a_name_that_was_used_and_a_group_that_nobody_is_in(site):
    site.add_device("one")
    known(site, 1)
    site.wait_for_counts(first := site.publish("1.0"), {"committed": 1})
    with pytest.raises(Refused, match="was published before, as rollout .* with other content.*--again"):
        site.operator.publish("1.0", site.tree("other", changed_bytes=10_000))
    second = site.operator.publish("1.0", site.tree("other"), options=("--again",))["rollout"]
    site.wait_for_counts(second, {"committed": 1})
    assert f"means the newest of 2 rollouts: {second}" in say(site, "rollout", "show", "1.0")
    assert site.operator.rollout(first)["content"] != site.operator.rollout(second)["content"]

    with pytest.raises(Refused, match=r"no known device of product test-box is in test/lin; groups with test-box: test/line \(1\); did you mean test/line"):
        site.publish("2.0", groups=["test/lin"], ask=True)
    assert len(site.operator.rollouts()["rollouts"]) == 2, "nothing was sent"
    assert site.publish("2.0", groups=["test/lin"])


def test_a_wave_by_count_before_the_devices_are_known(site):
    """One may begin, whoever comes; the others when it has committed and an operator approves."""
    policy = {"waves": [{"count": 1, "approval": True}]}
    rollout = site.publish("1.0", policy=policy)
    devices = [site.add_device(name) for name in ("one", "two", "three")]
    site.wait_for_counts(rollout, {"committed": 1, "waiting": 2})
    wait_for("the others ask", lambda: site.operator.rollout(rollout)["asking"] == 2)
    assert sorted(device.release or "" for device in devices) == ["", "", "1.0"]
    site.operator.ask("rollout", "approve", rollout)
    site.wait_for_counts(rollout, {"committed": 3})
