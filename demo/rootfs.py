"""Root file systems for the demo: nginx with its libraries, unpacked from Debian packages, once from the oldest and once from the
newest versions that the configured mirrors offer."""

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ["nginx", "nginx-common", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "openssl", "zlib1g", "tzdata", "ca-certificates",
            "busybox-static"]
# Nothing that runs reads these.
LEFT_OUT = ["usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/info", "usr/share/locale"]

NGINX_CONF = """\
user root;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:8080;
    location = /release {{ return 200 "{release}\\n"; }}
    location = /health {{ return {health}; }}
  }}
}}
"""


class NoPackages(Exception):
    """The mirrors do not offer what the demo is made of; the message says what to do."""


@dataclass(frozen=True)
class Version:
    package: str
    version: str


def _compare(a: str, b: str) -> int:
    if a == b:
        return 0
    return -1 if subprocess.run(["dpkg", "--compare-versions", a, "lt", b]).returncode == 0 else 1


def versions() -> dict[str, list[str]]:
    """What the mirrors offer of each package, oldest first."""
    out = subprocess.run(["apt-cache", "madison", *PACKAGES], capture_output=True, text=True).stdout
    found: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for line in out.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages") and fields[0] in found:
            found[fields[0]].add(fields[1])
    return {package: sorted(offered, key=functools.cmp_to_key(_compare)) for package, offered in found.items()}


def downloaded(package: str, version: str, debs: Path) -> Path | None:
    prefix = f"{package}_{version.replace(':', '%3a')}_"
    return next((p for p in debs.glob("*.deb") if p.name.startswith(prefix)), None)


def download(wanted: list[Version], debs: Path) -> None:
    """Into `debs`, what is not there yet. A version that the mirror no longer has is left out without a word."""
    wanted = [w for w in wanted if not downloaded(w.package, w.version, debs)]
    if wanted:
        subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *[f"{w.package}={w.version}" for w in wanted]],
                       cwd=debs, capture_output=True)


def choose(debs: Path) -> tuple[list[tuple[Version, Path]], list[tuple[Version, Path]]]:
    """The oldest and the newest version of each package that can really be downloaded."""
    debs.mkdir(parents=True, exist_ok=True)
    offered = versions()
    if not all(offered.values()):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        offered = versions()
    # All at once is quick; whatever that did not bring is asked for one by one.
    download([Version(p, v) for p, all_versions in offered.items() for v in {*all_versions[:1], *all_versions[-1:]}], debs)
    chosen: tuple[list[tuple[Version, Path]], list[tuple[Version, Path]]] = ([], [])
    for into, newest_first in zip(chosen, (False, True)):
        for package, all_versions in offered.items():
            for version in reversed(all_versions) if newest_first else all_versions:
                download([Version(package, version)], debs)
                if file := downloaded(package, version, debs):
                    into.append((Version(package, version), file))
                    break
            else:
                raise NoPackages(f"the Debian mirrors offer no {package} that can be downloaded: check the network and "
                                 "/etc/apt/sources.list, then run `apt-get update`")
    return chosen


def unpack(chosen: list[tuple[Version, Path]], tree: Path) -> None:
    if tree.exists():
        shutil.rmtree(tree)
    tree.mkdir(parents=True)
    for _, deb in chosen:
        subprocess.run(["dpkg", "-x", str(deb), str(tree)], check=True)
    for folder in LEFT_OUT:
        shutil.rmtree(tree / folder, ignore_errors=True)
    for folder in ("proc", "sys", "dev", "run", "tmp", "var/log/nginx", "var/lib/nginx"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")


def configure(tree: Path, release: str, health: str) -> None:
    """What a release of the demo differs in besides its packages."""
    (tree / "etc/nginx/nginx.conf").write_text(NGINX_CONF.format(release=release, health=health))
    init = tree / "sbin/init"
    init.parent.mkdir(exist_ok=True)
    init.write_text("#!/bin/busybox sh\nexec /usr/sbin/nginx -g 'daemon off;'\n")
    os.chmod(init, 0o755)


def size_of(tree: Path) -> int:
    return sum(p.lstat().st_size for p in tree.rglob("*") if p.is_file() and not p.is_symlink())


def changed(old: list[tuple[Version, Path]], new: list[tuple[Version, Path]]) -> list[str]:
    """`libssl3 3.0.17-1 → 3.0.22-1` for each package that differs."""
    return [f"{a.package} {a.version} → {b.version}" for (a, _), (b, _) in zip(old, new) if a != b]


def make_releases(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Trees of the three releases, and what changed from the first to the second."""
    old, new = choose(folder / "debs")
    differences = changed(old, new)
    if not differences:
        raise NoPackages("the Debian mirrors offer only one version of each package, so that a second release would have no new "
                         "content: add bookworm-security to /etc/apt/sources.list, then run `apt-get update`")
    trees = {name: folder / "trees" / name for name in ("1.0", "2.0", "3.0")}
    for name, packages, health in (("1.0", old, '200 "fine\\n"'), ("2.0", new, '200 "fine\\n"'), ("3.0", new, '500 "broken\\n"')):
        unpack(packages, trees[name])
        configure(trees[name], name, health)
    return trees, differences
