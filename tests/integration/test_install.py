"""A release from a file, for a device without a link: it is handled as one from the broker, and reported when there is a link."""

import subprocess

import pytest
from harness.process import DEVICE, HANGS_S
from harness.site import Site


def run(device, *arguments: object) -> subprocess.CompletedProcess:
    command = [str(DEVICE), *map(str, arguments), "--config", str(device.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * HANGS_S)


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        yield site


def bundle(site, release: str, **options) -> tuple:
    path = site.folder / f"{release}.bundle"
    return path, site.publish(release, options=("--bundle", str(path)), **options)


def test_a_release_from_a_file_is_tried_committed_and_reported_later(site):
    device = site.add_device("far", start=False)
    device.configure()
    first, rollout = bundle(site, "1.0", changed_bytes=300_000)
    installed = run(device, "install", first)
    assert installed.returncode == 0, installed.stderr
    assert "release 1.0 is committed as revision 1" in installed.stdout
    assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
    assert site.broker.bytes_sent(device.id) == 0
    assert site.counts(rollout) == {}, "the broker knows nothing of it yet"
    again = run(device, "install", first)
    assert again.returncode == 1 and "release 1.0 runs already" in again.stderr

    device.start()
    site.wait_for_counts(rollout, {"committed": 1})
    running = run(device, "install", first)
    assert running.returncode == 1 and "the client runs (process" in running.stderr and "systemctl stop" in running.stderr
    device.stop()

    # Only what is new is read of the file. A release that fails its probe is rolled back and reported.
    bad, rollout = bundle(site, "2.0", changed_bytes=300_000, healthy=False)
    failed = run(device, "install", bad)
    assert failed.returncode == 1 and "release 2.0 did not come through" in failed.stderr, failed.stderr
    assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
    device.start()
    site.wait_for_counts(rollout, {"rolled_back": 1})
    third, rollout = bundle(site, "3.0", changed_bytes=300_000)
    site.wait_for_counts(rollout, {"committed": 1})
    device.stop()
    older = run(device, "install", bad)
    assert older.returncode == 1 and "has sequence 2, this device has obeyed 3 already" in older.stderr


def test_what_the_policy_bounds_does_not_bind_the_owner(site):
    device = site.add_device("near", start=False)
    device.configure()
    path = site.folder / "held.bundle"
    site.publish("1.0", options=("--bundle", str(path), "--consent", "--in-flight", "1", "--wave", "1:approval", "--device-bytes", "64KB",
                                  "--rate", "1"))
    run(device, "hold")
    held = run(device, "install", path)
    assert held.returncode == 1 and "updates are held" in held.stderr
    run(device, "unhold")
    assert run(device, "install", path).returncode == 0
    assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"


def test_a_file_that_is_not_right_is_refused_with_the_reason(site, tmp_path):
    device = site.add_device("other", start=False)
    device.configure()
    good, _ = bundle(site, "1.0")
    content = good.read_bytes()
    cases = {"cut": (content[:-1], "cut off or damaged"), "text": (b"hello", "is no bundle of a release"), "version": (b"INSTARB\x09" + content[8:], "version 9")}
    for name, (data, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        refused = run(device, "install", path)
        assert refused.returncode == 1 and words in refused.stderr, refused.stderr
    assert run(device, "install", tmp_path / "nothing").returncode == 1
    assert run(device, "install").returncode == 2
    # A chunk that was changed is noticed by its hash; nothing of it is run.
    damaged = bytearray(content)
    for at in range(len(content) // 4, len(content), 4_000):
        damaged[at] ^= 1
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    refused = run(device, "install", path)
    assert refused.returncode == 1 and not device.containers(), refused.stderr
    assert run(device, "install", good).returncode == 0
