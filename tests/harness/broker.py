"""A real Mosquitto on a free loopback port, with or without the plugin."""

import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path

from . import mqtt
from .process import PLUGIN, Process, free_port, wait_for

# Another one than the machine's: INSTAR_MOSQUITTO=build/brokers/sid/mosquitto (harness/brokers.py).
MOSQUITTO = os.path.abspath(os.environ.get("INSTAR_MOSQUITTO", "/usr/sbin/mosquitto"))


@dataclass(frozen=True)
class Transfer:
    """One line of the transfer log: a piece of a chunk that was sent to a device."""

    unix_ms: int
    device: str
    pack: str
    ordinal: int
    offset: int
    bytes: int


class Broker:
    """options: plugin_opt_ keys and values. lines: further lines of mosquitto.conf, after those of the plugin. quiet: logs what a broker in
    service logs, not each packet: for what is measured. program: which Mosquitto. first: lines before all others."""

    def __init__(self, folder: Path, *, plugin: bool = True, options: dict[str, str] | None = None, lines: list[str] | None = None,
                 anonymous: bool = True, port: int | None = None, plugin_file: Path = PLUGIN, quiet: bool = False,
                 program: str = MOSQUITTO, first: list[str] | None = None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.plugin = plugin
        self.plugin_file = plugin_file
        self.options = {"store_dir": str(folder / "store"), "transfer_log": str(folder / "transfers"), "acl_fallthrough": "allow"}
        self.options.update(options or {})
        self.lines = lines or []
        self.first = first or []
        self.program = program
        self.anonymous = anonymous
        self.quiet = quiet
        self.environment: dict[str, str] = {}
        self.process = Process(folder / "mosquitto.log")

    def __enter__(self) -> "Broker":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def configuration(self) -> str:
        log = ("error", "warning") if self.quiet else ("all",)
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {'true' if self.anonymous else 'false'}", "user root",
                 "log_dest stderr", *[f"log_type {kind}" for kind in log], "connection_messages true", "set_tcp_nodelay true",
                 "sys_interval 1", "persistence true", f"persistence_location {self.folder}/"]
        if self.plugin:
            lines.append(f"plugin {self.plugin_file}")
            lines += [f"plugin_opt_{key} {value}" for key, value in self.options.items() if value]
        return "\n".join(self.first + lines + self.lines) + "\n"

    def start(self) -> "Broker":
        (self.folder / "mosquitto.conf").write_text(self.configuration())
        wait_for(f"port {self.port} is free", self._has_started)
        return self

    def _has_started(self) -> bool:
        """False when somebody else has its port just now."""
        logged = len(self.process.log_text())
        options = {"env": os.environ | self.environment} if self.environment else {}
        self.process.spawn([self.program, "-c", str(self.folder / "mosquitto.conf")], **options)
        try:
            wait_for(f"the broker answers on port {self.port}; its log is {self.process.log}", self._answers, interval_s=0.02)
        except AssertionError:
            self.kill()
            if "Address already in use" in self.process.log_text()[logged:]:
                return False
            raise
        return True

    def _answers(self) -> bool:
        assert self.process.is_running(), "mosquitto ended: " + self.process.log_text()[-2000:]
        try:
            mqtt.Mqtt(self.port, "harness-probe").disconnect()
            return True
        except (OSError, mqtt.Closed):
            return False

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> int | None:
        return self.process.end(signal.SIGTERM)

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self, client_id: str, **options) -> mqtt.Mqtt:
        return mqtt.Mqtt(self.port, client_id, **options)

    def memory_kb(self) -> int:
        return self.process.memory_kb()

    def log_text(self) -> str:
        return self.process.log_text()

    def turn(self) -> None:
        """Returns when the broker's loop has gone round once more: what the plugin writes at each turn is written."""
        with self.client(f"harness-{secrets.token_hex(6)}") as client:
            assert client.ping()

    def transfers(self) -> list[Transfer]:
        """What the plugin has sent until now, in order; lines are `unix_ms device pack ordinal offset bytes`."""
        if self.process.is_running():
            self.turn()
        log = Path(self.options["transfer_log"])
        found = []
        for line in log.read_text().splitlines() if log.exists() else []:
            fields = line.split()
            if len(fields) == 6:  # a line cut off by kill -9 has fewer
                found.append(Transfer(int(fields[0]), fields[1], fields[2], *map(int, fields[3:])))
        return found

    def bytes_sent(self, device: str) -> int:
        return sum(t.bytes for t in self.transfers() if t.device == device)
