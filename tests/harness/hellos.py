"""Devices of which there is no more than what they say: thousands of hellos and reports over one client that the broker takes for a bridge."""

import os
import struct

from . import forge
from .mqtt import text
from .site import Site

BRIDGE = "hub"
# What a site needs for them: its broker takes the word of the bridge, and of so many devices that nobody knows.
OPTIONS = {"bridges": BRIDGE, "unknown_devices_max_per_login": "200000"}
# How many may be under way to the broker at a time: what waits to be verified has bounds.
BATCH = 100


class Hellos:
    """Devices `NAME00000`, `NAME00001` …, alike but for their number. `running`: a release, or "" for none; `fields`: more of the hello."""

    def __init__(self, site: Site, name: str, *, groups: list[str], running: str = "", **fields: object):
        self.site, self.name, self.key = site, name, forge.Key.random()
        self.mark = f"{name}00000"
        value = {"device": self.mark, "public_key": list(self.key.public), "product": site.operator.product, "groups": groups, "architecture": os.uname().machine,
                 "kernel": "6.1.0", "client_version": "0.1.0", "memory_bytes": 64_000_000, "free_bytes": 24_000_000, "boot": 1, "connect": 1,
                 "pack_formats": [1], "root_version": 1}
        if running:
            value["highest_sequence"] = 1
            value["running"] = {"product": site.operator.product, "release": running, "sequence": 1, "manifest": forge.hash_value(bytes(32)), "artifacts": []}
        self.hello = forge.flat("hello", value | fields)

    def id(self, number: int) -> str:
        return f"{self.name}{number:05}"

    def say(self, numbers: range) -> None:
        self._send("hello", forge.HELLO, self.hello, numbers)

    def report(self, numbers: range, rollout: str, step: str, **fields: object) -> None:
        """Their first report. `rollout`: all of its digits."""
        payload = forge.flat("report", {"device": self.mark, "sequence": 1, "rollout": forge.hash_value(bytes.fromhex(rollout)), "attempt": 1, "step": step} | fields)
        self._send("report", forge.REPORT, payload, numbers)

    def _send(self, topic: str, kind: int, payload: bytes, numbers: range) -> None:
        assert payload.count(self.mark.encode()) == 1
        with self.site.broker.client(BRIDGE) as client:
            for at, number in enumerate(numbers):
                sealed = forge.seal(kind, payload.replace(self.mark.encode(), self.id(number).encode()), self.key)
                body = text(f"instar/v1/d/{self.id(number)}/{topic}") + struct.pack(">H", at % 65_000 + 1)
                client.send(0x32, body + sealed)
                if at % BATCH == BATCH - 1:
                    client.drain()
            client.drain()
