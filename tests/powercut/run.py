#!/usr/bin/python3 -B
"""Real power cuts: the test device is killed at random moments while releases go back and forth, again and again on the same flash image.
With --clients one release in five brings another client too; the flash is then larger, as going from one such client to the next takes room for
both beside the system's.

After each boot: a container runs, it is one of the releases that were published, every file of its revision is what was signed, its service
answers over the network, and the device has reported to the broker. At the end, with the power on, a last release is committed.
Prints the table of what was under way at each cut and what was found; exit code 1 if a device was without a running, verified revision. A fault
is printed at once; SIGINT and SIGTERM end a long run with its report, after one more release.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "deploy/test-device")]

import service  # noqa: E402
from harness import machine as machines  # noqa: E402
from harness.operator import Refused  # noqa: E402
from harness.process import BUILD, wait_for  # noqa: E402
from harness.site import FINAL, Sent, sent_by_pack  # noqa: E402

SKIPPED = 77  # the exit code that ctest takes as skipped
LINK = "3mbit"
EARLY_SHARE = 0.25  # cuts before the device has reported that it is well again
CLIENT_SHARE = 0.2  # of the releases, with --clients
CLIENT_BYTES = 12 * 1024 * 1024  # more flash for that, beside trees
CLIENT_NEW_BYTES = 256 * 1024  # that no other client has
AIMED_SHARE = 0.5  # of the others: so soon after a line of the client's log, as some phases are short
AIMS = {"going for release": 4.0, "is committed": 0.4, "container web of revision": 1.2, "failed": 0.6, "going on in another client": 1.5}  # words → seconds after them, at most
PATIENCE_S = 180  # a machine that shares its host may be slow: that is no fault of the device
# What one cut may cost that is sent again: the window, and what had come within the second in which the client makes it durable.
CUT_BYTES = 65536 + 3_000_000 // 8


class Publisher(threading.Thread):
    """Releases, one after the other has ended: by turns the service before and after its updates; delta or not; now and then a bad one,
    now and then one with a client."""

    def __init__(self, site, device: Path, folder: Path, dice: random.Random, client_share: float, payload: str):
        super().__init__(daemon=True)
        self.client_share, self.payload = client_share, payload
        self.site, self.device, self.folder, self.dice = site, device, folder, dice
        self.count = 0
        self.bad: set[str] = set()
        self.with_client: set[str] = set()
        self.clients = 0
        self.wanted: Path | None = None  # the client that is to be committed
        self.rollouts: dict[str, str] = {}
        self.current = ""
        self.ended: collections.Counter = collections.Counter()
        self.error: Exception | None = None
        self.stopping = threading.Event()

    def prepare(self, healthy: bool = True) -> tuple[str, Path, Path]:
        """The next release, packed."""
        self.count += 1
        release = f"r{self.count}"
        tree = service.release_payload(self.device, self.folder, release, ("old", "new")[self.count % 2], healthy, self.payload)
        if not healthy:
            self.bad.add(release)
        return release, tree, self.site.operator.pack(tree)

    def client(self) -> Path:
        """A new one, once the last one was committed; the operator brings that with each release until it is."""
        if self.wanted is None:
            self.clients += 1
            tree = service.client_tree(BUILD / "device-client/instar-device-static", self.folder, f"client-{self.clients}",
                                       self.dice.randbytes(CLIENT_NEW_BYTES))
            self.wanted = self.site.operator.pack(tree)
        return self.wanted

    def publish(self, prepared: tuple[str, Path, Path], delta: bool = True, client: bool = False) -> str:
        release, tree, artifact = prepared
        self.current = release
        containers = service.containers(artifact, self.client() if client else None)
        if client:
            self.with_client.add(release)
        published = self.site.operator.publish(release, tree, containers=containers, options=() if delta else ("--no-delta",))
        self.rollouts[release] = published["rollout"]
        return release

    def step(self, release: str) -> str:
        return next((step for step, count in self.site.operator.rollout(self.rollouts[release])["counts"].items() if count), "")

    def run(self) -> None:
        try:
            upcoming = self.prepare()
            while not self.stopping.is_set():
                release = self.publish(upcoming, delta=self.dice.random() > 0.6, client=self.wanted is not None or self.dice.random() < self.client_share)
                upcoming = self.prepare(healthy=self.dice.random() > 0.25)
                # One in ten is overtaken by the next one.
                patience = self.dice.uniform(1, 6) if self.dice.random() < 0.1 else 120
                until = time.monotonic() + patience
                while time.monotonic() < until and not self.stopping.is_set():
                    if (step := self.step(release)) in FINAL:
                        self.ended[step] += 1
                        if step == "committed" and release in self.with_client:
                            self.wanted = None
                        break
                    time.sleep(0.2)
                else:
                    self.ended["overtaken"] += 1
        except (Refused, AssertionError, OSError) as error:
            self.error = error

    def end(self) -> None:
        self.stopping.set()
        self.join(180)
        if self.error:
            raise self.error


class PowerCut:
    cut_s = (0.2, 8.0)  # after the client has started
    aim_wait_s = 12.0

    def __init__(self, site, machine, publisher: Publisher, dice: random.Random):
        self.site, self.machine, self.publisher, self.dice = site, machine, publisher, dice
        self.faults: list[str] = []
        self.rows: dict[str, collections.Counter] = {}
        self.boots: list[dict] = []
        self.fetching_ms: list[int] = []  # when a cut fell into a download

    def answer(self) -> str:
        """What the service in the container says over the network; while it is being switched nobody answers."""
        def ask() -> str:
            try:
                with urllib.request.urlopen(f"http://{machines.DEVICE_ADDRESS}:{service.PORT}/release", timeout=2) as reply:
                    return reply.read().decode().strip()
            except OSError:
                return ""
        return wait_for("the service in the container answers", ask, PATIENCE_S, 0.1)

    def look(self) -> str:
        """Is the device well? Returns what was found; what is wrong goes to `faults`."""
        name = f"boot {self.machine.starts}"
        try:
            said = self.machine.wait_for("CHECK", PATIENCE_S)
            status, verify = said["status"], said["verify"] or {"ok": False, "revisions": []}
            roles = {one["role"]: one["release"] for one in verify["revisions"]}
            if not verify["ok"]:
                self.faults.append(f"{name}: a revision is not what was signed: {verify}")
            running = roles.get("running", "")
            # The device goes on while it is looked at: what it ran or tried at the first glance, or at the second.
            glances = {*roles.values(), *[(status[role] or {}).get("release", "") for role in ("running", "candidate")]}
            if running not in self.publisher.rollouts or running in self.publisher.bad:
                self.faults.append(f"{name}: {running!r} runs, which is none of the good releases")
            answer = self.answer()
            if answer not in glances | {self.publisher.current} or answer == roles.get("previous"):
                self.faults.append(f"{name}: the service says {answer!r}; the device has {roles} and is {status['phase']}")
            wait_for("the broker hears from the device", lambda: self.has_reported(status["boot"]), PATIENCE_S, 0.2)
        except AssertionError as error:
            self.faults.append(f"{name}: {error}")
            return "nothing"
        return "a candidate is being tried" if answer not in (running, (status["running"] or {}).get("release")) else "the committed release runs"

    def has_reported(self, boot: int) -> bool:
        shown = self.site.operator.device(machines.DEVICE_ID)
        return shown["online"] and shown["boot"] >= boot

    def boot(self) -> str:
        """Starts it after a cut; the phase that was under way, as the flash has it."""
        self.machine.start()
        disk = self.machine.wait_for("DISK", PATIENCE_S)
        if not disk["ok"]:
            raise AssertionError(f"the flash cannot be mounted: {self.machine.tail()}")
        state = self.machine.wait_for("BOOT", PATIENCE_S)
        self.machine.wait_for("START", PATIENCE_S)
        self.boots.append(disk)
        if state is None:
            return "no state"
        if (state["candidate"] or {}).get("release") in self.publisher.with_client:
            return state["phase"] + " (client)"
        return state["phase"] + (" (removing)" if disk["trash"] and state["phase"] == "idle" else "")

    def one(self, number: int, early: bool) -> None:
        """One cut, the boot after it, and the look at it unless the next cut comes before."""
        before, when = len(self.faults), time.time_ns() // 1_000_000
        phase = self.cut_and_boot()
        if phase.startswith(("fetching", "staging")):
            self.fetching_ms.append(when)
        row = self.rows.setdefault(phase, collections.Counter())
        row["cuts"] += 1
        if early:
            self.sleep_until(self.machine.said_at["START"] + self.dice.uniform(self.cut_s[0], 1.5))
            found = "cut again while coming back"
        else:
            found = self.look()
        row[found] += 1
        print(f"{number:5}  {phase:<18} {found}", flush=True)
        for fault in self.faults[before:]:
            print(f"       FAULT {fault}", flush=True)
        if not early:
            self.sleep_until(self.moment())

    def check_sent(self, packs: dict[tuple[str, str], Sent]) -> int:
        """No byte is sent again but for what the cuts cost that fell into the pack's own download."""
        for (_, pack), sent in packs.items():
            cuts = sum(sent.first_ms <= when <= sent.last_ms for when in self.fetching_ms)
            if sent.twice > cuts * CUT_BYTES:
                self.faults.append(f"{sent.twice} bytes of pack {pack} were sent again; {cuts} cuts fell into its download, which cost {CUT_BYTES} at most")
        return sum(sent.twice for sent in packs.values())

    def moment(self) -> float:
        """When the next cut is due: at a random time, or soon after something has happened."""
        start = self.machine.said_at["START"]
        if self.dice.random() >= AIMED_SHARE:
            return start + self.dice.uniform(*self.cut_s)
        words, longest = self.dice.choice(list(AIMS.items()))
        since = time.monotonic()
        while time.monotonic() < since + self.aim_wait_s:
            if seen := self.machine.logged(words, since):
                return seen + self.dice.uniform(0, longest)
            time.sleep(0.01)
        return 0

    def cut_and_boot(self) -> str:
        self.machine.cut()
        return self.boot()

    @staticmethod
    def sleep_until(when: float) -> None:
        time.sleep(max(0.0, when - time.monotonic()))


