"""The plugin as it is shipped, under a device and an operator that are made by hand: restarts, credit, operators, the transfer log."""

import json
import os
import signal

import pytest
from harness import forge
from harness.operator import Refused
from harness.paper_device import PaperDevice, size
from harness.process import wait_for
from harness.site import Site
from harness.topics import gate_topic, manifest_topic
from harness.trees import make_tree

GROUP = "test/line"


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def topics_missing(found: dict[str, bytes]) -> bool:
    return sorted(topic.split("/")[2] + topic.split("/")[-1] for topic in found) != ["gatetest-box", "manifesttest-box", "root1", "rootroot", "rstatus"]


def retained(site) -> dict[str, bytes]:
    with site.broker.client("retained-reader") as client:
        client.subscribe("instar/v1/#")
        found = {}
        while topics_missing(found):
            message = client.next_message()
            assert message is not None, f"only {sorted(found)} are retained"
            found[message.topic] = message.payload
        return found


def command(site, **fields: object) -> dict:
    with site.broker.client("op-command", username=fields.pop("username", None)) as client:
        client.subscribe("$CONTROL/instar/v1/response")
        client.publish("$CONTROL/instar/v1", json.dumps({"commands": [fields]}), qos=1)
        answer = client.next_message()
        assert answer is not None, f"no answer to {fields}"
        return json.loads(answer.payload)["responses"][0]


def manifest_hash(site) -> bytes:
    return forge.digest(forge.payload_of(retained(site)[manifest_topic(GROUP)]))


def pack_of(site) -> tuple[bytes, dict]:
    """The full pack of the manifest that is out."""
    manifest = forge.unflat("manifest", forge.payload_of(retained(site)[manifest_topic(GROUP)]))
    pack = next(p for p in manifest["artifacts"][0]["packs"] if p["kind"] == "full")
    return bytes(pack["id"]["bytes"]), pack


def test_all_that_was_retained_is_back_after_kill_9(site):
    site.publish("1.0")
    before = retained(site)
    for _ in range(2):
        site.broker.kill()
        (site.broker.folder / "mosquitto.db").unlink(missing_ok=True)
        site.broker.start()
        after = retained(site)
        assert sorted(after) == sorted(before)
        for topic in (manifest_topic(GROUP), "instar/v1/root"):
            assert after[topic] == before[topic]
        gates = [forge.unflat("gate", forge.payload_of(r[gate_topic(GROUP)])) for r in (before, after)]
        assert gates[0]["manifest"] == gates[1]["manifest"] and gates[1]["issue"] >= gates[0]["issue"]


def test_report_counts_once_through_kills_of_the_broker(site):
    rollout = site.publish("1.0")
    manifest = manifest_hash(site)
    device = PaperDevice(site.broker, "paper-1", group=GROUP)
    assert device.hello()["code"] == 0
    for sequence, step in enumerate(("fetching", "staging", "trying", "committed"), 1):
        assert device.report(sequence, manifest, step)["sequence"] == sequence
        assert device.report(sequence, manifest, step)["sequence"] == sequence  # sent again: acked again, counted once
        site.broker.kill()
        site.broker.start()
        device.connect(site.broker)
        assert device.hello(connect=sequence + 1, last_sequence=sequence)["sequence"] == sequence
    counts = command(site, command="getRollout", rollout=rollout)["data"]["counts"]
    assert {step: count for step, count in counts.items() if count} == {"committed": 1}


def test_broker_runs_ahead_of_a_device_by_its_window_and_no_more(site):
    site.publish("1.0", noise_bytes=200_000)
    pack, description = pack_of(site)
    count, total = len(description["head"]) + description["body_count"], description["head_bytes"] + description["body_bytes"]
    device = PaperDevice(site.broker, "paper-1", group=GROUP)
    device.hello()
    window, piece_max, seen, received = 150_000, 16_384, [], 0
    device.fetch(1, pack, [{"first": 0, "count": count}], window=window, piece=piece_max)
    while received < total:
        # As much as fits into the window, and what the broker might send beyond it.
        pieces = device.pieces(min(window - piece_max, total - received))
        assert size(pieces) <= window and all(len(piece["data"]) <= piece_max for piece in pieces)
        seen, received = seen + pieces, received + size(pieces)
        device.fetch(1, None, [], received=received, window=window, piece=piece_max)
    assert {piece["ordinal"] for piece in seen} == set(range(count))
    for ordinal in range(count):
        ours = [piece for piece in seen if piece["ordinal"] == ordinal]
        assert [piece["offset"] for piece in ours] == [size(ours[:n]) for n in range(len(ours))]
    assert received == total == sum(t.bytes for t in site.broker.transfers() if t.device == "paper-1")
    assert command(site, command="getDevice", device="paper-1")["data"]["bytes_sent"] == total
    site.broker.restart()
    assert command(site, command="getDevice", device="paper-1")["data"]["bytes_sent"] == total, "a stop saves what was counted"


