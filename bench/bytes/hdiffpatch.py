"""HDiffPatch, which Debian does not package: measured where its programs are on PATH, else as it was measured before."""

import shutil
import subprocess

from method import Bench, Figures, Method, NotMeasured, figures, size_of

# What its users' recipe gives, patch compressed by xz, on the first pairs of these names: the figures that Instar is held to.
# iot and mb were of the same kind and size as those here, not the same to the byte.
STATED = {"esb": 382_196, "iot": 812_408, "mb": 724_276, "node": 1_743_952}
# Version 4.12.0 on the very pairs of this benchmark, with the options of HdiffPatch below.
NOTE = "measured before, not in this run"
MEASURED = {
    "esb": Figures(348_560, 7_464, 0.09, 6.9, 51_480, 2.61, NOTE),
    "iot": Figures(840_516, 13_072, 0.48, 16.22, 97_348, 4.66, NOTE),
    "mb": Figures(750_984, 9_988, 0.76, 26.08, 68_248, 3.33, NOTE),
    "node": Figures(1_624_667, 17_512, 0.35, 149.32, 282_964, 16.81, NOTE),
}


class HdiffPatchStated(Method):
    name = "hdiffpatch-xz"
    what = "figures stated in advance, patch compressed by xz: not measured here, and none exist for the way back"
    commands = ["hdiffz -m-6 OLD NEW patch && xz -9e patch"]

    def version(self) -> str:
        return "stated"

    def measure(self, bench: Bench) -> Figures:
        if bench.pair.name not in STATED:
            raise NotMeasured("no figure is stated for this pair")
        return Figures(STATED[bench.pair.name], None, None, None, None, note="stated, not measured here; the device takes 8 to 11 MB")


class HdiffPatch(Method):
    name = "hdiffpatch"
    what = ("a patch between the two folders with one LZMA2 stream of 16 MiB; taken from a table where hdiffz "
            "is not on PATH. It carries neither symbolic links nor modes, which are not counted")
    commands = ["hdiffz -m-6 -SD -c-lzma2-9-16m OLD NEW patch", "hpatchz OLD patch DEST"]

    def version(self) -> str:
        if not shutil.which("hdiffz"):
            return "4.12.0, as measured before"
        return subprocess.run(["hdiffz", "-v"], capture_output=True, text=True).stdout.split("\n")[0].strip().rpartition("v")[2]

    def measure(self, bench: Bench) -> Figures:
        if not shutil.which("hdiffz"):
            if bench.pair.name in MEASURED:
                return MEASURED[bench.pair.name]
            raise NotMeasured("hdiffz is not on PATH, and this pair was not measured before")
        producer = bench.run("hdiffz", "-f", "-d", "-m-6", "-SD", "-c-lzma2-9-16m", bench.pair.old, bench.pair.new, "patch")
        device = bench.run("hpatchz", "-f", bench.pair.old, "patch", "dest")
        bench.expect_regular_files(bench.work / "dest")
        return figures({"patch": size_of(bench.work / "patch")}, device, producer)


def hdiffpatch() -> list[Method]:
    return [HdiffPatchStated(), HdiffPatch()]
