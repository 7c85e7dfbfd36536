"""Containers that run from an image: one file with a file system, mounted for the container alone."""

import base64
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from harness.images import attached_below, make_image
from harness.operator import health
from harness.process import HANGS_S, wait_for
from harness.site import Site


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def image(site: Site, release: str, file_system: str, *options: str, **of_the_tree) -> Path:
    return make_image(site.tree(release, **of_the_tree), file_system, site.folder / f"images/{release}.{file_system}", *options)


def publish(site: Site, release: str, file: Path, **options) -> dict:
    return site.operator.publish(release, file, **options)


def members(site: Site, rollout: str) -> list[dict]:
    return site.operator.ask("rollout", "show", rollout, "--devices")["members"]


def monitor_of(device, container: str) -> int:
    """LXC's monitor: the parent of the container's first process."""
    status = Path(f"/proc/{device.container_pid(container)}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:")))


def expect_mounted_for_the_container_alone(device) -> None:
    wait_for("one image is attached", lambda: len(attached_below(device.state_dir)) == 1)
    below = str(device.state_dir.resolve()) + "/"
    for process in ("self", str(monitor_of(device, "app"))):
        assert below not in Path(f"/proc/{process}/mounts").read_text(), process
    root = next(line for line in device.ask("app", "/bin/cat", "/proc/mounts").splitlines() if line.split()[1] == "/")
    assert root.split()[2] == "overlay" and "nodev" in root.split()[3].split(","), root


def test_images_of_each_kind_are_installed_updated_by_delta_and_taken_back(site):
    device = site.add_device("flash")
    published = publish(site, "1.0", image(site, "1.0", "squashfs", noise_bytes=300_000))
    site.wait_for_counts(published["rollout"], {"committed": 1})
    assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"
    expect_mounted_for_the_container_alone(device)
    # What the container writes goes to the layer of this revision.
    device.ask("app", "/bin/sh", "-c", "echo mine > /www/written && [ -O / ]")
    assert (device.state_dir / "current/containers/app/upper/www/written").read_text() == "mine\n"

    # From one squashfs to the next by a delta, although both are compressed.
    published = publish(site, "2.0", image(site, "2.0", "squashfs", noise_bytes=300_000, changed_bytes=20_000))
    (base,) = published["deltas"]["bases"]
    assert base["kept"] and 20_000 < base["delta_bytes"] < 40_000 < base["full_bytes"]
    site.wait_for_counts(published["rollout"], {"committed": 1})
    (member,) = members(site, published["rollout"])
    assert member["pack_kind"] == "delta" and member["bytes_fetched"] == base["delta_bytes"]
    assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"
    expect_mounted_for_the_container_alone(device)

    for release, file_system in (("3.0", "erofs"), ("4.0", "ext4")):
        published = publish(site, release, image(site, release, file_system, noise_bytes=300_000))
        site.wait_for_counts(published["rollout"], {"committed": 1})
        assert device.ask("app", "/bin/cat", "/www/version") == f"{release}\n"
        expect_mounted_for_the_container_alone(device)

    # One whose probe fails, and one that no kernel can read, are taken back.
    bad = publish(site, "5.0", image(site, "5.0", "erofs", healthy=False))
    site.wait_for_counts(bad["rollout"], {"rolled_back": 1})
    assert device.ask("app", "/bin/cat", "/www/version") == "4.0\n"
    broken = image(site, "6.0", "squashfs", noise_bytes=300_000)
    content = bytearray(broken.read_bytes())
    content[96:] = os.urandom(len(content) - 96)
    broken.write_bytes(content)
    bad = publish(site, "6.0", broken)
    site.wait_for_counts(bad["rollout"], {"rolled_back": 1})
    (member,) = members(site, bad["rollout"])
    assert "cannot mount the image" in member["reason"] and "as squashfs" in member["reason"], member
    assert device.ask("app", "/bin/cat", "/www/version") == "4.0\n"
    expect_mounted_for_the_container_alone(device)

    # And from an image to a tree.
    site.wait_for_counts(site.publish("7.0"), {"committed": 1})
    assert device.ask("app", "/bin/cat", "/www/version") == "7.0\n"
    wait_for("the image is let go", lambda: not attached_below(device.state_dir))


