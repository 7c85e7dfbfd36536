"""Methods that make one patch from one file to another: here from the tar of the old tree to the tar of the new one.

A device that keeps a tree has to make the old tar again first and unpack the new one afterwards. Neither is counted, which favours
these methods.
"""

from method import PRODUCER_MEMORY_MAX, Bench, Figures, Method, NotMeasured, figures, size_of


class Patch(Method):
    """`make` and `apply` are lines of shell with {old}, {new}, {patch} and {out}."""
    what = "a patch between the two tars"

    def __init__(self, name: str, package: str, make: str, apply: str, note: str = ""):
        self.name, self.packages, self.note = name, [package], note
        self._make, self._apply = make, apply
        self.commands = [line.format(old="old.tar", new="new.tar", patch="patch", out="new.tar") for line in (make, apply)]

    def measure(self, bench: Bench) -> Figures:
        old, new = bench.tars()
        patch, out = bench.work / "patch", bench.work / "out"
        self.check(size_of(old), size_of(new))
        producer = bench.shell(self._make.format(old=old, new=new, patch=patch, out=out))
        device = bench.shell(self._apply.format(old=old, new=new, patch=patch, out=out))
        bench.expect_file(out, new)
        return figures({"patch": size_of(patch)}, device, producer, self.note)

    def check(self, old_bytes: int, new_bytes: int) -> None:
        """Throws NotMeasured when making the patch would take more memory than there may be."""


class Bsdiff(Patch):
    def check(self, old_bytes: int, new_bytes: int) -> None:
        needs = max(17 * old_bytes, 9 * old_bytes + new_bytes)
        if needs > PRODUCER_MEMORY_MAX:
            raise NotMeasured(f"bsdiff would take {needs >> 20} MiB, more than the {PRODUCER_MEMORY_MAX >> 20} MiB that it may")


def patches() -> list[Method]:
    return [
        Patch("zstd-patch", "zstd", "zstd -q -f -19 --long=31 --patch-from={old} {new} -o {patch}",
              "zstd -q -f -d --long=31 --patch-from={old} {patch} -o {out}"),
        Patch("xdelta3", "xdelta3", "xdelta3 -e -f -9 -S lzma -B 536870912 -s {old} {new} {patch}",
              "xdelta3 -d -f -B 536870912 -s {old} {patch} {out}"),
        Bsdiff("bsdiff", "bsdiff", "bsdiff {old} {new} {patch}", "bspatch {old} {out} {patch}"),
    ]
