"""Content arrives as it was: times that show each change, ACLs and xattrs, sparse files. Through pack, broker and device."""

import os
import struct

import pytest
from harness.operator import run
from harness.site import Site

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Tag, rights and id of each, as Linux keeps them."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xffffffff
# Owner rw-, user 1000 rwx, group r--, others nothing.
SHARED = acl((1, 6, NOBODY), (2, 7, 1000), (4, 4, NOBODY), (16, 7, NOBODY), (32, 0, NOBODY))


def install(site, release, tree, device=None):
    published = site.operator.publish(release, tree)
    site.wait_for_counts(published["rollout"], {"committed": len(site.devices)})


def in_tree(device, path):
    (artifact,) = (device.state_dir / "current").resolve().glob("artifacts/*/tree")
    return artifact / path


def bytes_sent(site):
    return sum(transfer.bytes for transfer in site.broker.transfers())


def asked(device, *headers):
    """What a browser sees of /version: its answer's headers and body."""
    options = " ".join(f"--header '{header}'" for header in headers)
    return device.ask("app", "/bin/sh", "-c", f"/bin/wget -S -q -O - {options} http://127.0.0.1/version 2>&1 || true")


def header(answer, name):
    return next(line.split(": ", 1)[1].strip() for line in answer.splitlines() if line.strip().startswith(name + ":"))


def test_a_browser_sees_each_change_of_a_page_that_keeps_its_size(site):
    device = site.add_device("web")
    install(site, "1.0", site.tree("1.0"))
    first = asked(device)
    assert "1.0" in first
    tag, date = header(first, "ETag"), header(first, "Last-Modified")
    same = in_tree(device, "etc/passwd").stat()
    install(site, "2.0", site.tree("2.0"))
    second = asked(device, f"If-None-Match: {tag}")
    assert "304" not in second and "2.0" in second, second
    assert header(second, "ETag") != tag and header(second, "Last-Modified") != date
    assert in_tree(device, "etc/passwd").stat().st_mtime == same.st_mtime, "what did not change stays in caches"
    # Back to the old page: its time rises, although the previous revision still has it.
    was = in_tree(device, "www/version").stat().st_mtime
    install(site, "3.0", site.tree("1.0"))
    assert in_tree(device, "www/version").read_text() == "1.0\n"
    assert in_tree(device, "www/version").stat().st_mtime > was


def test_acls_and_xattrs_arrive_and_what_does_not_is_named(site):
    device = site.add_device("acl")
    tree = site.tree("1.0")
    shared, spool = tree / "etc/shared", tree / "var/spool"
    shared.write_text("secret\n")
    shared.chmod(0o640)
    spool.mkdir()
    os.setxattr(shared, ACCESS, SHARED)
    os.setxattr(spool, DEFAULT, SHARED)
    os.setxattr(shared, "user.origin", b"ci")
    os.setxattr(shared, "trusted.mark", b"1")
    packed = run(["pack", str(tree), "-o", str(site.operator.folder / "1.0.artifact"), "--level", "3"])
    assert {"name": "trusted.mark", "count": 1, "first": "etc/shared"} in packed["notes"]["xattrs_not_kept"]
    install(site, "1.0", tree)
    staged = in_tree(device, "etc/shared")
    assert os.getxattr(staged, ACCESS) == SHARED and os.getxattr(staged, "user.origin") == b"ci"
    assert os.getxattr(in_tree(device, "var/spool"), DEFAULT) == SHARED
    assert os.listxattr(in_tree(device, "etc/passwd")) == []
    with pytest.raises(OSError):
        os.getxattr(staged, "trusted.mark")
    # In the container, through the overlay: the ACL counts and is copied up with a change.
    device.ask("app", "/bin/sh", "-c", "echo more >> /etc/shared")
    assert os.getxattr(device.state_dir / "current/containers/app/upper/etc/shared", ACCESS) == SHARED
    # A change of the ACL alone is a few bytes.
    sent = bytes_sent(site)
    second = site.tree("2.0")
    (second / "etc/shared").write_text("secret\n")
    (second / "etc/shared").chmod(0o600)
    install(site, "2.0", second)
    assert os.listxattr(in_tree(device, "etc/shared")) == []
    assert in_tree(device, "etc/shared").stat().st_mode & 0o777 == 0o600
    assert bytes_sent(site) - sent < 20_000


def test_a_sparse_file_stays_sparse_and_its_holes_are_not_fetched(site):
    device = site.add_device("sparse")
    tree = site.tree("1.0")
    with (tree / "var/lib/disk").open("wb") as disk:
        disk.write(b"start")
        disk.truncate(200_000_000)
        disk.seek(0, os.SEEK_END)
        disk.write(b"end")
    install(site, "1.0", tree)
    staged = in_tree(device, "var/lib/disk").stat()
    assert staged.st_size == 200_000_003 and staged.st_blocks * 512 < 100_000
    # The tree has a busybox and little else: 761 chunks of zeros would be some 20 kB more.
    (full,) = (pack for pack in run(["inspect", str(site.operator.folder / "1.0.artifact")])["packs"] if pack["kind"] == "full")
    assert bytes_sent(site) < full["wire_bytes"] - 10_000


def test_kept_times_arrive_and_compiled_python_is_named(site):
    device = site.add_device("times")
    tree = site.tree("1.0")
    source, compiled = tree / "usr/share/m.py", tree / "usr/share/__pycache__/m.cpython-311.pyc"
    source.write_text("1\n")
    os.utime(source, (1_600_000_000, 1_600_000_000))
    compiled.parent.mkdir()
    compiled.write_bytes(b"\xa7\x0d\r\n" + struct.pack("<III", 0, 1_600_000_000, 2) + b"code")
    out = str(site.operator.folder / "1.0.artifact")
    hint = run(["pack", str(tree), "-o", str(site.folder / "hint"), "--level", "3"])["notes"]["stale_python"]
    assert hint == {"count": 1, "first": "usr/share/__pycache__/m.cpython-311.pyc"}
    assert run(["pack", str(tree), "-o", out, "--times", "keep", "--level", "3"])["notes"]["stale_python"]["count"] == 0
    install(site, "1.0", tree)
    assert in_tree(device, "usr/share/m.py").stat().st_mtime == 1_600_000_000
