"""A broker with the plugin, an operator and some devices: where most tests take place."""

import secrets
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from .broker import Broker, Transfer
from .device import Device
from .operator import Keys, Operator
from .process import HANGS_S, wait_for
from .shaper import Shaper
from .trees import make_tree

FINAL = {"committed", "rolled_back", "refused", "failed"}


class Site:
    def __init__(self, folder: Path, keys: Keys, **broker_options):
        self.folder, self.keys = folder, keys
        self.mark = secrets.token_hex(3)
        options = keys.plugin_options() | broker_options.pop("options", {})
        self.broker = Broker(folder / "broker", options=options, **broker_options)
        self.operator = Operator(folder / "operator", self.broker.port, keys)
        self.devices: list[Device] = []
        self.shapers: list[Shaper] = []

    def __enter__(self) -> "Site":
        self.broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for device in self.devices:
            device.clean_up()
        for shaper in self.shapers:
            shaper.close()
        self.broker.stop()

    def add_device(self, name: str, *, shaped: bool = False, start: bool = True, **options) -> Device:
        """Its id is unlike any other's on this machine. `shaped`: behind a Shaper of its own, the last of `shapers`."""
        port = self.broker.port
        if shaped:
            self.shapers.append(Shaper(port))
            port = self.shapers[-1].port
        device = Device(self.folder / name, f"{name}-{self.mark}", port, self.keys.root, **options)
        self.devices.append(device)
        return device.start() if start else device

    def tree(self, release: str, **options) -> Path:
        return make_tree(self.folder / "trees" / release, release, **options)

    def publish(self, release: str, **options) -> str:
        """Makes, packs and publishes a release of a fresh tree; returns the rollout's id."""
        tree = self.tree(release, **{key: options.pop(key) for key in ("noise_bytes", "changed_bytes", "healthy", "starts") if key in options})
        return self.operator.publish(release, tree, **options)["rollout"]

    def counts(self, rollout: str) -> dict[str, int]:
        return {step: count for step, count in self.operator.rollout(rollout)["counts"].items() if count}

    def wait_for_counts(self, rollout: str, expected: dict[str, int], timeout_s: float = HANGS_S) -> dict:
        try:
            wait_for(f"rollout {rollout} counts {expected}", lambda: self.counts(rollout) == expected, timeout_s, 0.3)
        except AssertionError as error:
            logs = "".join(f"\n{device.id}: {device.log_text()[-1200:]}" for device in self.devices)
            raise AssertionError(f"{error}; they are {self.counts(rollout)}{logs}") from error
        return self.operator.rollout(rollout)


@dataclass
class Sent:
    """Of one pack to one device."""

    first_ms: int
    last_ms: int
    twice: int = 0  # bytes that were sent before


def sent_by_pack(transfers: list[Transfer]) -> dict[tuple[str, str], Sent]:
    """By device and pack."""
    packs: dict[tuple[str, str], Sent] = {}
    seen: dict[tuple, list[tuple[int, int]]] = defaultdict(list)
    for transfer in transfers:
        sent = packs.setdefault((transfer.device, transfer.pack), Sent(transfer.unix_ms, transfer.unix_ms))
        sent.last_ms = max(sent.last_ms, transfer.unix_ms)
        sent.twice += transfer.bytes
        seen[transfer.device, transfer.pack, transfer.ordinal].append((transfer.offset, transfer.offset + transfer.bytes))
    for (device, pack, _), pieces in seen.items():
        end = 0
        for first, last in sorted(pieces):
            packs[device, pack].twice -= max(0, last - max(first, end))
            end = max(end, last)
    return packs


def sent_twice(transfers: list[Transfer]) -> dict[str, int]:
    """For each device the bytes that were sent to it more than once."""
    total: dict[str, int] = defaultdict(int)
    for (device, _), sent in sent_by_pack(transfers).items():
        total[device] += sent.twice
    return dict(total)
