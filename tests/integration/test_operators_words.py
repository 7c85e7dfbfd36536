"""An operator's instructions to a rollout and to devices: approve, pause, abort, retry, revert, groups from afar; and that `instar plan` is right."""

import pytest
from harness.operator import Refused, health
from harness.process import wait_for
from harness.site import Site


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def two_devices(site: Site, **options):
    devices = [site.add_device(name, **options) for name in ("first", "second")]
    site.wait_for_counts(site.publish("1.0"), {"committed": 2})
    return devices


def events(site: Site, rollout: str) -> list[str]:
    return [event["what"] for event in site.operator.ask("rollout", "history", rollout)["events"]]


def wait_for_state(site: Site, rollout: str, state: str) -> dict:
    return wait_for(f"rollout {rollout} is {state}: {site.operator.rollout(rollout)}",
                    lambda: (shown := site.operator.rollout(rollout))["state"] == state and shown, interval_s=0.3)


def test_a_wave_waits_for_approval_and_a_rollout_is_taken_back(site):
    first, second = two_devices(site)
    rollout = site.publish("2.0", options=("--wave", f"{first.id}:approval", "--revert-allowed"))
    first.wait_for_release("2.0")
    shown = site.wait_for_counts(rollout, {"committed": 1, "waiting": 1})
    assert shown["wave"] == 1 and "approval" in shown["waits_for"]
    assert second.release == "1.0"
    with pytest.raises(Refused, match="wave"):
        site.operator.ask("rollout", "approve", rollout, "--wave", "2")

    site.operator.ask("rollout", "approve", rollout)
    site.wait_for_counts(rollout, {"committed": 2})
    site.operator.ask("rollout", "revert", rollout)
    shown = site.wait_for_counts(rollout, {"rolled_back": 2})
    assert shown["state"] == "reverted" and shown["reasons"][0]["reason"] == "taken back by its rollout"
    for device in (first, second):
        assert device.release == "1.0"
        assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
    happened = events(site, rollout)
    assert [what for what in happened if what.startswith(("approved", "taken back"))] == ["approved wave 1", "taken back"], happened
    site.wait_for_counts(site.publish("3.0"), {"committed": 2})


def test_a_release_that_does_not_allow_it_is_not_taken_back(site):
    two_devices(site)
    rollout = site.publish("2.0")
    site.wait_for_counts(rollout, {"committed": 2})
    with pytest.raises(Refused, match="revert"):
        site.operator.ask("rollout", "revert", rollout)
    assert site.counts(rollout) == {"committed": 2}


def test_failures_pause_it_and_retry_costs_no_byte(site):
    """What was wrong was not the release: the operator puts it right and says retry."""
    first, second = two_devices(site)
    tree = site.tree("2.0", changed_bytes=200_000)
    app = {"name": "app", "artifact": str(site.operator.pack(tree)), "init": ["/sbin/service"],
           "volumes": [{"name": "data", "path": "/var/lib/data"}],
           "health": health("/bin/ls", "/var/lib/data/licence", settle="500ms", interval="100ms")}
    rollout = site.operator.publish("2.0", tree, containers=[app],
                                    options=("--wave", first.id, "--max-failures", "1", "--on-failure", "pause"))["rollout"]
    shown = wait_for_state(site, rollout, "paused")
    assert site.counts(rollout) == {"rolled_back": 1, "waiting": 1}, shown
    assert "licence" in shown["reasons"][0]["reason"]
    assert first.release == second.release == "1.0"
    sent = site.broker.bytes_sent(first.id)

    for device in (first, second):
        folder = device.state_dir / "volumes/data"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "licence").write_text("paid\n")
    site.operator.ask("rollout", "retry", rollout)
    site.operator.ask("rollout", "resume", rollout)
    site.wait_for_counts(rollout, {"committed": 2})
    assert site.broker.bytes_sent(first.id) == sent, "the attempt that failed had brought it all"


def test_paused_nobody_begins_and_aborted_nobody_ever_does(site):
    first, second = two_devices(site)
    rollout = site.publish("2.0", options=("--wave", f"{first.id}:approval"))
    site.wait_for_counts(rollout, {"committed": 1, "waiting": 1})
    site.operator.ask("rollout", "pause", rollout)
    site.operator.ask("rollout", "approve", rollout)
    assert site.operator.rollout(rollout)["state"] == "paused"
    # A device that starts again receives the gate of the broker once more.
    second.restart()
    wait_for("it is back", lambda: site.operator.device(second.id)["boot"] == 2 and site.operator.device(second.id)["online"])
    assert second.release == "1.0"
    site.operator.ask("rollout", "abort", rollout)
    shown = wait_for_state(site, rollout, "aborted")
    assert (first.release, second.release) == ("2.0", "1.0"), shown
    with pytest.raises(Refused, match="aborted"):
        site.operator.ask("rollout", "resume", rollout)
    site.wait_for_counts(site.publish("3.0"), {"committed": 2})


def test_groups_from_afar(site):
    first, second = two_devices(site)
    signed = ("--root", str(site.keys.root), "--key", str(site.keys.release))
    site.operator.ask("devices", "group", first.id, "--groups", "hall/b", *signed)
    wait_for("it is in its new group", lambda: site.operator.device(first.id)["groups"] == ["hall/b"])
    tree = {group["group"]: group["devices"] for group in site.operator.ask("groups")["groups"]}
    assert tree["hall/b"] == 1 and tree["test/line"] == 1

    site.wait_for_counts(site.publish("2.0", groups=["hall/b"]), {"committed": 1})
    assert (first.release, second.release) == ("2.0", "1.0")
    # The instruction is kept when the client starts again, and is withdrawn in the same way as it was given.
    first.restart()
    wait_for("it is back", lambda: site.operator.device(first.id)["boot"] == 2 and site.operator.device(first.id)["online"])
    assert site.operator.device(first.id)["groups"] == ["hall/b"]
    site.operator.ask("devices", "group", first.id, "--clear", *signed)
    wait_for("its own configuration counts again", lambda: site.operator.device(first.id)["groups"] == ["test/line"])
    site.wait_for_counts(site.publish("3.0"), {"committed": 2})


def test_the_plan_is_what_it_then_costs(site):
    first, _ = two_devices(site)
    tree = site.tree("2.0", changed_bytes=100_000)
    path = site.operator.describe("2.0", site.operator.pack(tree))
    signed = ("--root", str(site.keys.root), "--key", str(site.keys.release))
    planned = site.operator.ask("plan", str(path), *signed, "--wave", first.id)
    group = planned["plan"]["groups"][0]
    assert (group["devices"], group["waves"], group["refusals"]) == (2, [1, 1], [])
    (packs,) = group["packs"]
    assert packs["pack"] == "delta" and packs["exact"] and packs["devices"] == 2
    assert site.operator.rollouts()["rollouts"][0]["release"] == "1.0", "nothing was sent"

    shown = site.wait_for_counts(site.operator.publish("2.0", tree, options=("--wave", first.id))["rollout"], {"committed": 2})
    delta = planned["deltas"]["bases"][0]["delta_bytes"]
    assert shown["bytes_sent"] == 2 * delta
    # Beside the packs: the manifest, and a gate for each wave.
    assert delta < packs["bytes_each_max"] < delta + planned["manifest_bytes"] + 1_000