asked_to_end = threading.Event()


def enlarge(flash: Path, more: int) -> None:
    with flash.open("ab") as file:
        file.truncate(flash.stat().st_size + more)
    subprocess.run(["resize2fs", str(flash)], check=True, capture_output=True)


def play(device: Path, folder: Path, cuts: int, seed: int, minutes: float, clients: bool, payload: str) -> dict:
    dice = random.Random(seed)
    flash = folder / "flash.img"
    shutil.copy(device / "flash.img", flash)
    if clients and payload == "tree":
        enlarge(flash, CLIENT_BYTES)
    began = time.monotonic()
    with machines.site_for(folder, device) as site, machines.Machine(folder / "machine", device, flash) as machine:
        publisher = Publisher(site, device, folder / "trees", random.Random(seed + 1), CLIENT_SHARE if clients else 0, payload)
        run = PowerCut(site, machine, publisher, dice)
        machine.start()
        machine.wait_for("START", PATIENCE_S)
        site.wait_for_counts(publisher.rollouts[publisher.publish(publisher.prepare())], {"committed": 1}, 90)
        before = len(site.broker.transfers())
        machines.limit_link(LINK)
        publisher.start()
        run.sleep_until(time.monotonic() + dice.uniform(0.5, 3))
        for number in range(1, cuts + 1):
            # The last one is looked at in any case.
            last_one = number == cuts or time.monotonic() - began > minutes * 60 or asked_to_end.is_set()
            try:
                run.one(number, early=not last_one and dice.random() < EARLY_SHARE)
            except AssertionError as error:  # it does not start any more
                run.faults.append(f"cut {number}: {error}")
                last_one = True
            if publisher.error:
                raise publisher.error
            if last_one:
                break
        cuts = number
        publisher.end()
        # With the power on all ends well: one more release is fetched, tried and committed.
        last = publisher.publish(publisher.prepare())
        try:
            site.wait_for_counts(publisher.rollouts[last], {"committed": 1}, 120)
            run.look()
        except AssertionError as error:
            run.faults.append(f"the last release: {error}; console: {machine.tail()}")
        again = run.check_sent(sent_by_pack(site.broker.transfers()[before:]))
        return {"format": 1, "ok": not run.faults, "cuts": cuts, "seed": seed, "seconds": round(time.monotonic() - began, 1),
                "faults": run.faults, "payload": payload, "phases": {phase: dict(row) for phase, row in sorted(run.rows.items())},
                "releases": publisher.count, "ended": dict(publisher.ended), "bytes_again": again,
                "boot_ms": sorted(disk["first_ms"] for disk in run.boots)[len(run.boots) // 2]}


def table(document: dict) -> str:
    found = sorted({key for row in document["phases"].values() for key in row if key != "cuts"})
    rows = [["phase at the cut", "cuts", *found]]
    rows += [[phase, str(row["cuts"]), *[str(row.get(key, 0)) for key in found]] for phase, row in document["phases"].items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cuts", type=int, default=100)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--device", type=Path, default=SOURCE / "build/test-device", help="what deploy/test-device/build writes")
    options.add_argument("--report", type=Path, default=SOURCE / "build/report/powercut.json")
    options.add_argument("--minutes", type=float, default=24 * 60, help="no further cut after this time")
    options.add_argument("--clients", action="store_true", help="releases bring other clients, too")
    options.add_argument("--payload", choices=service.PAYLOADS, default="tree", help="what the container runs from: a tree, or an image of it")
    options.add_argument("--short", action="store_true", help="for each run of the tests: cuts within 4 s")
    options.add_argument("--keep", action="store_true", help="keep the folder with the console, the flash image and the broker's files")
    chosen = options.parse_args()
    if not machines.KERNEL.exists():
        print("powercut: skipped, user-mode-linux is not installed; `deploy/install-deps device` installs it")
        return SKIPPED
    if os.geteuid() != 0:
        print("powercut: needs root for a network namespace of its own", file=sys.stderr)
        return 1
    if chosen.short:
        PowerCut.cut_s, PowerCut.aim_wait_s = (0.2, 4.0), 4.0
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1 << 32)
    device = chosen.device.resolve()
    machines.build_device(BUILD, device)
    machines.enter_own_network()
    print(f"powercut: {chosen.cuts} cuts, seed {seed}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_end.set())
    folder = Path(tempfile.mkdtemp(prefix="instar-powercut."))
    document = play(machines.copy_device(device, folder / "device"), folder, chosen.cuts, seed, chosen.minutes, chosen.clients, chosen.payload)
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    chosen.report.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\n{table(document)}\n\n{document['releases']} releases, ended {document['ended']}; {document['bytes_again']} bytes sent again; "
          f"{document['seconds']} s; boot to init {document['boot_ms']} ms")
    for fault in document["faults"]:
        print(f"FAULT {fault}")
    if document["ok"] and not chosen.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"all that was written is in {folder}")
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
