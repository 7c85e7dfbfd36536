"""Release 2 as a delta of release 1: it moves little, survives kill -9, and a base that was written to costs its own files alone."""

import lzma
import random
import time
import zipfile

import pytest
from harness.operator import run
from harness.process import wait_for
from harness.site import Site
from harness.trees import fingerprint, noise

SAME = 400_000
KEPT = 3_000_000
FILES = 12
FILE_BYTES = 150_000


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def tree_of(site, release, *, new_bytes=0):
    """A few files that differ in some bytes from release to release, one that never does, one that is new in each."""
    tree = site.tree(release, noise_bytes=SAME)
    number = int(release.split(".")[0])
    for index in range(FILES):
        content = bytearray(noise(f"file {index}", FILE_BYTES))
        for change in range(number):
            content[1000 * change : 1000 * change + 20] = noise(f"change {change} of {index}", 20)
        (tree / f"usr/share/data/file-{index}").write_bytes(content)
    (tree / "usr/share/data/kept").write_bytes(noise("kept", KEPT))
    if new_bytes:
        (tree / "usr/share/data/new").write_bytes(noise(f"new in {release}", new_bytes))
    return tree


def pack_from(site, release, tree, base):
    """Packs a tree with a delta from another release's artifact, where Operator.publish() finds it."""
    out = site.operator.folder / f"{release}.artifact"
    run(["pack", str(tree), "--out", str(out), "--level", "3", "--base", str(site.operator.folder / f"{base}.artifact")])
    return out


def publish(site, release, tree, base=None, **changes):
    if base:
        pack_from(site, release, tree, base)
    return site.operator.publish(release, tree, **changes)["rollout"]


def install(site, count=1, **options):
    devices = [site.add_device(f"d{number}", **options) for number in range(count)]
    site.wait_for_counts(publish(site, "1.0", tree_of(site, "1.0")), {"committed": count})
    return devices, len(site.broker.transfers())


def member(site, rollout, device):
    return next(row for row in site.operator.ask("rollout", "show", rollout, "--devices")["members"] if row["device"] == device.id)


def staged_tree(device, revision):
    return next((device.state_dir / f"revisions/{revision}/artifacts").glob("*/tree"))


def check_tree(device, tree):
    """What the device holds is what was packed, entry for entry (owners are the packer's)."""
    revision = device.status()["running"]["revision"]
    assert fingerprint(staged_tree(device, revision)) == fingerprint(tree)


def write_to(path, text=b"somebody was here"):
    with open(path, "r+b") as file:
        file.seek(70_000)
        file.write(text)


def test_a_delta_moves_little_and_goes_both_ways(site):
    (device,), before = install(site)
    two = tree_of(site, "2.0")
    rollout = publish(site, "2.0", two, "1.0")
    site.wait_for_counts(rollout, {"committed": 1})
    check_tree(device, two)
    assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"
    sent = sum(transfer.bytes for transfer in site.broker.transfers()[before:])
    row = member(site, rollout, device)
    assert row["pack_kind"] == "delta"
    assert row["bytes_planned"] == row["bytes_fetched"] == sent
    assert sent < 20_000, f"{sent} bytes for {FILES} changes of 20"
    # And back: a new release of the older content.
    one = tree_of(site, "3.0")
    for name in ("www/version", "sbin/probe", *(f"usr/share/data/file-{index}" for index in range(FILES))):
        (one / name).write_bytes((site.folder / "trees/1.0" / name).read_bytes())
    back = publish(site, "3.0", one, "2.0")
    site.wait_for_counts(back, {"committed": 1})
    check_tree(device, one)
    assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"


def test_killed_while_a_delta_is_fetched_and_made(site):
    (device,), before = install(site, shaped=True, settings={"window_bytes_max": 64 * 1024})
    link = site.shapers[0]
    two = tree_of(site, "2.0", new_bytes=1_500_000)
    dice = random.Random()
    kills = 0
    # While it fetches, each time when something more has come, which the link holds at; then a few times wherever it is: it may be making
    # files, or trying them.
    link.stall_at = link.bytes_down + 150_000
    rollout = publish(site, "2.0", two, "1.0")
    for number in range(10):
        if number < 6:
            more = link.bytes_down + dice.randrange(100_000)
            wait_for("something more comes", lambda: link.bytes_down > more or link.stands(), interval_s=0.01)
        else:
            link.stall_at = None
            time.sleep(dice.uniform(0, 0.5))
        if number >= 6 and device.release == "2.0":
            break
        device.kill()
        kills += 1
        link.stall_at = link.bytes_read + 200_000
        device.start()
    link.stall_at = None
    site.wait_for_counts(rollout, {"committed": 1})
    assert kills >= 6
    check_tree(device, two)
    sent = sum(transfer.bytes for transfer in site.broker.transfers()[before:])
    assert sent <= 1_560_000 + kills * 64 * 1024, f"{sent} bytes with {kills} kills"