def test_nothing_is_sent_to_a_device_that_has_left(site):
    site.publish("1.0", noise_bytes=2_000_000)
    pack, _ = pack_of(site)
    device = PaperDevice(site.broker, "paper-1", group=GROUP)
    device.hello()
    device.fetch(1, pack, [{"first": 0, "count": 4}], window=32_768)
    received = size(device.pieces(20_000))
    device.client.close()
    wait_for("the broker knows", lambda: not command(site, command="getDevice", device="paper-1")["data"]["online"])
    sent = site.broker.bytes_sent("paper-1")
    device.connect(site.broker)
    device.fetch(1, None, [], received=received, window=32_768)  # credit for a session that ended with its connection
    device.fetch(2, pack, [{"first": 3, "count": 1}], window=32_768)
    pieces = device.pieces(32_768)
    assert {(piece["session"], piece["ordinal"]) for piece in pieces} == {(2, 3)}
    assert device.positions == [(1, 0xFFFFFFFF, 0)]
    assert site.broker.bytes_sent("paper-1") == sent + size(pieces)


def test_takeover_of_a_client_id_does_not_end_the_newer_session(site):
    site.publish("1.0", noise_bytes=2_000_000)
    pack, _ = pack_of(site)
    device = PaperDevice(site.broker, "paper-1", group=GROUP)
    device.hello()
    old = device.client
    device.connect(site.broker)
    device.hello(connect=2)
    old.close()
    assert command(site, command="getDevice", device="paper-1")["data"]["online"]
    device.fetch(1, pack, [{"first": 0, "count": 1}], window=400_000, piece=32768)
    assert device.pieces()


def test_another_key_under_the_same_name_is_refused(site):
    first = PaperDevice(site.broker, "paper-1", group=GROUP)
    assert first.hello()["code"] == 0
    first.client.disconnect()
    thief = PaperDevice(site.broker, "paper-1", group=GROUP)
    assert thief.hello()["code"] == 5  # untrusted_key
    assert "error" not in command(site, command="forgetDevice", device="paper-1")
    assert thief.hello(connect=2)["code"] == 0


def test_only_operators_publish_and_command_when_they_are_named(tmp_path, keys):
    with Site(tmp_path, keys, options={"operators": "alice,carol"}) as site:
        with site.broker.client("listener", username="carol") as carol:
            carol.subscribe("$CONTROL/instar/v1/response")
            for user in (None, "bob"):
                with site.broker.client("op-command", username=user) as client:
                    client.publish("$CONTROL/instar/v1", json.dumps({"commands": [{"command": "getVersion"}]}), qos=1)
            assert command(site, command="getVersion", username="carol")["data"]["prefix"] == "instar/v1"
            assert len(carol.drain()) == 1, "the other two have no answer"
        for user, reason in (("bob", 0x87), (None, 0x87)):
            with site.broker.client("op-9", username=user, version=5) as client:
                for topic in (f"manifest/{GROUP}/test-box", "root", "o/op-9/put"):
                    assert client.publish_for_reason(f"instar/v1/{topic}", b"x") == reason
        with site.broker.client("listener", username="bob") as bob:
            bob.subscribe("$CONTROL/instar/v1/response")
            command(site, command="getVersion", username="alice")
            assert bob.drain() == []


def test_release_of_a_named_operator_reaches_others_now_later_and_after_restarts(tmp_path, keys):
    """Mosquitto checks the sender of a retained message again whenever it hands it out."""
    with Site(tmp_path, keys, options={"operators": "alice"}) as site:
        release = site.operator.describe("1.0", site.operator.pack(make_tree(tmp_path / "tree", "1.0")))

        def publish(user: str, *options: str) -> dict:
            return site.operator.ask("publish", str(release), "--key", str(keys.release), "--root", str(keys.root), "--username", user, *options)

        with pytest.raises(Refused):
            publish("bob", "--timeout", "5s")  # MQTT 3.1.1 does not say that it was refused: an answer does not come
        publish("alice")
        for stop in (lambda: None, site.broker.stop, site.broker.kill):
            stop()
            if not site.broker.process.is_running():
                site.broker.start()
            assert manifest_topic(GROUP) in retained(site)


def test_transfer_log_follows_logrotate(site):
    site.publish("1.0", noise_bytes=500_000)
    pack, description = pack_of(site)
    device = PaperDevice(site.broker, "paper-1", group=GROUP)
    device.hello()
    device.fetch(1, pack, [{"first": 0, "count": 1}], window=400_000, piece=32768)
    chunk_bytes = description["head"][0]["encoded_bytes"]
    assert size(device.pieces(chunk_bytes)) == chunk_bytes
    log = site.broker.folder / "transfers"
    log.rename(log.with_suffix(".1"))
    os.kill(site.broker.process.pid, signal.SIGHUP)
    wait_for("a new file", log.exists)
    device.fetch(2, pack, [{"first": 0, "count": 1}], window=400_000, piece=32768)
    assert size(device.pieces(chunk_bytes)) == chunk_bytes
    assert site.broker.bytes_sent("paper-1") == chunk_bytes


def test_store_of_another_broker_is_not_touched(site):
    site.publish("1.0")
    from harness.probe import refused_start
    output = refused_start(site.folder / "second", site.broker.configuration().replace(f"listener {site.broker.port}", "listener 0"))
    assert "instar: not started" in output and "store_dir" in output
    assert command(site, command="getVersion")["data"]["rollouts"] == 1


@pytest.mark.parametrize("size", [128 * 1024 + 1, 1_000_000])
def test_over_long_messages_are_refused_whatever_they_are(site, size):
    with site.broker.client("paper-1", version=5) as client:
        for topic in ("d/paper-1/hello", "d/paper-1/report", "d/paper-1/fetch", f"manifest/{GROUP}/test-box", "root", "o/paper-1/put"):
            assert client.publish_for_reason(f"instar/v1/{topic}", b"x" * size) == 0x87
        assert client.ping()
