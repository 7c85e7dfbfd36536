"""What the test device runs in its container: lighttpd with the C library of Debian, once as it was and once after its security updates."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "demo"), str(SOURCE / "tests")]
import rootfs  # noqa: E402
from harness.images import make_image  # noqa: E402

PACKAGES = ["lighttpd", "libc6", "libpcre2-8-0", "libnettle8", "libxxhash0", "libcrypt1"]
LIBRARIES = "lib/x86_64-linux-gnu"
PORT = 8080
IMAGE_OPTIONS = {"squashfs": ("-comp", "zstd", "-Xcompression-level", "19")}  # what the device's kernel mounts, and how it is made
PAYLOADS = ("tree", *IMAGE_OPTIONS)
CONFIGURATION = """\
server.port = 8080
server.document-root = "/www"
server.errorlog = "/dev/null"
server.max-connections = 16
server.max-fds = 64
server.upload-dirs = ( "/tmp" )
mimetype.assign = ( "" => "text/plain" )
"""
HEALTH = {"settle": "1s", "probe": {"command": ["/bin/busybox", "wget", "-q", "-O", "-", f"http://127.0.0.1:{PORT}/health"],
                                    "interval": "200ms", "timeout": "5s", "failures_max": 3}}


@functools.cache
def packages(debs: Path) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, Path]]]:
    """Versions before and after the updates, and the package files."""
    rootfs.PACKAGES = PACKAGES
    old, new = rootfs.choose(debs)
    if not rootfs.changed(old, new):
        raise rootfs.NoPackages("the Debian mirrors offer one version of each package only: add bookworm-security to "
                                "/etc/apt/sources.list, then run `apt-get update`")
    names = ({v.package: v.version for v, _ in old}, {v.package: v.version for v, _ in new})
    return *names, {"old": {v.package: file for v, file in old}, "new": {v.package: file for v, file in new}}


def base_tree(folder: Path, age: str) -> Path:
    """The service from its packages of that age: the program, the libraries that it loads, busybox for the probe."""
    tree = folder / "base" / age
    if (tree / "complete").exists():
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    unpacked = folder / "unpacked" / age
    unpacked.mkdir(parents=True, exist_ok=True)
    for file in packages(folder / "debs")[2][age].values():
        subprocess.run(["dpkg", "-x", str(file), str(unpacked)], check=True)
    for name in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "etc", "www", "lib64", LIBRARIES):
        (tree / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(unpacked / "usr/sbin/lighttpd", tree / "sbin/lighttpd")
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    for library in ("libc.so.6", "libpcre2-8.so.0", "libnettle.so.8", "libxxhash.so.0", "libcrypt.so.1", "ld-linux-x86-64.so.2"):
        found = next(p for p in (unpacked / "lib/x86_64-linux-gnu" / library, unpacked / "usr/lib/x86_64-linux-gnu" / library) if p.exists())
        shutil.copy(found.resolve(), tree / LIBRARIES / library)
        os.chmod(tree / LIBRARIES / library, 0o755)
    (tree / "lib64/ld-linux-x86-64.so.2").symlink_to("../" + LIBRARIES + "/ld-linux-x86-64.so.2")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    (tree / "etc/lighttpd.conf").write_text(CONFIGURATION)
    shutil.rmtree(unpacked)
    (tree / "complete").touch()
    return tree


def release_tree(device: Path, folder: Path, release: str, age: str, healthy: bool = True) -> Path:
    """One release: its name is served as /release. An unhealthy one lacks what its probe asks for. `device`: what ./build wrote."""
    tree = folder / release
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(base_tree(device / "service", age), tree, symlinks=True)
    (tree / "complete").unlink()
    (tree / "www/release").write_text(release + "\n")
    if healthy:
        (tree / "www/health").write_text("fine\n")
    return tree


def release_payload(device: Path, folder: Path, release: str, age: str, healthy: bool = True, payload: str = "tree") -> Path:
    """The same as the tree that it is, or as an image of the file system `payload`."""
    tree = release_tree(device, folder, release, age, healthy)
    return tree if payload == "tree" else make_image(tree, payload, folder / f"{release}.{payload}", *IMAGE_OPTIONS[payload])


def containers(artifact: Path, client: Path | None = None) -> list[dict]:
    init = ["/sbin/lighttpd", "-D", "-f", "/etc/lighttpd.conf"]
    made: list[dict] = [{"name": "web", "artifact": str(artifact), "init": init, "health": HEALTH}]
    if client:
        made.append({"name": "client", "artifact": str(client), "handler": "instar-client", "health": {"settle": "1s"}})
    return made


def client_tree(program: Path, folder: Path, name: str, tail: bytes = b"") -> Path:
    """A client as a payload: the device's own, with bytes behind its end that make it another one."""
    tree = folder / name
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    subprocess.run(["strip", "--strip-all", "-o", str(tree / "instar-device"), str(program)], check=True)
    with (tree / "instar-device").open("ab") as file:
        file.write(name.encode() + tail)
    return tree
