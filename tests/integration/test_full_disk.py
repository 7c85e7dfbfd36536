"""A disk that an application has filled, with bytes or with files: the client starts, runs what should run, says so, and takes the release that
mends it, also after a power cut.
"""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.process import DEVICE, wait_for
from harness.site import Site

# Once told to, it writes until nothing more goes, and again whenever something does, until it is told to stop.
FILL = {
    "bytes": "while ! /bin/test -e /stop; do /bin/cat /bin/busybox >> /filled; done; : > /stopped",
    # In the shell itself: no moment passes between two tries.
    "bytes, at once": "data=$(/bin/busybox head -c 60000 /dev/zero | /bin/busybox tr '\\0' x); while ! [ -e /stop ]; do echo $data; done >> /filled",
    "files": "n=0; while ! /bin/test -e /stop; do n=$((n+1)); : > /filled-$n; done",
}
SIZE_MIB = 24
INODES = 1500


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def make_disk(folder, kind, by_project) -> subprocess.CompletedProcess:
    """Mounts a small file system of that kind at folder/disk. `by_project`: with quotas of projects."""
    place, image = folder / "disk", folder / "disk.img"
    place.mkdir()
    if kind == "tmpfs":
        return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,nr_inodes={INODES},mode=755", "tmpfs", str(place)])
    run("truncate", "-s", f"{320 if kind == 'xfs' else SIZE_MIB}M", image)  # mkfs.xfs makes none that is smaller
    features = ["-F", "-N", INODES] + (["-O", "quota,project", "-E", "quotatype=prjquota"] if by_project else [])
    run(f"mkfs.{kind}", "-q", *(features if kind == "ext4" else []), image)
    return subprocess.run(["mount", "-o", "loop,prjquota" if by_project else "loop", str(image), str(place)], capture_output=True)


@contextmanager
def disk(folder, kind, by_project=False):
    assert make_disk(folder, kind, by_project).returncode == 0
    try:
        yield folder / "disk"
    finally:
        run("umount", "-l", folder / "disk")


def can_be_made(kind, by_project=False) -> bool:
    if kind != "tmpfs" and shutil.which(f"mkfs.{kind}") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        done = make_disk(Path(folder), kind, by_project)
        if done.returncode == 0:
            run("umount", "-l", Path(folder) / "disk")
        return done.returncode == 0


FILLED = [(kind, what) for kind, what in [("tmpfs", "bytes"), ("tmpfs", "files"), ("ext4", "bytes, at once"), ("ext4", "files"), ("xfs", "bytes"), ("xfs", "bytes, at once")]
          if can_be_made(kind)]
BY_PROJECT = [kind for kind in ("ext4", "xfs") if can_be_made(kind, by_project=True)]


def filling_tree(site, release, what):
    tree = site.tree(release)
    (tree / "sbin/service").write_text(f"#!/bin/sh\n(while ! /bin/test -e /go; do /bin/sleep 0.1; done; {FILL[what]}) 2>/dev/null &\n"
                                       "exec /bin/httpd -f -p 127.0.0.1:80 -h /www\n")
    return tree


def is_full(place, what) -> bool:
    """XFS keeps some blocks that it counts as free and gives to nobody."""
    space = os.statvfs(place)
    return (space.f_bavail * space.f_frsize < 256 * 1024) if what.startswith("bytes") else space.f_favail < 16


def begin_to_fill(device, place, what) -> None:
    device.ask("app", "/bin/busybox", "touch", "/go")
    wait_for("the disk is full", lambda: is_full(place, what))


def says_no_space(site, device) -> bool:
    return any(line.startswith("no space") for line in site.operator.device(device.id)["degraded"])


def sound(device) -> bool:
    return subprocess.run([str(DEVICE), "verify", "--config", str(device.config)], capture_output=True).returncode == 0


@contextmanager
def filled(tmp_path, keys, kind, what, **settings):
    with disk(tmp_path, kind) as place, Site(tmp_path, keys) as site:
        device = site.add_device("full", state_dir=place / "state", settings=settings)
        site.wait_for_counts(site.operator.publish("1.0", filling_tree(site, "1.0", what))["rollout"], {"committed": 1})
        wait_for("the reserve is whole", lambda: len(list((device.state_dir / "reserve").glob("b*"))) == 32)
        begin_to_fill(device, place, what)
        yield site, device, place
        device.clean_up()


@pytest.mark.parametrize("kind,what", FILLED)
def test_an_application_that_fills_the_disk_keeps_no_mend_away(tmp_path, keys, kind, what):
    with filled(tmp_path, keys, kind, what) as (site, device, _):
        wait_for("the operator sees why", lambda: says_no_space(site, device))
        assert "no space" in device.log_text()
        # The machine loses its power, and starts again on the full disk.
        pid = device.container_pid("app")
        device.kill()
        subprocess.run(["lxc-stop", "-k", "-P", str(device.lxc_path), "-n", f"{device.id}.app"], check=True)
        device.start()
        device.wait_until_up()
        wait_for("what is committed runs again", lambda: device.container_pid("app") not in (0, pid))
        assert device.release == "1.0"
        assert sound(device)
        # A client that is killed while all is full comes back as well.
        for _ in range(3):
            device.kill()
            device.start()
            device.wait_until_up()
        site.wait_for_counts(site.publish("2.0"), {"committed": 1})
        assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"
        assert sound(device)
        # What filled it went with the release that did, or is of no use any more.
        wait_for("there is room again", lambda: site.operator.device(device.id)["degraded"] == [])
        site.wait_for_counts(site.publish("3.0", changed_bytes=1_000_000), {"committed": 1})


