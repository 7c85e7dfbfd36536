"""Ways to update that write into a second slot, or whose own form is an image of a file system: SWUpdate and RAUC."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from box import Box, Cut, Disk, Failed, tool
from pairs import TIME_STAMP
from updater import Job, Updater, copy_tree

SLOT_BYTES = 8 << 20
IDENTITY = "00000000-0000-4000-8000-000000000001"


def image(job: Job, tree: Path) -> Path:
    """The tree as ext4 of the size of a slot, the same whoever makes it."""
    at = job.work / f"{tree.name}.ext4"
    if not at.exists():
        tool("env", f"E2FSPROGS_FAKE_TIME={TIME_STAMP}", "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-U", IDENTITY, "-E",
             f"hash_seed={IDENTITY},root_owner=0:0", "-d", tree, at, f"{SLOT_BYTES >> 10}k")
    return at


def certificate(job: Job) -> None:
    if not (job.work / "cert.pem").exists():
        tool("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=test", "-addext",
             "extendedKeyUsage=emailProtection", "-keyout", job.work / "key.pem", "-out", job.work / "cert.pem")


def mounted(box: Box, slot: Disk) -> Path:
    """The content of a slot, to look at."""
    place = box.folder / "looked-at"
    place.mkdir(exist_ok=True)
    tool("mount", "-o", "ro", slot.device, place)
    found = box.folder / "found"
    copy_tree(place, found)
    tool("umount", place)
    shutil.rmtree(found / "lost+found", ignore_errors=True)
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Swupdate(Updater):
    packages = ["swupdate"]
    programs = ["/usr/bin/swupdate"]
    checks = "a CMS signature over sw-description, which names each file by SHA-256"
    reboot = "by the device's own boot loader or script"

    def update(self, job: Job, box: Box) -> None:
        box.run(*self._command(job, box), "-d", f"-u {job.url}/new.swu -r 1", env=job.bin.environment())

    def _command(self, job: Job, box: Box) -> list:
        return [job.bin.folder / "bin/swupdate", "-H", "test-box:1", "-k", job.work / "cert.pem"]

    def idle_pss_kib(self, job: Job, box: Box) -> int | None:
        """The daemon that waits for an update on its socket."""
        box.spawn(*self._command(job, box), env=job.bin.environment())
        return box.idle_pss_kib(2)

    def _bundle(self, job: Job, payload: Path, lines: list[str]) -> None:
        """The .swu: an archive of the description, its signature and one file."""
        certificate(job)
        swu = job.work / "swu"
        swu.mkdir(exist_ok=True)
        shutil.copy(payload, swu / payload.name)
        inside = "\n".join(f"    {line}" for line in [f'filename = "{payload.name}";', f'sha256 = "{sha256(payload)}";', *lines])
        (swu / "sw-description").write_text(
            f'software = {{\n  version = "2.0";\n  hardware-compatibility: ["1"];\n  images: ( {{\n{inside}\n  }} );\n}}\n')
        tool("openssl", "cms", "-sign", "-in", swu / "sw-description", "-out", swu / "sw-description.sig", "-signer", job.work / "cert.pem",
             "-inkey", job.work / "key.pem", "-outform", "DER", "-nosmimecap", "-binary")
        names = "\n".join(["sw-description", "sw-description.sig", payload.name]) + "\n"
        done = subprocess.run(["cpio", "-o", "-H", "crc", "-C", "4", "-O", str(job.web / "new.swu")], cwd=swu, input=names, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"cpio made no {job.web / 'new.swu'}: {done.stderr.strip()}")


class SwupdateArchive(Swupdate):
    name = "swupdate, archive"
    what = "a .swu with all files as a tar compressed by zstd, unpacked beside the old tree while it comes"
    commands = ["swupdate -d '-u URL/new.swu'"]
    room = "the new tree"

    def serve(self, job: Job) -> None:
        tool("zstd", "-q", "-19", "-f", job.tar(job.new), "-o", job.work / "new.tar.zst")

    def provision(self, job: Job, box: Box) -> None:
        copy_tree(job.old, box.place / "old")
        self._bundle(job, job.work / "new.tar.zst", [
            'type = "archive";', f'path = "{box.place}/new";', "preserve-attributes = true;", "installed-directly = true;",
            'properties: { create-destination = "true"; };'])

    def result(self, job: Job, box: Box) -> Path:
        return box.place / "new"


class SwupdateSlot(Swupdate):
    room = "a slot as large as the root"

    def provision(self, job: Job, box: Box) -> None:
        running, other = box.slot(SLOT_BYTES, image(job, job.old)), box.slot(SLOT_BYTES)
        self._offer(job, running, other)

    def _offer(self, job: Job, running: Disk, other: Disk) -> None:
        raise NotImplementedError

    def result(self, job: Job, box: Box) -> Path:
        return mounted(box, box.slots[1])


class SwupdateDelta(SwupdateSlot):
    name = "swupdate, delta"
    what = "zchunk's header of an ext4 image in the .swu, the chunks that the running slot does not hold by ranges, written to the other slot"
    commands = ["swupdate -d '-u URL/new.swu'    # type = \"delta\"; source = RUNNING SLOT; chain = \"raw\""]
    packages = ["swupdate", "zchunk"]

    def serve(self, job: Job) -> None:
        tool("zck", "-u", "--chunk-hash-type", "sha256", "-o", job.web / "new.zck", image(job, job.new))
        header = next(line for line in tool("zck_read_header", job.web / "new.zck").splitlines() if line.startswith("Header size:"))
        with (job.web / "new.zck").open("rb") as file:
            (job.work / "new.header").write_bytes(file.read(int(header.split(":")[1])))

    def _offer(self, job: Job, running: Disk, other: Disk) -> None:
        self._bundle(job, job.work / "new.header", [
            'type = "delta";', f'device = "{other.device}";',
            f'properties: {{ url = "{job.url}/new.zck"; chain = "raw"; source = "{running.device}"; zckloglevel = "error"; }};'])


class SwupdateRdiff(SwupdateSlot):
    name = "swupdate, rdiff"
    what = "an rdiff patch between two ext4 images, compressed by zstd, from the running slot into the other"
    commands = ["swupdate -d '-u URL/new.swu'    # type = \"rdiff_image\"; rdiffbase = RUNNING SLOT"]

    def serve(self, job: Job) -> None:
        tool("rdiff", "signature", image(job, job.old), job.work / "signature")
        tool("rdiff", "delta", job.work / "signature", image(job, job.new), job.work / "patch")
        tool("zstd", "-q", "-19", "-f", job.work / "patch", "-o", job.work / "patch.zst")

    def _offer(self, job: Job, running: Disk, other: Disk) -> None:
        self._bundle(job, job.work / "patch.zst", [
            'type = "rdiff_image";', f'device = "{other.device}";', 'compressed = "zstd";', "installed-directly = true;",
            f'properties: {{ rdiffbase = "{running.device}"; }};'])


BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/></policy></busconfig>
"""


