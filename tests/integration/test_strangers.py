"""Reports, hellos and fetches of devices that a rollout is not for: they move nothing, and get nothing."""

import pytest
from harness import forge
from harness.paper_device import PaperDevice, size
from harness.process import wait_for
from harness.site import Site
from harness.topics import manifest_topic

GROUP = "test/line"
HUGE = 2**64 - 1


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def manifest_of(site) -> bytes:
    """The envelope that stands on the group's topic."""
    with site.broker.client("manifest-reader") as client:
        client.subscribe(manifest_topic(GROUP))
        message = client.next_message()
        assert message is not None, "no manifest is retained"
        return message.payload


def stranger(site) -> PaperDevice:
    device = PaperDevice(site.broker, "toaster-1", group="evil/corner", product="toaster")
    assert device.hello()["code"] == 0
    return device


@pytest.mark.parametrize("action", ["pause", "abort", "revert"])
def test_failures_that_strangers_report_spend_no_budget(site, action):
    policy = {"error_budget": {"failures": 1, "action": action}, "revert_allowed": True}
    rollout = site.publish("1.0", policy=policy)
    toaster = stranger(site)
    hash_ = forge.digest(forge.payload_of(manifest_of(site)))
    for number, step in enumerate(("fetching", "failed", "rolled_back"), 1):
        assert toaster.report(number, hash_, step, code=15, reason="it is bad, believe me", attempt=number)["sequence"] == number
    shown = site.operator.rollout(rollout)
    assert (shown["state"], shown["cause"], shown["devices"]) == ("active", "", 0)
    assert "are not those of the rollout (product test-box)" in site.broker.log_text()


def test_strangers_neither_open_a_wave_nor_add_to_sums(site):
    policy = {"waves": [{"devices": ["gw-01"], "success": "100%"}, {"share": "100%"}]}
    known = PaperDevice(site.broker, "gw-01", group=GROUP)
    assert known.hello()["code"] == 0
    rollout = site.publish("1.0", policy=policy)
    hash_ = forge.digest(forge.payload_of(manifest_of(site)))
    absurd = {"bytes_full": HUGE, "bytes_fetched": HUGE, "bytes_planned": HUGE, "downtime_ms": 2**32 - 1}
    stranger(site).report(1, hash_, "committed", **absurd)
    late = PaperDevice(site.broker, "gw-02", group=GROUP)
    assert late.hello()["code"] == 0
    late.report(1, hash_, "committed", **absurd)
    shown = site.operator.rollout(rollout)
    assert shown["wave"] == 1 and shown["waves"][0]["committed"] == 0
    assert shown["bytes_full"] < 2**32, "no more than the packs have"
    known.report(1, hash_, "committed")
    wait_for("the wave opens for the device that was known", lambda: site.operator.rollout(rollout)["wave"] == 2)


def test_one_that_comes_in_the_first_wave_spends_no_budget_in_the_second(site):
    known = [PaperDevice(site.broker, name, group=GROUP) for name in ("gw-01", "gw-02")]
    for device in known:
        assert device.hello()["code"] == 0
    policy = {"waves": [{"devices": ["gw-01"]}, {"share": "100%"}], "error_budget": {"failures": 1, "action": "abort"}}
    rollout = site.publish("1.0", policy=policy)
    hash_ = forge.digest(forge.payload_of(manifest_of(site)))
    late = PaperDevice(site.broker, "gw-03", group=GROUP)
    assert late.hello()["code"] == 0
    known[0].report(1, hash_, "committed")
    wait_for("the second wave opens", lambda: site.operator.rollout(rollout)["wave"] == 2)
    assert late.report(1, hash_, "failed", code=15, reason="it is bad, believe me")["sequence"] == 1
    shown = site.operator.rollout(rollout)
    assert (shown["state"], shown["cause"]) == ("active", "")
    assert (shown["waves"][1]["late"], shown["waves"][1]["failed"]) == (1, 0)
    known[1].report(1, hash_, "failed", code=15, reason="so it is")
    wait_for("the budget is spent by one that was known", lambda: site.operator.rollout(rollout)["state"] == "aborted")


def test_a_stranger_is_served_nothing_whatever_rollout_it_names(site):
    rollout = site.publish("1.0", noise_bytes=300_000, policy={"rollout_bytes_max": "2M"})
    manifest = forge.unflat("manifest", forge.payload_of(manifest_of(site)))
    pack = next(p for p in manifest["artifacts"][0]["packs"] if p["kind"] == "full")
    pack_id = bytes(pack["id"]["bytes"])
    toaster, named = stranger(site), int.from_bytes(bytes.fromhex(rollout), "little")
    for session, prefix in enumerate((named, 0, 12345), 1):
        value = {"session": session, "received_bytes": 0, "window_bytes": 524288, "piece_bytes_max": 98304,
                 "ranges": [{"first": 0, "count": 1}], "pack": forge.hash_value(pack_id), "rollout": prefix}
        toaster.client.publish(f"{toaster.prefix}/fetch", forge.flat("fetch", value))
        message = toaster.client.next_message()
        assert message is not None and message.topic.endswith("/chunk")
        assert forge.unflat("chunk", message.payload)["fault"] == "not_offered"
    owner = PaperDevice(site.broker, "gw-01", group=GROUP)
    owner.hello()
    owner.fetch(1, pack_id, [{"first": 0, "count": 1}], window=400_000, piece=32_768)
    chunk_bytes = pack["head"][0]["encoded_bytes"]
    assert size(owner.pieces(chunk_bytes)) == chunk_bytes
    wait_for("they count against the rollout", lambda: site.operator.rollout(rollout)["bytes_sent"] == chunk_bytes)
    assert site.broker.bytes_sent(toaster.id) == 0
