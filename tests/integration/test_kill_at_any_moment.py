"""kill -9 at random moments of a fetch and switch: all ends on the new release, nothing durable is fetched again, the counts agree."""

import hashlib
import random
import threading
import time
from pathlib import Path

import pytest
from harness.process import wait_for
from harness.site import Site, sent_twice

WINDOW = 64 * 1024
RATE = 600_000  # bytes a second, so that a fetch takes some seconds on any machine
CHANGED = 2_500_000
KILLS_A_ROUND_MAX = 40  # of one device: the test must end, and a client may be killed 64 times in one try before it goes back


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def install(site, count):
    """Devices that run 1.0, each behind a slow link."""
    for number in range(count):
        site.add_device(f"d{number}", shaped=True, settings={"window_bytes_max": WINDOW})
    site.wait_for_counts(site.publish("1.0"), {"committed": count})
    for shaper in site.shapers:
        shaper.rate_down = RATE
    return len(site.broker.transfers())


def check_end(site, rollout, count, release="2.0"):
    """All on the new release, and the broker's picture is the devices' own."""
    shown = site.wait_for_counts(rollout, {"committed": count})
    for device in site.devices:
        status = device.status()
        assert status["running"]["release"] == release
        assert device.ask("app", "/bin/cat", "/www/version") == release + "\n"
        seen = site.operator.device(device.id)
        assert seen["running"]["release"] == release
        assert status["running"]["manifest"].startswith(seen["running"]["rollout"])
        assert seen["running"]["sequence"] == status["running"]["sequence"]
    assert sum(shown["counts"].values()) == count


def head_counts(site):
    """For each pack that was made, by its id: how many head chunks come before its body (docs/formats/pack.md)."""
    found = {}
    for path in Path(site.folder).rglob("*.pack"):
        pack = path.read_bytes()
        heads, bodies = (int.from_bytes(pack[at : at + 4], "little") for at in (8, 12))
        directory = pack[: 80 + 41 * (heads + bodies)]
        found[hashlib.blake2b(directory, digest_size=32).hexdigest()] = heads
    return found


def durable_bodies(device):
    """(pack, number in its body) of each chunk that the client's bitmaps say is on disk (docs/formats/staging.md). One of a client that
    lives may be half written; only of a dead one all of it is durable."""
    found = set()
    for path in Path(device.state_dir).glob("revisions/*/artifacts/*/bitmap"):
        try:
            bitmap = path.read_bytes()
        except FileNotFoundError:  # removed meanwhile
            continue
        assert bitmap[:5] == b"INBM\x01" or device.process.is_running()
        pack, bits = bitmap[8:40].hex(), bitmap[40:]
        found |= {(pack, bit) for bit in range(8 * len(bits)) if bits[bit // 8] >> bit % 8 & 1}
    return found


def torment(device, release, dice, kills, durable):
    """Kills the client again and again until the release is committed: by turns once it has come further, so that it does on any machine,
    and whatever it is doing. Notes what was durable at each kill."""
    def is_over() -> bool:
        return (device.status().get("running") or {}).get("release") == release

    held: set = set()
    for number in range(KILLS_A_ROUND_MAX):
        if number % 2 == 0:
            wait_for("the client comes further", lambda: len(durable_bodies(device)) > len(held) or is_over())
        time.sleep(dice.uniform(0.02, 1.2))
        if is_over():
            return
        device.kill()
        kills[device.id] += 1
        held = durable_bodies(device)
        durable.append((device.id, time.time() * 1000, held))
        device.start()


def test_device_killed_twenty_times(site):
    before = install(site, 4)
    dice = random.Random()
    kills = {device.id: 0 for device in site.devices}
    durable = []
    rounds = 0
    while sum(kills.values()) < 20:
        rounds += 1
        assert rounds <= 5, f"only {kills} kills found something to interrupt"
        release = f"{rounds + 1}.0"
        rollout = site.publish(release, changed_bytes=CHANGED)
        threads = [threading.Thread(target=torment, args=(device, release, dice, kills, durable)) for device in site.devices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check_end(site, rollout, 4, release)
    transfers = site.broker.transfers()[before:]
    heads = head_counts(site)
    seen = 0
    for device_id, since_ms, held in durable:
        wanted = {(pack, heads[pack] + number) for pack, number in held}
        sent = [t for t in transfers if t.device == device_id and (t.pack, t.ordinal) in wanted]
        seen += len({(t.pack, t.ordinal) for t in sent if t.unix_ms <= since_ms})
        again = [t for t in sent if t.unix_ms > since_ms]
        assert not again, f"durable before the kill, and fetched again after it: {again[:3]}"
    assert seen > 0, "no kill found a fetched chunk durable: the test shows nothing"
    again = sent_twice(transfers)
    print("kills", kills, "durable chunks at the kills", seen, "bytes sent again", again)
    for device, count in again.items():
        assert count <= kills[device] * WINDOW, f"{device}: {count} bytes again after {kills[device]} kills"


def test_broker_killed_ten_times(site):
    before = install(site, 3)
    dice = random.Random()
    rollout = site.publish("2.0", changed_bytes=CHANGED)
    for number in range(10):
        sent = len(site.broker.transfers())
        if number % 2 == 0:
            wait_for("something more is sent", lambda: len(site.broker.transfers()) > sent or site.counts(rollout) == {"committed": 3})
        time.sleep(dice.uniform(0.1, 0.8))
        site.broker.kill()
        time.sleep(dice.uniform(0, 0.2))
        site.broker.start()
    check_end(site, rollout, 3)
    again = sent_twice(site.broker.transfers()[before:])
    print("bytes sent again", again)
    for device, count in again.items():
        assert count <= 10 * WINDOW, f"{device}: {count} bytes again after 10 kills of the broker"


def test_link_cut_every_few_hundred_kilobytes(site):
    before = install(site, 1)
    site.shapers[0].cut_every_bytes = 300_000
    site.shapers[0].delay_s = 0.03
    rollout = site.publish("2.0", changed_bytes=CHANGED)
    check_end(site, rollout, 1)
    cuts = site.shapers[0].cuts
    assert cuts >= 5
    for again in sent_twice(site.broker.transfers()[before:]).values():
        assert again <= cuts * WINDOW


def test_newer_release_takes_over_what_was_fetched_of_an_older_one(site):
    """2.0 is half fetched when 3.0 comes, which has the same new content and a little more."""
    before = install(site, 1)
    site.publish("2.0", noise_bytes=CHANGED)
    wait_for("half of it is there", lambda: len(site.broker.transfers()) - before > CHANGED // 2 // 32768)
    rollout = site.publish("3.0", noise_bytes=CHANGED, changed_bytes=10_000)
    site.wait_for_counts(rollout, {"committed": 1})
    sent = sum(t.bytes for t in site.broker.transfers()[before:])
    assert sent < CHANGED * 1.35, f"{sent} bytes for {CHANGED} of new content"
