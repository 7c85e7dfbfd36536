"""A flash that breaks or is full, no memory for a process, mounts that fail: the real client and instar-lxc with one call that fails, or all from it on.

Whatever comes of the release meanwhile, the device keeps a revision that is what was signed, and takes the next release once nothing fails.
tests/powercut/fs --faults goes through every call; here the programs are the real ones, and so are the containers.
"""

import errno
import subprocess
import time

import pytest
from harness.process import BUILD, DEVICE
from harness.site import FINAL, Site

PATIENCE_S = 25
SHIM = BUILD / "tests/powercut/libinstar_fail_nth.so"
# kind, the call's number, error, and all after it. Mounts and most spawns are instar-lxc's.
FAULTS = [("write", 25, errno.ENOSPC, True), ("sync", 3, errno.EIO, False), ("rename", 2, errno.EROFS, True), ("make", 20, errno.ENOSPC, True),
          ("spawn", 2, errno.ENOMEM, False), ("mount", 1, errno.EPERM, False)]


@pytest.fixture(scope="module")
def site(tmp_path_factory, keys):
    with Site(tmp_path_factory.mktemp("failing"), keys) as site:
        device = site.add_device("box")
        site.wait_for_counts(site.publish("0.1"), {"committed": 1})
        device.stop()
        yield site


def verified(device) -> bool:
    return subprocess.run([str(DEVICE), "verify", "--config", str(device.config)], capture_output=True).returncode == 0


@pytest.mark.parametrize("number,fault", list(enumerate(FAULTS, 1)), ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else str(value))
def test_comes_through(site, number, fault):
    kind, call, error, on = fault
    device = site.devices[0]
    release = f"{number}.0"
    rollout = site.publish(release, changed_bytes=300_000)
    device.start({"LD_PRELOAD": str(SHIM), "INSTAR_FAULT": f"{kind}:{call}:{error}" + (":on" if on else "")})
    # Nor is it wrong to go on trying: no more than this is waited for, and whatever it has come to then must hold.
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and device.process.is_running() and not FINAL & set(site.counts(rollout)):
        time.sleep(0.1)
    device.stop()
    assert verified(device), device.log_text()[-2000:]
    device.start()
    following = site.publish(f"{number}.1", changed_bytes=300_000)
    site.wait_for_counts(following, {"committed": 1})
    assert device.ask("app", "/bin/cat", "/www/version") == f"{number}.1\n"
    assert verified(device)
    device.stop()