def test_a_killed_device_goes_on_with_the_image_that_it_makes_again(site):
    device = site.add_device("image")
    # Text that shrinks by a quarter: what is put before it changes every block, and all are compressed again.
    data = base64.b64encode(random.Random(1).randbytes(16_000_000))

    def release(version: str) -> dict:
        tree = site.tree(version)
        (tree / "data").write_bytes(version.encode() * 50 + data)
        return publish(site, version, make_image(tree, "squashfs", site.folder / f"images/{version}.squashfs"))

    def noted() -> list[Path]:
        return list(device.state_dir.glob("revisions/*/artifacts/*/progress"))

    site.wait_for_counts(release("1.0")["rollout"], {"committed": 1})
    for version in ("2.0", "3.0", "4.0", "5.0", "6.0"):
        published = release(version)
        (base,) = published["deltas"]["bases"]
        assert base["kept"] and base["delta_bytes"] < 60_000 < base["full_bytes"]
        wait_for("a part is made, or all of it", lambda: noted() or site.counts(published["rollout"]) == {"committed": 1})
        found = noted()
        device.kill()
        inode = (found[0].parent / "tree/image").stat().st_ino if found else 0
        device.start()
        site.wait_for_counts(published["rollout"], {"committed": 1})
        (member,) = members(site, published["rollout"])
        assert member["pack_kind"] == "delta"
        assert device.ask("app", "/bin/cat", "/www/version") == f"{version}\n"
        if found:
            assert (found[0].parent / "tree/image").stat().st_ino == inode, "it was begun anew"
            assert not noted()
            return
    raise AssertionError("it was always too fast to be killed halfway")


def test_no_loop_device_is_left_whatever_is_killed(site):
    device = site.add_device("killed")
    site.wait_for_counts(publish(site, "1.0", image(site, "1.0", "erofs"))["rollout"], {"committed": 1})
    first = device.container_pid("app")
    device.kill()
    device.start()
    device.wait_until_up()
    assert device.container_pid("app") == first, "the container runs on"
    expect_mounted_for_the_container_alone(device)

    # LXC's monitor: its container is ended and started again.
    os.kill(monitor_of(device, "app"), signal.SIGKILL)
    os.kill(first, signal.SIGKILL)
    wait_for("it runs again", lambda: device.container_pid("app") not in (0, first))
    wait_for("its probe passes", lambda: answers(device, "1.0"))
    expect_mounted_for_the_container_alone(device)

    device.kill()
    subprocess.run(["lxc-stop", "-P", str(device.lxc_path), "-n", f"{device.id}.app", "-k"], check=True, timeout=HANGS_S)
    wait_for("the image is let go", lambda: not attached_below(device.state_dir))


def answers(device, release: str) -> bool:
    try:
        return device.ask("app", "/bin/cat", "/www/version") == f"{release}\n"
    except AssertionError:
        return False


def test_only_the_container_whose_image_changed_restarts_and_device_nodes_cannot_be_opened(site):
    device = site.add_device("pair")
    still = site.operator.pack(image(site, "still", "squashfs", "-p", "random c 666 0 0 1 8"))
    def release(version: str) -> str:
        file = image(site, version, "erofs")
        containers = [{"name": "app", "artifact": str(site.operator.pack(file)), "init": ["/sbin/service"], "health": health(settle="500ms")},
                      {"name": "still", "artifact": str(still), "init": ["/bin/sleep", "100000"]}]
        return publish(site, version, file, containers=containers)["rollout"]

    site.wait_for_counts(release("1.0"), {"committed": 1})
    before = device.container_pid("still")
    opened = device.ask("still", "/bin/sh", "-c", "cat /random 2>&1 | head -c 200; /bin/test -c /random && head -c 3 /dev/random > /tmp/x; true")
    assert "Permission denied" in opened, opened
    site.wait_for_counts(release("2.0"), {"committed": 1})
    assert device.container_pid("still") == before
    assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"
    wait_for("two images are attached", lambda: len(attached_below(device.state_dir)) == 2)
