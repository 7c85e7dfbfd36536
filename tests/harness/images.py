"""File systems in a file, made of a tree: what containers run from on devices without room for trees."""

import subprocess
from pathlib import Path

IDENTITY = "4e1f2c9a-0000-4000-8000-000000000001"


def make_image(tree: Path, file_system: str, image: Path, *options: str) -> Path:
    """The same image for the same tree. `options`: further ones of the tool."""
    image.parent.mkdir(parents=True, exist_ok=True)
    image.unlink(missing_ok=True)
    if file_system == "squashfs":
        command = ["mksquashfs", tree, image, "-quiet", "-no-progress", "-noappend", "-all-root", "-mkfs-time", "0", "-all-time", "0", *options]
    elif file_system == "erofs":
        command = ["mkfs.erofs", "--quiet", "-T0", "-U", IDENTITY, "--all-root", *options, image, tree]
    else:
        kilobytes = sum(path.lstat().st_size for path in tree.rglob("*")) // 1024
        command = ["mkfs.ext4", "-q", "-d", tree, "-O", "^has_journal", "-m", "0", "-b", "4096", "-U", IDENTITY,
                   "-E", f"hash_seed={IDENTITY},root_owner=0:0", *options, image, f"{kilobytes + kilobytes // 4 + 1024}k"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return image


def attached_below(folder: Path) -> list[str]:
    """Loop devices whose file lies below `folder`."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if backing.read_text().startswith(str(folder.resolve()) + "/"):
                found.append(backing.parts[3])
        except OSError:  # let go of meanwhile
            continue
    return sorted(found)
