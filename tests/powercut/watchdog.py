#!/usr/bin/python3 -B
"""A client that hangs, on the test device with the kernel's software watchdog: as long as it runs the watchdog is fed, over a switch to another
client too; when it hangs the machine boots by itself, and goes on. Prints what happened when; exit code 1 if it did not.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "tests"), str(SOURCE / "deploy/test-device")]

import service  # noqa: E402
from harness import machine as machines  # noqa: E402
from harness.process import BUILD, wait_for  # noqa: E402

SKIPPED = 77
WATCHDOG_S = 10  # watchdog_s of device-watched.conf
HANG_S = 60


def play(device: Path, folder: Path) -> None:
    flash = folder / "flash.img"
    shutil.copy(device / "flash.img", flash)
    with machines.site_for(folder, device) as site, machines.Machine(folder / "machine", device, flash) as machine:
        began = time.monotonic()

        def tell(what: str) -> None:
            print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

        def publish(release: str, age: str, client: Path | None = None) -> None:
            artifact = site.operator.pack(service.release_tree(device, folder / "trees", release, age))
            published = site.operator.publish(release, folder / "trees" / release, containers=service.containers(artifact, client))
            site.wait_for_counts(published["rollout"], {"committed": 1}, 120)
            tell(f"release {release} is committed")

        machine.start(dog=1, hang=HANG_S)
        machine.wait_for("START", 60)
        first = machine.said_at["START"]
        tell("the client runs and feeds the watchdog")
        publish("r1", "old")
        client = site.operator.pack(service.client_tree(BUILD / "device-client/instar-device-static", folder / "trees", "client-b"))
        publish("r2", "new", client)
        machine.wait_for("HANG", HANG_S + 30)
        assert machine.said_at["START"] == first, "it booted while the client ran"
        tell("the client is stopped")
        wait_for("the watchdog makes the machine boot", lambda: machine.said_at["START"] > first, WATCHDOG_S + 60, 0.1)
        tell("the machine has booted by itself")
        machine.said.pop("CHECK", None)
        said = machine.wait_for("CHECK", 60)
        assert said["verify"]["ok"] and said["status"]["running"]["release"] == "r2", said
        tell("release r2 runs, verified")
        # A machine of User-mode Linux that boots by itself has lost its tap device. One that is started again has it.
        machine.cut()
        machine.start(dog=1)
        wait_for("the broker hears from the device", lambda: site.operator.device(machines.DEVICE_ID)["boot"] > said["status"]["boot"], 60, 0.2)
        tell("the broker hears from it")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", type=Path, default=SOURCE / "build/test-device", help="what deploy/test-device/build writes")
    chosen = options.parse_args()
    if not machines.KERNEL.exists() or os.geteuid() != 0:
        print("watchdog: needs root and user-mode-linux; `deploy/install-deps device` installs it")
        return SKIPPED
    device = chosen.device.resolve()
    machines.build_device(BUILD, device)
    machines.enter_own_network()
    folder = Path(tempfile.mkdtemp(prefix="instar-watchdog."))
    play(machines.copy_device(device, folder / "device"), folder)
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
