"""One `instar-device` with a configuration and a state folder of its own, and its containers."""

import json
import os
import signal
import subprocess
from pathlib import Path

from .process import DEVICE, HANGS_S, LXC_HELPER, Process, wait_for


class Device:
    def __init__(self, folder: Path, device_id: str, port: int, root_file: Path, *, groups: str = "test/line", product: str = "test-box",
                 state_dir: Path | None = None, settings: dict[str, object] | None = None, program: Path = DEVICE):
        self.folder = folder
        self.program = program
        folder.mkdir(parents=True, exist_ok=True)
        self.id = device_id
        self.state_dir = state_dir or folder / "state"
        self.process = Process(folder / "device.log")
        self.boot_before = 0  # what its state said of its starts, before the last one
        # A link that is slow to answer is not dead, and a broker that is slow to come back is no fault of the release.
        self.settings: dict[str, object] = {
            "device_id": device_id, "product": product, "groups": groups, "server": f"tcp://127.0.0.1:{port}", "root_file": root_file,
            "state_dir": self.state_dir, "lxc_helper": LXC_HELPER, "reconnect_s_max": 1, "keepalive_s": 2 * HANGS_S, "broker_grace_s": HANGS_S,
            "stop_timeout_s": 1,
        } | (settings or {})

    def __enter__(self) -> "Device":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.clean_up()

    @property
    def config(self) -> Path:
        return self.folder / "device.conf"

    def configure(self) -> None:
        self.config.write_text("".join(f"{key} = {value}\n" for key, value in self.settings.items()))

    def start(self, environment: dict[str, str] | None = None) -> "Device":
        """Nothing is done where it runs already."""
        if self.process.is_running():
            return self
        self.configure()
        self.boot_before = self.status().get("boot", 0)
        self.process.spawn([str(self.program), "run", "--config", str(self.config)], env=os.environ | (environment or {}))
        return self

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> int | None:
        return self.process.end(signal.SIGTERM)

    def restart(self) -> None:
        self.stop()
        self.start()

    def wait_until_up(self) -> None:
        """Until it has written that it started, and with that all that a start changes."""
        def is_up() -> bool:
            status = self.status()
            return status.get("daemon_pid") == self.process.pid and status["boot"] > self.boot_before
        wait_for(f"the client of {self.id} is up; its log is {self.process.log}", is_up)

    def status(self) -> dict:
        """What the device says of itself; {} while it has no state yet."""
        done = subprocess.run([str(self.program), "status", "--json", "--config", str(self.config)], capture_output=True, text=True, timeout=HANGS_S)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else {}

    @property
    def release(self) -> str:
        return (self.status().get("running") or {}).get("release", "")

    def wait_for_release(self, release: str) -> None:
        wait_for(f"{self.id} runs {release}; its log is {self.process.log}", lambda: self.release == release)

    def log_text(self) -> str:
        return self.process.log_text()

    # --- containers ----------------------------------------------------------------------------------
    @property
    def lxc_path(self) -> Path:
        return self.state_dir / "lxc"

    def containers(self) -> list[str]:
        return sorted(p.name for p in self.lxc_path.iterdir() if p.is_dir()) if self.lxc_path.exists() else []

    def ask(self, container: str, *command: str) -> str:
        """What a command says inside a container; fails when it fails."""
        done = subprocess.run(["lxc-attach", "-P", str(self.lxc_path), "-n", f"{self.id}.{container}", "--clear-env", "--", *command],
                              capture_output=True, text=True, timeout=HANGS_S)
        assert done.returncode == 0, f"{command} in {container} of {self.id}: {done.stdout}{done.stderr}"
        return done.stdout

    def container_pid(self, container: str) -> int:
        done = subprocess.run(["lxc-info", "-P", str(self.lxc_path), "-n", f"{self.id}.{container}", "-pH"], capture_output=True, text=True)
        return int(done.stdout.strip() or 0)

    def clean_up(self) -> None:
        """Ends the client and whatever containers it started; nothing of another device."""
        self.process.kill()
        for name in self.containers():
            subprocess.run(["lxc-stop", "-P", str(self.lxc_path), "-n", name, "-k"], capture_output=True, timeout=HANGS_S)
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            point = mount.split()[1]
            if point.startswith(str(self.state_dir) + "/"):
                subprocess.run(["umount", "-l", point], capture_output=True)
