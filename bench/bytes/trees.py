"""Methods that know files: a layer of whole files, and OSTree's static deltas."""

import os
import shutil
from pathlib import Path

from method import TAR_OPTIONS, Bench, Figures, Method, figures, size_of
from pairs import content


class DockerLayer(Method):
    """Changed and new files as a compressed tar, and a whiteout for each removed one."""
    name = "docker-layer"
    packages = ["zstd", "tar"]
    what = "a tar of whole changed files and whiteouts, compressed with zstd 19"
    commands = ["tar -c -T changed | zstd -19 > layer", "zstd -dc layer | tar -x -C TREE"]

    def measure(self, bench: Bench) -> Figures:
        pair = bench.pair
        old, new = content(pair.old), content(pair.new)
        changed = sorted(path for path, what in new.items() if old.get(path) != what)
        changed += sorted(str(path.relative_to(pair.new)) for path in pair.new.rglob("*")
                          if path.is_dir() and not path.is_symlink() and not (pair.old / path.relative_to(pair.new)).is_dir())
        removed = [path for path in old if path not in new]
        whiteouts = bench.work / "whiteouts"
        for path in removed:
            mark = whiteouts / Path(path).parent / f".wh.{Path(path).name}"
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        whiteouts.mkdir(exist_ok=True)
        (bench.work / "changed").write_text("".join(path + "\n" for path in changed))
        (bench.work / "removed").write_text("".join(str(p.relative_to(whiteouts)) + "\n" for p in whiteouts.rglob(".wh.*")))
        producer = bench.shell(f"tar {' '.join(TAR_OPTIONS)} --no-recursion -c -C {pair.new} -T {bench.work}/changed -C {whiteouts} "
                               f"-T {bench.work}/removed | zstd -q -19 > layer")
        tree = bench.copy_of_old()
        device = bench.shell(f"zstd -q -dc layer | tar -x -C {tree} --unlink-first")
        apply_whiteouts(tree, pair.new)
        bench.expect_tree(tree)
        return figures({"layer": size_of(bench.work / "layer")}, device, producer)


def apply_whiteouts(tree: Path, new: Path) -> None:
    """An overlay hides what a whiteout names, and a folder that is left empty."""
    for mark in list(tree.rglob(".wh.*")):
        hidden = mark.with_name(mark.name.removeprefix(".wh."))
        mark.unlink()
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden)
        else:
            hidden.unlink(missing_ok=True)
    for at, _, _ in os.walk(tree, topdown=False):
        if not os.listdir(at) and not (new / Path(at).relative_to(tree)).exists():
            os.rmdir(at)


class Ostree(Method):
    """A static delta that holds all of the update. Left at its default, min-fallback-size would send a large file that OSTree does not
    bsdiff as a whole object, which costs more."""
    name = "ostree-delta"
    packages = ["ostree"]
    what = ("the static delta's superblock and parts, applied offline; not the repository's summary, nor what making the checkout takes. "
            "OSTree bsdiffs no file as large as that of *node* by default")
    commands = ["ostree commit --tree=dir=NEW", "ostree static-delta generate --from=OLD --to=NEW --min-fallback-size=0",
                "ostree static-delta apply-offline DELTA"]

    def measure(self, bench: Bench) -> Figures:
        bench.run("ostree", "init", "--repo=server", "--mode=archive")
        bench.run("ostree", "init", "--repo=device", "--mode=bare-user")
        old = self._commit(bench, bench.pair.old)
        bench.run("ostree", "pull-local", "--repo=device", "server", "main")
        new = self._commit(bench, bench.pair.new)
        producer = bench.run("ostree", "static-delta", "generate", "--repo=server", f"--from={old}", f"--to={new}", "--min-fallback-size=0")
        delta = next((bench.work / "server").glob("deltas/*/*/superblock")).parent
        device = bench.run("ostree", "static-delta", "apply-offline", "--repo=device", delta)
        bench.run("ostree", "checkout", "--repo=device", "-U", new, "dest")
        bench.expect_tree(bench.work / "dest")
        return figures({"delta": size_of(delta)}, device, producer)

    def _commit(self, bench: Bench, tree: Path) -> str:
        return bench.run("ostree", "commit", "--repo=server", "--branch=main", f"--tree=dir={tree}", "--timestamp=@0", "--owner-uid=0",
                         "--owner-gid=0", "--no-xattrs").output.strip()


def trees() -> list[Method]:
    return [DockerLayer(), Ostree()]
