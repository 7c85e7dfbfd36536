"""Methods that send the chunks, blocks or ranges which a device does not hold yet, found by an index."""

import shutil
import zlib
from pathlib import Path

from method import Bench, Figures, Method, figures, size_of
from pairs import TIME_STAMP
from webserver import WebServer


class Casync(Method):
    """The device fetches the index and the compressed chunks that its own tree does not give."""
    packages = ["casync"]
    what = "the index and the compressed chunks that the old tree does not hold"

    def __init__(self, kib: int):
        self.name = f"casync-{kib}k"
        self._bytes = kib * 1024
        self.commands = [f"casync make --chunk-size={self._bytes} --store=chunks new.caidx NEW",
                         "casync extract --store=chunks --seed=OLD new.caidx DEST"]

    def measure(self, bench: Bench) -> Figures:
        work = bench.work
        make = ["casync", "make", f"--chunk-size={self._bytes}"]
        bench.run(*make, "--store=old.castr", "old.caidx", bench.pair.old)
        producer = bench.run(*make, "--store=new.castr", "new.caidx", bench.pair.new)
        held = {path.name for path in (work / "old.castr").rglob("*.cacnk")}
        missing = [path for path in (work / "new.castr").rglob("*.cacnk") if path.name not in held]
        wire = {"index": size_of(work / "new.caidx"), "chunks": sum(map(size_of, missing))}
        device = bench.run("casync", "extract", "--store=new.castr", f"--seed={bench.pair.old}", "new.caidx", "dest")
        bench.expect_tree(work / "dest")
        return figures(wire, device, producer)


class Zchunk(Method):
    """Chunks of a tar, compressed with a dictionary that was trained on the old release."""
    name = "zchunk"
    packages = ["zchunk"]
    what = "the header and the chunks that old.zck does not hold; content of HTTP, without its headers"
    commands = ["zck old.tar && zck_gen_zdict old.tar.zck", "zck -D old.zdict new.tar", "zckdl -s old.tar.zck URL/new.tar.zck && unzck new.tar.zck"]

    def measure(self, bench: Bench) -> Figures:
        work = bench.work
        server, device_folder = work / "server", work / "device"
        server.mkdir()
        device_folder.mkdir()
        for tar, name in zip(bench.tars(), ("old.tar", "new.tar")):
            (server / name).symlink_to(tar)
        bench.run("zck", "-o", "plain.zck", "old.tar", cwd=server)
        bench.run("zck_gen_zdict", "plain.zck", cwd=server)
        dictionary = next(server.glob("*.zdict"))
        bench.run("zck", "-D", dictionary, "-o", "old.tar.zck", "old.tar", cwd=server)
        producer = bench.run("zck", "-D", dictionary, "-o", "new.tar.zck", "new.tar", cwd=server)
        shutil.copy(server / "old.tar.zck", device_folder)
        with WebServer(server) as web:
            device = bench.run("zckdl", "-s", "old.tar.zck", f"{web.url}/new.tar.zck", cwd=device_folder)
            wire = web.body_bytes
        device = device.then(bench.run("unzck", "new.tar.zck", cwd=device_folder))
        bench.expect_file(device_folder / "new.tar", server / "new.tar")
        return figures({"header and chunks": wire}, device, producer)


class Zsync(Method):
    """Ranges of a gzip file that was made so that its blocks can be fetched alone."""
    name = "zsync"
    packages = ["zsync"]
    what = "the .zsync file and ranges of new.tar.gz; content of HTTP, without its headers"
    commands = ["zsyncmake -z -u new.tar.gz new.tar", "zsync -i old.tar URL/new.tar.zsync"]

    def measure(self, bench: Bench) -> Figures:
        server = bench.work / "server"
        device_folder = bench.work / "device"
        server.mkdir()
        device_folder.mkdir()
        old, new = bench.tars()
        (server / "new.tar").symlink_to(new)
        with WebServer(server) as web:
            producer = bench.run("zsyncmake", "-z", "-u", f"{web.url}/new.tar.gz", "-o", "new.tar.zsync", "new.tar", cwd=server)
            device = bench.run("zsync", "-i", old, "-o", "out.tar", f"{web.url}/new.tar.zsync", cwd=device_folder)
            wire = web.body_bytes
        bench.expect_file(device_folder / "out.tar", new)
        return figures({".zsync": size_of(server / "new.tar.zsync"), "ranges": wire - size_of(server / "new.tar.zsync")}, device, producer)


class Rsync(Method):
    """A batch for a known old tree."""
    name = "rsync"
    packages = ["rsync", "zstd"]
    what = "the batch, compressed with zstd 19"
    commands = ["rsync -a --delete --checksum --no-whole-file --only-write-batch=batch NEW/ OLD/ && zstd -19 batch",
                "zstd -dc batch.zst | rsync -a --delete --checksum --read-batch=- TREE/"]

    def measure(self, bench: Bench) -> Figures:
        device_tree = bench.copy_of_old()
        producer = bench.run("rsync", "-a", "--delete", "--checksum", "--no-whole-file", "--only-write-batch=batch", f"{bench.pair.new}/",
                             f"{device_tree}/").then(bench.run("zstd", "-q", "-19", "batch"))
        device = bench.shell(f"zstd -q -dc batch.zst | rsync -a --delete --checksum --read-batch=- {device_tree}/")
        bench.expect_tree(device_tree)
        return figures({"batch": size_of(bench.work / "batch.zst")}, device, producer)


class RaucAdaptive(Method):
    """RAUC's block-hash-index, computed: streaming needs a kernel's network block devices and a bundle mounted."""
    name = "rauc-adaptive"
    packages = ["e2fsprogs"]
    what = ("computed as RAUC's block-hash-index does on ext4 images: 32 bytes for each block of 4 KiB, and each block that the old image "
            "lacks, compressed alone by zlib 9, which is the best that a bundle can do; not streamed, so no memory and no time")
    commands = ["mke2fs -t ext4 -b 4096 -d NEW new.ext4 (a tenth larger than its content)"]
    BLOCK = 4096

    def measure(self, bench: Bench) -> Figures:
        blocks = max(self._blocks(bench.pair.old), self._blocks(bench.pair.new))
        held = set(self._split(self._image(bench, bench.pair.old, "old.ext4", blocks)))
        new = self._split(self._image(bench, bench.pair.new, "new.ext4", blocks))
        missing = {block for block in new} - held
        return figures({"index": 32 * len(new), "blocks": sum(len(zlib.compress(block, 9)) for block in missing)}, None, None)

    def _blocks(self, tree: Path) -> int:
        paths = list(tree.rglob("*"))
        data = sum(-(-p.lstat().st_size // self.BLOCK) for p in paths if p.is_file() and not p.is_symlink())
        return int((data + len(paths) // 8 + 2048) * 1.1)

    def _image(self, bench: Bench, tree: Path, name: str, blocks: int) -> Path:
        image = bench.work / name
        identity = "00000000-0000-4000-8000-000000000001"
        bench.run("env", f"E2FSPROGS_FAKE_TIME={TIME_STAMP}", "mke2fs", "-q", "-t", "ext4", "-b", str(self.BLOCK), "-O", "^has_journal",
                  "-U", identity, "-E", f"hash_seed={identity},root_owner=0:0", "-d", tree, image, str(blocks))
        return image

    def _split(self, image: Path) -> list[bytes]:
        content = image.read_bytes()
        return [content[at:at + self.BLOCK] for at in range(0, len(content), self.BLOCK)]


def chunks() -> list[Method]:
    return [Casync(64), Casync(16), Zchunk(), Zsync(), Rsync(), RaucAdaptive()]