class Rauc(Updater):
    """Its service on a bus of its own. The boot loader is RAUC's `noop`: which slot runs is said on its command line."""
    packages = ["rauc", "dbus"]
    programs = ["/usr/bin/rauc", "/usr/bin/dbus-daemon"]
    checks = "a CMS signature over the bundle"
    room, reboot = "a slot as large as the root", "yes, into the other slot"
    form = "plain"

    def serve(self, job: Job) -> None:
        certificate(job)
        bundle = job.work / "bundle"
        bundle.mkdir()
        shutil.copy(job.tar(job.new), bundle / "rootfs.tar")
        (bundle / "manifest.raucm").write_text(
            f"[update]\ncompatible=test-box\nversion=2.0\n\n[bundle]\nformat={self.form}\n\n[image.rootfs]\nfilename=rootfs.tar\n")
        tool("rauc", *self._keys(job), "--mksquashfs-args=-comp xz -Xdict-size 100%", "bundle", bundle, job.web / "new.raucb")

    def _keys(self, job: Job) -> list[str]:
        return [f"--cert={job.work}/cert.pem", f"--key={job.work}/key.pem", f"--keyring={job.work}/cert.pem"]

    def provision(self, job: Job, box: Box) -> None:
        slots = [box.slot(SLOT_BYTES, image(job, job.old)), box.slot(SLOT_BYTES)]
        tables = "".join(f"\n[slot.rootfs.{number}]\ndevice={slot.device}\ntype=ext4\nbootname={'AB'[number]}\n" for number, slot in enumerate(slots))
        (box.place / "mnt").mkdir()
        (box.place / "system.conf").write_text(
            f"[system]\ncompatible=test-box\nbootloader=noop\nstatusfile={box.place}/status\nmountprefix={box.place}/mnt\n"
            f"\n[keyring]\npath={job.work}/cert.pem\n\n[casync]\ninstall-args=--hardlink=no\n{tables}")
        (box.place / "bus.conf").write_text(BUS.format(socket=box.place / "bus"))

    def _environment(self, job: Job, box: Box) -> dict[str, str]:
        return job.bin.environment() | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={box.place}/bus"}

    def _start(self, job: Job, box: Box) -> dict[str, str]:
        """The bus and the service; what its clients need to find them."""
        (box.place / "bus").unlink(missing_ok=True)
        environment = self._environment(job, box)
        box.spawn(job.bin.folder / "bin/dbus-daemon", f"--config-file={box.place}/bus.conf", "--nofork", env=environment)
        self._wait("dbus-daemon made no socket", box, (box.place / "bus").exists)
        box.spawn(job.bin.folder / "bin/rauc", "-c", box.place / "system.conf", "--override-boot-slot=A", "service", env=environment)
        self._wait("the service of RAUC is not on the bus", box, lambda: self._on_bus(environment))
        return environment

    def _wait(self, what: str, box: Box, check: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while not check():
            if box.was_cut:
                raise Cut
            if time.monotonic() > until:
                raise Failed(f"{what} within 20 s: {box.tail()}")
            time.sleep(0.02)

    def _on_bus(self, environment: dict[str, str]) -> bool:
        """Asked from outside of the box."""
        done = subprocess.run(["dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner",
                               "string:de.pengutronix.rauc"], env=environment, capture_output=True, text=True)
        return "boolean true" in done.stdout

    def update(self, job: Job, box: Box) -> None:
        environment = self._start(job, box)
        box.run(job.bin.folder / "bin/rauc", "install", f"{job.url}/new.raucb", env=environment)
        box.kill()

    def idle_pss_kib(self, job: Job, box: Box) -> int | None:
        self._start(job, box)
        return box.idle_pss_kib(2)

    def result(self, job: Job, box: Box) -> Path:
        return mounted(box, box.slots[1])


class RaucPlain(Rauc):
    name = "rauc, tar"
    what = "a bundle in the format `plain` with all files as a tar, fetched whole, then unpacked into the other slot"
    commands = ["rauc install URL/new.raucb"]


class RaucCasync(Rauc):
    name = "rauc, casync"
    what = "the same bundle converted to casync: chunks that the running slot does not hold, into the other slot"
    commands = ["rauc convert new.raucb new-casync.raucb", "rauc install URL/new-casync.raucb"]
    packages = ["rauc", "dbus", "casync"]
    programs = [*Rauc.programs, "/usr/bin/casync", "/usr/lib/casync/protocols/casync-http"]

    def serve(self, job: Job) -> None:
        super().serve(job)
        whole = job.web / "new.raucb"
        whole.rename(job.work / "whole.raucb")
        tool("rauc", *self._keys(job), "convert", job.work / "whole.raucb", job.web / "new.raucb")

    def _environment(self, job: Job, box: Box) -> dict[str, str]:
        return super()._environment(job, box) | {"CASYNC_PROTOCOL_PATH": str(job.bin.folder / "bin")}


class RaucStreaming(Rauc):
    name = "rauc, streaming"
    what = "a bundle in the format `verity`, read block by block over HTTP"
    commands = ["rauc install URL/new.raucb    # format=verity"]
    form = "verity"
    not_here = "it mounts the bundle by dm-verity over a network block device, and the kernel of this machine has neither"
