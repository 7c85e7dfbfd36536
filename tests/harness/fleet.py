"""Thousands of devices in one process: build/…/bench/instar_fleet, and the releases that they take."""

import json
import subprocess
from pathlib import Path

from .operator import Operator, health
from .process import BUILD, HANGS_S
from .site import Site

FLEET = BUILD / "bench/instar_fleet"


class FleetRelease:
    """Two trees, the first of which the devices run from the beginning, and a release of the second with a delta between them."""

    def __init__(self, site: Site, *, changed_bytes: int, settle: str = "1s", **policy: object):
        self.site, self.operator = site, site.operator
        self.base = self.operator.pack(site.tree("1.0", changed_bytes=changed_bytes))
        self.fresh = self.operator.pack(site.tree("2.0", changed_bytes=changed_bytes))
        self.running = site.folder / "running.manifest"
        self.settle, self.policy = settle, policy
        spec = self._spec("1.0", self.base)
        self.operator.ask("publish", str(spec), "--sequence", "1", "--dry-run", "--no-delta", "--manifest-out", str(self.running), *self._keys())

    def _keys(self) -> list[str]:
        return ["--key", str(self.operator.keys.release), "--root", str(self.operator.keys.root)]

    def _spec(self, release: str, artifact: Path) -> Path:
        container = {"name": "app", "artifact": str(artifact), "init": ["/sbin/service"], "health": health(settle=self.settle, failures_max=2)}
        return self.operator.describe(release, artifact, containers=[container], policy=dict(self.policy))

    def publish(self, *options: str) -> str:
        """The rollout's id."""
        spec = self._spec("2.0", self.fresh)
        return self.operator.ask("publish", str(spec), "--sequence", "2", "--base", str(self.base), *self._keys(), *options)["rollout"]

    def packs(self) -> list[str]:
        return [str(path) for path in sorted(self.fresh.iterdir()) if path.name not in ("artifact.json", "index")]


# A connection of libmosquitto takes three open files.
A_PROCESS = 5_000


class Fleet:
    """In as many processes as open files ask for. `options`: of `instar_fleet devices`, with dashes as they are there."""

    def __init__(self, release: FleetRelease, devices: int, rollout: str, **options: object):
        site = release.site
        self.folder = site.folder
        command = [str(FLEET), "--port", str(site.broker.port), "--timeout", str(options.pop("timeout", 10 * HANGS_S)), "devices",
                   "--product", site.operator.product, "--group", site.operator.group,
                   "--root", str(site.operator.keys.root), "--running", str(release.running), "--release", "2.0", "--rollout", rollout]
        for pack in release.packs():
            command += ["--pack", pack]
        command += ["--held", str(release.base / "dedupe.pack")]
        for key, value in options.items():
            command += ["--" + key.replace("_", "-"), str(value)]
        self.commands = [[*command, "--first", str(first), "--devices", str(min(A_PROCESS, devices - first))]
                         for first in range(0, devices, A_PROCESS)]
        self.children: list[subprocess.Popen] = []

    def _out(self, number: int) -> Path:
        return self.folder / f"fleet-{number}.json"

    def start(self) -> "Fleet":
        for number, command in enumerate(self.commands):
            self.children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._out(number).open("w"),
                                                  stderr=subprocess.PIPE, text=True))
        return self

    def is_running(self) -> bool:
        return any(child.poll() is None for child in self.children)

    def wait(self, timeout_s: float = 10 * HANGS_S) -> dict:
        result: dict = {}
        for number, child in enumerate(self.children):
            _, errors = child.communicate(timeout=timeout_s)
            assert child.returncode == 0, errors
            result = added(result, json.loads(self._out(number).read_text()))
        return result

    def stop(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()


def added(one: dict, other: dict) -> dict:
    """Numbers summed, the time the longest, what all say true only if all do."""
    out = dict(one)
    for key, value in other.items():
        if key not in out:
            out[key] = value
        elif isinstance(value, bool):
            out[key] = out[key] and value
        elif key == "seconds":
            out[key] = max(out[key], value)
        elif isinstance(value, dict):
            out[key] = added(out[key], value)
        elif isinstance(value, (int, float)):
            out[key] += value
    return out


def all_devices(operator: Operator) -> list[dict]:
    return operator.ask("devices", "list")["devices"]