def test_a_full_disk_says_nothing_of_the_machine(tmp_path, keys):
    """The kernel lets an overlay that finds no inode for its work folder be read only, which is no fault of the machine."""
    with disk(tmp_path, "tmpfs") as place, Site(tmp_path, keys) as site:
        device = site.add_device("full", state_dir=place / "state")
        device.clean_up()
        said = {}
        for left in range(12):
            number = os.statvfs(place).f_favail
            for filler in range(number - left):
                (place / f"filler-{left}-{filler}").touch()
            assert os.statvfs(place).f_favail == left
            checked = subprocess.run([str(DEVICE), "check-config", str(device.config)], capture_output=True, text=True)
            said[left] = checked.stdout + checked.stderr
            for filler in place.glob("filler-*"):
                filler.unlink()
        assert not [text for text in said.values() if "read-only" in text or "file system" in text], said


def test_a_disk_that_fills_again_and_again_keeps_its_state(tmp_path, keys):
    """What the client must write on a full disk goes over what it has written before: it lasts for ever."""
    with filled(tmp_path, keys, "tmpfs", "bytes") as (site, device, place):
        for path in (device.state_dir / "reserve").iterdir():  # worse: nothing is left of it
            path.unlink()
        wait_for("that is taken too", lambda: is_full(place, "bytes"))
        boot = device.status()["boot"]
        for number in range(1, 21):
            device.kill()
            device.start()
            wait_for("its start is on the disk", lambda number=number: device.status()["boot"] >= boot + number)
        assert device.release == "1.0"
        assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"


def test_runs_what_is_committed_without_any_room_for_its_state(tmp_path, keys):
    """As a client of before that knew no reserve has left it: no spare, no reserve, a full disk, after a power cut."""
    with filled(tmp_path, keys, "tmpfs", "bytes") as (site, device, place):
        device.kill()
        subprocess.run(["lxc-stop", "-k", "-P", str(device.lxc_path), "-n", f"{device.id}.app"], check=True)
        shutil.rmtree(device.state_dir / "reserve")
        for name in ("state.spare", "anchor.spare"):
            (device.state_dir / name).unlink()
        subprocess.run(["dd", "if=/dev/urandom", f"of={place}/other", "bs=4096"], capture_output=True)
        assert is_full(place, "bytes")
        device.start()
        wait_for("what is committed runs", lambda: device.container_pid("app") != 0)
        wait_for("the log says why it does no more", lambda: "the state cannot be written" in device.log_text())
        assert device.process.is_running()
        device.ask("app", "/bin/busybox", "touch", "/stop")
        # What it writes at this moment takes what is freed.
        wait_for("nothing fills the disk any more", lambda: "stopped" in device.ask("app", "/bin/ls", "/").split())
        (place / "other").unlink()
        device.wait_until_up()
        site.wait_for_counts(site.publish("2.0"), {"committed": 1})


@pytest.mark.parametrize("what", ["bytes", "files"])
def test_the_owner_may_let_a_full_layer_be_cleared(tmp_path, keys, what):
    with filled(tmp_path, keys, "tmpfs", what, clear_full_layer="yes") as (site, device, place):
        wait_for("the layer is cleared", lambda: "that is cleared" in device.log_text())
        wait_for("there is room again", lambda: not is_full(place, what))
        wait_for("it runs again", lambda: device.container_pid("app") != 0)
        assert device.ask("app", "/bin/ls", "/").count("filled") == 0
        assert device.release == "1.0"


@pytest.mark.parametrize("what", ["bytes", "files"])
@pytest.mark.parametrize("kind", BY_PROJECT)
def test_the_kernel_bounds_a_layer_where_it_counts_by_project(tmp_path, keys, kind, what):
    with disk(tmp_path, kind, by_project=True) as place, Site(tmp_path, keys) as site:
        device = site.add_device("bounded", state_dir=place / "state", settings={"layer_mib_max": 4, "layer_files_max": 200})
        site.wait_for_counts(site.operator.publish("1.0", filling_tree(site, "1.0", what))["rollout"], {"committed": 1})
        free = os.statvfs(place)
        device.ask("app", "/bin/busybox", "touch", "/go")
        wait_for("it has written all that it may", lambda: "has written as much as it may" in "".join(site.operator.device(device.id)["degraded"]))
        now = os.statvfs(place)
        assert (free.f_bavail - now.f_bavail) * now.f_frsize < 6 * 1024 * 1024
        assert free.f_favail - now.f_favail < 400
        site.wait_for_counts(site.publish("2.0"), {"committed": 1})
        device.clean_up()
