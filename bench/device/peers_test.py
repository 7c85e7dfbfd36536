"""That the bench of updaters says what happened, and how large programs are: `python3 -m pytest bench/device`."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / folder) for folder in ("tests", "bench/bytes", "bench/device", "deploy/test-device")]

import peers  # noqa: E402
from box import Failed, Memory, Taken, memory_of  # noqa: E402
from footprint import LIBC, Missing, Programs, libraries  # noqa: E402

TAKEN = Taken(received_bytes=100_000, sent_bytes=2048, written_bytes=3_000_000, space_bytes=4096, peak_pss_kib=900, peak_private_dirty_kib=300,
              largest_pss_kib=800, samples=50, seconds=1.5)


def measured(**changes) -> dict:
    return {"name": "one", "program_bytes": 10_240, "library_bytes": 20_480, "idle_pss_kib": None} | peers.summary([TAKEN]) | changes


class Breaks:
    """An updater's bench that does not get far."""

    def __init__(self, why: Exception | None, not_here: str = ""):
        self.updater, self.why = self, why
        self.name, self.what, self.not_here = "broken", "breaks", not_here
        self.room = self.reboot = self.checks = "none"

    def measure(self, rounds: int, cut: bool) -> dict:
        if self.why:
            raise self.why
        return measured(name=self.name)


@pytest.mark.parametrize("why", [Failed("no\n  route"), Missing("no program"), OSError("no disk"), AssertionError("waited in vain")])
def test_what_fails_has_a_row_and_makes_the_run_fail(why):
    rows = [measured(), peers.attempt(Breaks(why), 1, False)]
    assert rows[1]["failed"] == " ".join(str(why).split())
    assert "did not run: " + rows[1]["failed"] in peers.table(rows, 1000)
    assert peers.faults(rows) == [f"broken: {rows[1]['failed']}"]


def test_what_is_known_not_to_run_here_has_a_row_with_the_reason_and_what_was_tried():
    row = peers.attempt(Breaks(Failed("cannot open /dev/x"), not_here="no device-mapper"), 1, False)
    assert row["failed"] == "cannot open /dev/x"
    assert "did not run: no device-mapper" in peers.table([row], 1000)
    assert peers.faults([measured(), row]) == []


def test_what_runs_against_expectation_has_figures_and_says_so():
    row = peers.attempt(Breaks(None, not_here="no device-mapper"), 1, False)
    assert "no device-mapper" in row["surprise"]
    assert peers.faults([row]) == []


def test_a_run_without_figures_is_a_failure():
    known = peers.attempt(Breaks(Failed("x"), not_here="y"), 1, False)
    assert peers.faults([]) == peers.faults([known]) == ["nothing was measured"]


def test_a_peak_from_a_few_samples_is_no_figure():
    assert "too few" in peers.faults([measured(samples=2)])[0]


def test_the_table_has_a_cell_for_each_column():
    cut = {"whole_bytes": 100_000, "first_bytes": 50_000, "second_bytes": 60_240}
    rows = [measured(cut=cut), measured(cut=cut | {"first_bytes": 40_000, "second_bytes": 5_000}), measured(cut={"not_resumed": "why"}), measured(),
            peers.attempt(Breaks(Failed("x")), 1, False)]
    lines = peers.table(rows, 1_000_000).splitlines()
    assert {line.count("|") for line in lines} == {len(peers.COLUMNS) + 1}
    assert "| one | 10 | 30 | – | 900 | 800 | 300 | 100 | 2,930 | 3.00 | 4 | 10 |" in lines
    assert [line.split("|")[-2].strip() for line in lines[3:6]] == ["0", "fails", "–"]


def test_ratios_are_to_instar_and_there_are_none_without_it():
    rows = [measured(name="instar"), measured(name="other", peak_pss_kib=1800), peers.attempt(Breaks(Failed("x")), 1, False)]
    assert peers.ratios(rows)["other"] == {"with libraries": 1, "peak PSS": 2, "private dirty": 1, "wire": 1, "written": 1}
    assert "| other | 1.0 | 2.0 | 1.0 | 1.0 | 1.0 |" in peers.ratios_table(rows)
    assert peers.ratios(rows[1:]) == {}
    assert "| broken | breaks | none | none | none |" in peers.nature_table(rows[2:])


def test_the_median_is_taken_of_each_figure():
    rounds = [Taken(*[value * factor for value in (1, 2, 3, 4, 5, 6, 7, 8, 9)]) for factor in (1, 10, 2)]
    found = peers.summary(rounds)
    assert found["received_bytes"] == 2 and found["peak_pss_kib"] == 10 and found["samples"] == 8
    assert found["received_range"] == [1, 10]


def test_new_content_is_what_no_file_of_the_old_tree_holds(tmp_path):
    for tree, files in (("old", {"a": "same", "b": "old"}), ("new", {"c": "same", "b": "newer"})):
        (tmp_path / tree).mkdir()
        for name, text in files.items():
            (tmp_path / tree / name).write_text(text)
    assert peers.new_bytes_of(tmp_path / "old", tmp_path / "new") == len("newer")
    with pytest.raises(Failed, match="3 files differ"):
        peers.expect_tree(tmp_path / "old", tmp_path / "new")
    peers.expect_tree(tmp_path / "old", tmp_path / "old")


def test_the_footprint_leaves_out_the_c_library_and_nothing_else(tmp_path):
    programs = Programs(tmp_path / "programs")
    copy = programs.add(Path("/usr/bin/python3").resolve(), "x")
    sizes = programs.sizes()
    assert not [name for name in sizes["libraries"] if LIBC.match(name)]
    assert {"libexpat.so.1", "libz.so.1"} <= sizes["libraries"].keys()
    assert sizes["program_bytes"] == copy.stat().st_size and sizes["library_bytes"] == sum(sizes["libraries"].values()) > 0
    said = subprocess.run([copy, "-c", "print(open('/proc/self/maps').read())"], env=programs.environment(), capture_output=True, text=True).stdout
    assert f"{tmp_path}/programs/lib/libc.so.6" in said


def test_a_program_that_is_not_there_says_what_to_install(tmp_path):
    with pytest.raises(Missing, match="/nowhere/tool is not here: run that"):
        Programs(tmp_path / "programs").add(Path("/nowhere/tool"), "run that")


def test_a_static_program_has_no_libraries():
    assert libraries(Path("/bin/busybox")) == set()


def test_memory_is_that_of_all_processes_and_none_of_those_that_are_gone():
    child = subprocess.Popen([sys.executable, "-c", "x = bytearray(20 << 20); print('made', flush=True); input()"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "made\n"
    one, both = memory_of([child.pid]), memory_of([child.pid, child.pid])
    assert one.private_dirty > 20 << 10 and both.pss == pytest.approx(2 * one.pss, rel=0.1) and both.largest == pytest.approx(one.pss, rel=0.1)
    child.communicate("end\n")
    assert memory_of([child.pid]) == Memory()