def text_of(name, size):
    return "".join(f"{byte * 7 % 200} " for byte in noise(name, size // 3)).encode()


def archives_of(site, release):
    """A jar with its version in its name, and a kernel module as .xz: little in them changes from release to release."""
    tree = site.tree(release)
    lines = [text_of(f"class {number}", 20_000 + 500 * number) for number in range(30)]
    module = text_of("module", 400_000)
    if release != "1.0":
        lines = [line[:5000] + f"of {release} ".encode() + line[5000:] for line in lines]
        module = module[:100_000] + f"of {release} ".encode() + module[100_000:]
    (tree / "usr/share").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(tree / f"usr/share/some-{release}.jar", "w", zipfile.ZIP_DEFLATED) as jar:
        for number, line in enumerate(lines):
            jar.writestr(f"org/some/Class{number}.class", line)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]
    (tree / "usr/share/some.ko.xz").write_bytes(lzma.compress(module, check=lzma.CHECK_CRC32, filters=filters))
    return tree


def test_archives_are_compared_by_what_is_in_them(site):
    device = site.add_device("d0")
    site.wait_for_counts(publish(site, "1.0", archives_of(site, "1.0")), {"committed": 1})
    before = len(site.broker.transfers())
    two = archives_of(site, "2.0")
    compressed = sum((two / f"usr/share/{name}").stat().st_size for name in ("some-2.0.jar", "some.ko.xz"))
    assert compressed > 200_000
    rollout = publish(site, "2.0", two, "1.0")
    site.wait_for_counts(rollout, {"committed": 1})
    check_tree(device, two)
    assert member(site, rollout, device)["pack_kind"] == "delta"
    sent = sum(transfer.bytes for transfer in site.broker.transfers()[before:])
    assert sent < compressed / 20, f"{sent} bytes for 31 changes in {compressed}"


def test_a_damaged_base_file_is_made_good_from_another_pack_and_reported(site):
    (device,), before = install(site)
    write_to(staged_tree(device, 1) / "usr/share/data/file-3")
    two = tree_of(site, "2.0")
    rollout = publish(site, "2.0", two, "1.0")
    site.wait_for_counts(rollout, {"committed": 1})
    check_tree(device, two)
    row = member(site, rollout, device)
    assert "usr/share/data/file-3 was changed on this device" in row["reason"]
    assert "what is missing comes from the" in row["reason"]
    sent = sum(transfer.bytes for transfer in site.broker.transfers()[before:])
    # The delta, the other pack's head, and the chunks that file lies in: nothing of the 3 MB that did not change.
    assert 20_000 < sent < 1_000_000
    assert row["bytes_fetched"] == sent


def test_a_metered_device_stops_before_the_body_and_goes_on_with_leave(site):
    (device,), before = install(site, settings={"metered": "yes"})
    write_to(staged_tree(device, 1) / "usr/share/data/file-3")
    two = tree_of(site, "2.0", new_bytes=300_000)
    rollout = publish(site, "2.0", two, "1.0")
    site.wait_for_counts(rollout, {"failed": 1})
    row = member(site, rollout, device)
    assert "file-3 was changed on this device" in row["reason"]
    assert "metered" in row["reason"] and "policy.metered_fallback" in row["reason"]
    sent = sum(transfer.bytes for transfer in site.broker.transfers()[before:])
    assert sent < 20_000, "no more than the delta's head"
    assert device.release == "1.0"
    three = tree_of(site, "3.0", new_bytes=300_000)
    leave = publish(site, "3.0", three, "1.0", policy={"metered_fallback": True})
    site.wait_for_counts(leave, {"committed": 1})
    check_tree(device, three)


def test_a_link_that_drops_goes_on_where_it_was(site):
    (device,), before = install(site, shaped=True, settings={"window_bytes_max": 64 * 1024})
    site.shapers[0].cut_every_bytes = 300_000
    site.shapers[0].delay_s = 0.03
    two = tree_of(site, "2.0", new_bytes=1_500_000)
    rollout = publish(site, "2.0", two, "1.0")
    site.wait_for_counts(rollout, {"committed": 1})
    check_tree(device, two)
    cuts = site.shapers[0].cuts
    assert cuts >= 3
    sent = sum(transfer.bytes for transfer in site.broker.transfers()[before:])
    assert sent <= 1_560_000 + cuts * 64 * 1024
    wait_for("the device is idle", lambda: device.status()["phase"] == "idle")
