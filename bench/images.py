#!/usr/bin/env python3
"""What an update costs a device that runs from an image instead of a tree, by the image's format: bytes of the full, dedupe and delta pack,
and what both lie on the flash as.

Two pairs of trees before and after Debian's security updates: the test device's lighttpd and the demo's nginx. Writes
build/report/images.json and prints the table of docs/operator.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in ("tests", "demo", "deploy/test-device"):
    sys.path.insert(0, str(HERE.parent / folder))

import rootfs  # noqa: E402
import service  # noqa: E402
from harness.images import make_image  # noqa: E402
from harness.process import BUILD, INSTAR  # noqa: E402

NGINX = rootfs.PACKAGES
# The name of a way, the file system (none: the tree itself), options of its tool.
WAYS = (
    ("tree", None, ()),
    ("squashfs, gzip (its default)", "squashfs", ()),
    ("squashfs, xz", "squashfs", ("-comp", "xz")),
    ("squashfs, zstd", "squashfs", ("-comp", "zstd")),
    ("squashfs, lz4", "squashfs", ("-comp", "lz4")),
    ("squashfs, not compressed", "squashfs", ("-noI", "-noD", "-noF", "-noX")),
    ("erofs, not compressed", "erofs", ()),
    ("erofs, lz4hc", "erofs", ("-zlz4hc",)),
    ("ext4", "ext4", ()),
)


def nginx_pair(folder: Path) -> dict[str, Path]:
    rootfs.PACKAGES = NGINX
    trees, differences = rootfs.make_releases(folder)
    print("nginx: " + "; ".join(differences))
    return {"old": trees["1.0"], "new": trees["2.0"]}


def lighttpd_pair(folder: Path) -> dict[str, Path]:
    old, new, _ = service.packages(folder / "debs")
    print("lighttpd: " + "; ".join(f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name]))
    trees = {}
    for age, release in (("old", "1.0"), ("new", "2.0")):
        trees[age] = service.base_tree(folder, age)
        (trees[age] / "www/release").write_text(release + "\n")
    return trees


def on_flash(path: Path) -> int:
    """Blocks that it takes, hard links counted once."""
    seen = {}
    for each in [path, *path.rglob("*")]:
        info = each.lstat()
        seen[info.st_ino] = info.st_blocks * 512
    return sum(seen.values())


def measure(trees: dict[str, Path], way: tuple, folder: Path) -> dict:
    name, file_system, options = way
    sources = trees
    if file_system:
        sources = {age: make_image(tree, file_system, folder / f"{age}.{file_system}", *options) for age, tree in trees.items()}
    command = [INSTAR, "pack", sources["new"], "--base", sources["old"], "--keep-costly", "--json", "-o", folder / "out"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"images.py: {name}: {done.stderr}")
    found = json.loads(done.stdout)
    (base,) = found["bases"]
    (delta,) = [pack for pack in found["packs"] if pack["kind"] == "delta"]
    return {"way": name, "flash_bytes": on_flash(sources["new"]), "full_bytes": base["full_bytes"], "dedupe_bytes": base["dedupe_bytes"],
            "delta_bytes": base["delta_bytes"], "delta_memory_bytes": delta["memory_bytes"]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--pairs", default="lighttpd,nginx", help="which, by commas")
    chosen = options.parse_args()
    pairs = {"lighttpd": lighttpd_pair, "nginx": nginx_pair}
    report = {}
    with tempfile.TemporaryDirectory() as work:
        for pair in chosen.pairs.split(","):
            folder = Path(work) / pair
            folder.mkdir()
            trees = pairs[pair](folder)
            report[pair] = []
            for number, way in enumerate(WAYS):
                (folder / str(number)).mkdir()
                row = measure(trees, way, folder / str(number))
                report[pair].append(row)
                print(f"| {row['way']} | " + " | ".join(f"{row[key]:,}" for key in row if key.endswith("_bytes") and "memory" not in key) + " |")
    path = BUILD / "report/images.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
