"""Mender's client, alone as it runs without a server (`mender install`): its module for a folder of files, and its images of a root file system."""

import json
import shutil
import subprocess
from pathlib import Path

from box import Box, tool
from slots import SLOT_BYTES, image, mounted
from updater import Job, Updater, copy_tree

# What the environment of U-Boot holds on a device with two root file systems.
BOOT = "mender_boot_part=1\nmender_boot_part_hex=1\nupgrade_available=0\nbootcount=0\nmender_check_saveenv_canary=0\n"


class Mender(Updater):
    packages = ["mender-client"]
    programs = ["/usr/bin/mender"]
    checks = "a signature over the artifact (ECDSA)"
    commands = ["mender install URL/new.mender", "mender commit"]

    def serve(self, job: Job) -> None:
        tool("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", job.work / "key.pem")
        tool("openssl", "pkey", "-in", job.work / "key.pem", "-pubout", "-out", job.work / "public.pem")

    def _write(self, job: Job, kind: str, *arguments: object) -> None:
        tool("mender-artifact", "write", kind, "--artifact-name", "2.0", "--device-type", "test-box", *arguments, "--key", job.work / "key.pem",
             "--compression", "lzma", "--output-path", job.web / "new.mender")

    def _configure(self, job: Job, box: Box, more: dict[str, str]) -> None:
        state = box.place / "mender"
        state.mkdir()
        (state / "device_type").write_text("device_type=test-box\n")
        (box.place / "mender.conf").write_text(json.dumps(
            {"ArtifactVerifyKey": str(job.work / "public.pem"), "DBus": {"Enabled": False}, "ServerURL": job.url} | more))

    def _command(self, job: Job, box: Box) -> list:
        return [job.bin.folder / "bin/mender", "--no-syslog", "--config", box.place / "mender.conf", "--data", box.place / "mender"]

    def update(self, job: Job, box: Box) -> None:
        for arguments in (["install", f"{job.url}/new.mender"], ["commit"]):
            box.run(*self._command(job, box), *arguments, env=job.bin.environment())

    def idle_pss_kib(self, job: Job, box: Box) -> int | None:
        """A daemon without a server that takes it: it asks again later."""
        box.spawn(*self._command(job, box), "daemon", env=job.bin.environment())
        return box.idle_pss_kib(5)


class MenderModule(Mender):
    name = "mender-client, directory"
    what = "an artifact with all files, compressed by LZMA, and the update module `directory`, which keeps the old files as a tar until the commit"
    room, reboot = "the old files, and the new ones once more", "no"

    def provision(self, job: Job, box: Box) -> None:
        self._artifact(job, box)
        copy_tree(job.old, box.place / "tree")
        self._configure(job, box, {})
        # Only this file has a fixed place.
        etc = box.folder / "etc-mender"
        etc.mkdir()
        (etc / "artifact_info").write_text("artifact_name=1.0\n")
        tool("mount", "--bind", etc, "/etc/mender")

    def _artifact(self, job: Job, box: Box) -> None:
        """It names the folder on the device, so each box has one of its own."""
        files = job.work / "files"
        files.mkdir(exist_ok=True)
        shutil.copy(job.tar(job.new), files / "update.tar")
        (files / "dest_dir").write_text(f"{box.place}/tree\n")
        self._write(job, "module-image", "--type", "directory", "--file", files / "update.tar", "--file", files / "dest_dir")

    def result(self, job: Job, box: Box) -> Path:
        return box.place / "tree"

    def close(self, box: Box) -> None:
        subprocess.run(["umount", "/etc/mender"], capture_output=True)


class MenderRootfs(Mender):
    """It looks which of its two slots is mounted as /, so it runs in the running one, with this machine's tools over it. U-Boot's environment is
    a file, kept by Debian's fw_setenv."""
    name = "mender-client, rootfs-image"
    packages = ["mender-client", "libubootenv-tool"]
    programs = ["/usr/bin/mender", "/usr/bin/fw_printenv", "/usr/bin/fw_setenv"]
    what = "an artifact with the whole ext4 image, compressed by LZMA, written to the other slot; the reboot between its two commands is left out"
    room, reboot = "a slot as large as the root", "yes, into the other slot"
    TOOLS = ["usr", "lib", "bin", "sbin", "lib64", "dev", "proc"]

    def serve(self, job: Job) -> None:
        super().serve(job)
        self._write(job, "rootfs-image", "--file", image(job, job.new))

    def provision(self, job: Job, box: Box) -> None:
        running, other = box.slot(SLOT_BYTES, image(job, job.old)), box.slot(SLOT_BYTES)
        self._configure(job, box, {"RootfsPartA": running.device, "RootfsPartB": other.device})
        root = self._root(box)
        root.mkdir()
        tool("mount", running.device, root)
        files = {"etc/mender/artifact_info": "artifact_name=1.0\n", "etc/fw_env.config": f"{box.place}/boot.env 0x0 0x4000\n"}
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for name in self.TOOLS:
            (root / name).mkdir(exist_ok=True)
            tool("mount", "--bind", f"/{name}", root / name)
        # What this bench has made is where it is outside.
        for place in (box.place, job.bin.folder, job.work):
            inside = root / place.relative_to("/")
            inside.mkdir(parents=True, exist_ok=True)
            tool("mount", "--bind", place, inside)
        (box.place / "boot.env").write_bytes(bytes(0x4000))
        (box.place / "boot.txt").write_text(BOOT)
        tool("chroot", root, "fw_setenv", "-f", box.place / "boot.txt", "-s", box.place / "boot.txt")

    def _root(self, box: Box) -> Path:
        return box.folder / "root"

    def _command(self, job: Job, box: Box) -> list:
        return ["chroot", self._root(box), *super()._command(job, box)]

    def result(self, job: Job, box: Box) -> Path:
        if "mender_boot_part=2" not in tool("chroot", self._root(box), "fw_printenv").split():
            raise AssertionError("the other slot is not the one to boot next")
        return mounted(box, box.slots[1])

    def close(self, box: Box) -> None:
        box.kill()
        subprocess.run(["umount", "--recursive", self._root(box)], capture_output=True)
