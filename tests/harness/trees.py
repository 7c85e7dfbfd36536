"""Root file systems for tests: a static busybox, so that a container starts in milliseconds, and content that differs between versions."""

import hashlib
import os
import random
import shutil
from pathlib import Path

BUSYBOX = Path("/bin/busybox")


def noise(seed: str, size: int) -> bytes:
    """The same bytes for the same seed, which no compressor makes smaller."""
    return random.Random(hashlib.sha256(seed.encode()).digest()).randbytes(size)


def make_tree(folder: Path, version: str, *, noise_bytes: int = 0, changed_bytes: int = 0, healthy: bool = True,
              starts: bool = True) -> Path:
    """A tree whose /sbin/service answers `version` on port 80 and whose /sbin/probe asks it, however long it takes to come up.

    noise_bytes    stay the same from version to version
    changed_bytes  are new in each
    healthy        False: it runs, but its probe fails
    starts         False: its init ends at once
    """
    if folder.exists():
        shutil.rmtree(folder)
    for name in ("bin", "sbin", "dev", "proc", "sys", "etc", "tmp", "www", "var/lib", "usr/share/data"):
        (folder / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, folder / "bin/busybox")
    for applet in ("sh", "cat", "wget", "sleep", "test", "grep", "httpd", "ls", "true", "false", "echo", "env", "id", "kill", "mkdir", "ps", "touch"):
        (folder / "bin" / applet).symlink_to("busybox")
    (folder / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    (folder / "www/version").write_text(version + "\n")
    _script(folder / "sbin/service", "exec /bin/httpd -f -p 127.0.0.1:80 -h /www" if starts else "exit 3")
    expected = version if healthy else "another one than " + version
    _script(folder / "sbin/probe", f'until got="$(/bin/wget -q -O - http://127.0.0.1:80/version)"; do /bin/sleep 0.1; done\n'
            f'[ "$got" = "{expected}" ] || {{ echo "answered $got, not {expected}"; exit 1; }}')
    if noise_bytes:
        (folder / "usr/share/data/same").write_bytes(noise("same", noise_bytes))
    if changed_bytes:
        (folder / "usr/share/data/changed").write_bytes(noise(version, changed_bytes))
    return folder


def _script(path: Path, body: str) -> None:
    path.write_text("#!/bin/sh\n" + body + "\n")
    os.chmod(path, 0o755)


def fingerprint(folder: Path) -> dict[str, tuple]:
    """All that a tree holds, for telling whether anything changed: path → kind, mode, owner, content or target."""
    found: dict[str, tuple] = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        what: object = None
        if path.is_symlink():
            what = os.readlink(path)
        elif path.is_file():
            what = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        found[str(path.relative_to(folder))] = (stat.st_mode, stat.st_uid, stat.st_gid, what)
    return found
