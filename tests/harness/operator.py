"""The operator: `instar` with --json, and releases made from trees."""

import json
import subprocess
from pathlib import Path

from .process import HANGS_S, INSTAR

# How long a command may take: making deltas is work, which it bounds by half an hour itself (--delta-time). It waits for the broker's answers
# for HANGS_S, and then says what did not come.
COMMAND_S = 1800


class Refused(Exception):
    """`instar` ended with an exit code other than 0."""

    def __init__(self, command: list[str], code: int, out: str, err: str):
        super().__init__(f"instar {' '.join(command)} ended with {code}: {err or out}")
        self.code, self.out, self.err = code, out, err


class Keys:
    """A fresh set of keys and the root document that names them."""

    def __init__(self, folder: Path):
        self.folder = folder
        run(["keygen", str(folder)])
        self.root, self.release, self.gate = folder / "root.instar", folder / "release.key", folder / "gate.key"

    def plugin_options(self) -> dict[str, str]:
        return {"root": str(self.root), "gate_key": str(self.gate)}


def run(arguments: list[str], *, broker: str = "", timeout_s: float = COMMAND_S) -> dict:
    """The JSON document that a command prints."""
    if broker and "--timeout" not in arguments:
        arguments = [*arguments, "--timeout", f"{HANGS_S}s"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "INSTAR_BROKER": broker}
    done = subprocess.run([str(INSTAR), *arguments, "--json"], capture_output=True, text=True, timeout=timeout_s,
                          env={key: value for key, value in environment.items() if value})
    if done.returncode != 0:
        raise Refused(arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else {}


def health(*probe: str, settle: str = "1s", interval: str = "200ms", failures_max: int = 3) -> dict:
    """Of a container in a release file. `probe`: the command. A probe may be slow: a release is bad by what it answers, not by when."""
    return {"settle": settle, "probe": {"command": list(probe or ("/sbin/probe",)), "interval": interval, "timeout": f"{HANGS_S}s",
                                        "failures_max": failures_max}}


class Operator:
    def __init__(self, folder: Path, port: int, keys: Keys, *, product: str = "test-box", group: str = "test/line"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.keys, self.product, self.group = port, keys, product, group

    def ask(self, *arguments: str, timeout_s: float = COMMAND_S) -> dict:
        return run([*arguments], broker=f"mqtt://127.0.0.1:{self.port}", timeout_s=timeout_s)

    def pack(self, tree: Path, level: int = 3) -> Path:
        out = self.folder / f"{tree.name}.artifact"
        if not out.exists():
            run(["pack", str(tree), "--out", str(out), "--level", str(level)])
        return out

    def describe(self, release: str, artifact: Path, **changes: object) -> Path:
        """The release file: one container named `app`, whose probe asks the service."""
        spec: dict = {
            "product": self.product, "release": release, "groups": [self.group],
            "containers": [{"name": "app", "artifact": str(artifact), "init": ["/sbin/service"], "health": health()}],
        } | changes
        path = self.folder / f"{release}.release.json"
        path.write_text(json.dumps(spec, indent=2))
        return path

    def publish(self, release: str, tree: Path, *, key: Path | None = None, timeout_s: float = COMMAND_S, options: tuple[str, ...] = (),
                ask: bool = False, **changes: object) -> dict:
        """`options`: further ones for the command line; `ask`: a group that nobody is in is asked about; `changes`: of the release file."""
        path = self.describe(release, self.pack(tree), **changes)
        options = options if ask else (*options, "--empty-group")
        return self.ask("publish", str(path), "--key", str(key or self.keys.release), "--root", str(self.keys.root), *options,
                        timeout_s=timeout_s)

    def rollout(self, rollout: str) -> dict:
        return self.ask("rollout", "show", rollout)

    def rollouts(self) -> dict:
        return self.ask("rollout", "list")

    def device(self, device: str) -> dict:
        return self.ask("devices", "show", device)
