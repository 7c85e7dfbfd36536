"""Packs at the broker: what nothing needs can go, what somebody needs stays, and a broker that is killed meanwhile goes on with it."""

import struct

import pytest
from harness.operator import Refused
from harness.paper_device import PaperDevice
from harness.process import BUILD, wait_for
from harness.site import Site

SLOW_FSYNC = BUILD / "bench/slow_fsync.so"
POSITION = 5  # says where the transfer stands, and is no fault


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys, quiet=True) as made:
        yield made


def packs(site: Site) -> dict[str, dict]:
    return {row["pack"]: row for row in site.operator.ask("packs", "list")["packs"]}


def of_rollout(site: Site, rollout: str) -> set[str]:
    return {pack for pack, row in packs(site).items() if rollout in row["rollouts"]}


def are_left(site: Site, expected: set[str]) -> bool:
    """Nothing else is there, not even on its way out."""
    return set(packs(site)) == expected


def piece_of(payload: bytes) -> tuple[int, int]:
    """(fault, bytes of data) of a chunk message, read in place: there are hundreds of them."""
    root, = struct.unpack_from("<I", payload)
    table = root - struct.unpack_from("<i", payload, root)[0]

    def place(field: int) -> int:
        at = 4 + 2 * field
        offset = struct.unpack_from("<H", payload, table + at)[0] if at < struct.unpack_from("<H", payload, table)[0] else 0
        return root + offset if offset else 0

    data, fault = place(3), place(4)
    size = struct.unpack_from("<I", payload, data + struct.unpack_from("<I", payload, data)[0])[0] if data else 0
    return payload[fault] if fault else 0, size


def fetch_whole(device: PaperDevice, session: int, row: dict) -> int:
    """All chunks of a pack, as a device takes them; how many bytes came."""
    window, received = 400_000, 0
    device.fetch(session, bytes.fromhex(row["pack"]), [{"first": 0, "count": row["chunks"]}], window=window, piece=65_536)
    while received < row["bytes"]:
        message = device.client.next_message()
        assert message is not None, f"{received} of {row['bytes']} bytes came"
        if not message.topic.endswith("/chunk"):
            continue
        fault, size = piece_of(message.payload)
        assert fault in (0, POSITION), f"fault {fault} after {received} bytes of {row}"
        if size:
            received += size
            device.fetch(session, None, [], received=received, window=window, piece=65_536)
    return received


def expect_served(site: Site, rollout: str, device: str) -> None:
    """The broker has every chunk of every pack of the rollout."""
    paper = PaperDevice(site.broker, device)
    assert paper.hello().get("code", 0) == 0
    rows = [row for row in packs(site).values() if rollout in row["rollouts"]]
    assert rows
    for session, row in enumerate(rows, 1):
        assert fetch_whole(paper, session, row) == row["bytes"], row


def test_what_nothing_needs_goes_and_the_release_in_force_stays(site):
    first = site.publish("1.0", noise_bytes=300_000, changed_bytes=300_000)
    old = of_rollout(site, first)
    assert {packs(site)[pack]["kind"] for pack in old} == {"full", "dedupe"}
    for pack in old:
        with pytest.raises(Refused) as refused:
            site.operator.ask("packs", "remove", pack[:20])
        assert refused.value.code == 4 and f"needed by rollout {first}" in refused.value.err + refused.value.out

    second = site.publish("2.0", noise_bytes=300_000, changed_bytes=300_000)
    new = of_rollout(site, second)
    assert new and not new & old and not of_rollout(site, first)
    # Between the upload of a pack and its release nothing needs it: what is new stays.
    assert site.operator.ask("packs", "prune")["removed"] == 0
    assert site.operator.ask("packs", "prune", "--unused", "0", "--dry-run")["removed"] == len(old)
    assert are_left(site, old | new)
    gone = min(old)
    assert site.operator.ask("packs", "remove", gone)["removed"] == [gone]
    wait_for("the one that was named is gone", lambda: are_left(site, (old | new) - {gone}))
    assert site.operator.ask("packs", "prune", "--unused", "0")["removed"] == len(old) - 1
    wait_for("the others are gone", lambda: are_left(site, new))
    assert site.operator.ask("packs", "prune", "--unused", "0")["removed"] == 0

    # What both releases have is still there: for a device, and in each pack of the second.
    site.add_device("box")
    site.wait_for_counts(second, {"committed": 1})
    expect_served(site, second, "paper-1")


def test_what_a_device_runs_or_ran_before_is_not_pruned(site):
    device = site.add_device("box")
    of = []
    for release in ("1.0", "2.0", "3.0"):
        rollout = site.publish(release, changed_bytes=100_000)
        site.wait_for_counts(rollout, {"committed": 1})
        of.append(of_rollout(site, rollout))

    def runs() -> tuple[str, str]:
        known = site.operator.device(device.id)
        return tuple((known.get(name) or {}).get("release", "") for name in ("running", "previous"))

    wait_for("the broker knows what it runs, and ran before", lambda: runs() == ("3.0", "2.0"))
    # 3.0 is in force, 2.0 is the revision before it; nobody needs 1.0.
    assert site.operator.ask("packs", "prune", "--unused", "0")["removed"] == len(of[0])
    wait_for("the first release's packs are gone", lambda: are_left(site, of[1] | of[2]))


def test_a_broker_killed_while_packs_go_goes_on_with_it(site):
    options = {"noise_bytes": 1_000_000, "changed_bytes": 10_000_000}
    first = site.publish("1.0", **options)
    old = of_rollout(site, first)
    second = site.publish("2.0", **options)
    new = of_rollout(site, second)
    # Each write takes so long that the kill comes between two of them.
    site.broker.stop()
    site.broker.environment.update({"LD_PRELOAD": str(SLOW_FSYNC), "INSTAR_FSYNC_US": "300000"})
    site.broker.start()
    assert site.operator.ask("packs", "prune", "--unused", "0")["removed"] == len(old)
    site.broker.kill()
    site.broker.start()
    # It was promised, and is not served any more, however little of it is deleted.
    assert all(packs(site).get(pack, {"state": "removing"})["state"] == "removing" for pack in old)
    site.broker.kill()
    site.broker.environment.clear()
    site.broker.start()
    wait_for("what was promised is gone", lambda: are_left(site, new))
    assert all(row["state"] == "complete" for row in packs(site).values())
    expect_served(site, second, "paper-1")
    # And it can come again: the broker asks for what it lacks.
    third = site.operator.publish("3.0", site.folder / "trees/1.0")
    assert third["uploaded_bytes"] > 0
    expect_served(site, third["rollout"], "paper-2")
    # Also in the middle of its removal: `publish` waits until it is gone.
    assert site.operator.ask("packs", "prune", "--unused", "0")["removed"] == len(new)
    fourth = site.operator.publish("4.0", site.folder / "trees/2.0")
    assert fourth["uploaded_bytes"] > 0
    expect_served(site, fourth["rollout"], "paper-3")
