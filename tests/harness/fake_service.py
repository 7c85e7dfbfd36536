"""Takes the place of the plugin, on a Mosquitto without one: sends a device whatever a test wants, and receives its reports."""

import threading
import time
from pathlib import Path

from . import forge
from .mqtt import Closed, Mqtt, Packet
from .process import HANGS_S, wait_for
from .topics import PREFIX, gate_topic, manifest_topic


class FakeService:
    def __init__(self, port: int, *, gate_key: forge.Key, root: Path):
        self.client = Mqtt(port, "fake-service")
        self.gate_key = gate_key
        self.packs: dict[bytes, forge.Pack] = {}
        self.reports: list[dict] = []
        self.fetches: list[dict] = []
        self.bytes_sent = 0
        self._issue = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.client.subscribe(f"{PREFIX}/d/+/hello", f"{PREFIX}/d/+/report", f"{PREFIX}/d/+/fetch")
        self.send(f"{PREFIX}/root", root.read_bytes(), retain=True)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> "FakeService":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(HANGS_S)
        self.client.close()

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        with self._lock:
            self.client.publish(topic, payload, qos=0, retain=retain)

    def offer(self, envelope: bytes, *, group: str, product: str, sequence: int, packs: list[forge.Pack], gate: bool = True) -> bytes:
        """Retains a manifest and the gate that opens it, and serves its packs. Returns the rollout's hash."""
        rollout = forge.digest(forge.payload_of(envelope))
        for pack in packs:
            self.packs[pack.id] = pack
        self.send(manifest_topic(group, product), envelope, retain=True)
        if gate:
            self._issue += 1
            now = int(time.time() * 1000)
            payload = forge.flat("gate", {
                "group": group, "product": product, "manifest": forge.hash_value(rollout), "sequence": sequence, "state": 0,
                "admitted_bp": 10000, "fresh_ms": now, "wave_opened_ms": [now], "issue": self._issue,
            })
            self.send(gate_topic(group, product), forge.seal(forge.GATE, payload, self.gate_key), retain=True)
        return rollout

    def last_report(self, rollout: bytes | None = None) -> dict | None:
        """The newest report, of one rollout if given."""
        for report in reversed(self.reports):
            if rollout is None or bytes(report["rollout"]["bytes"]) == rollout:
                return report
        return None

    def wait_for_step(self, steps: set[int], rollout: bytes | None = None) -> dict:
        def found() -> dict | None:
            for report in self.reports:
                if report["step"] in steps and (rollout is None or bytes(report["rollout"]["bytes"]) == rollout):
                    return report
            return None
        try:
            return wait_for(f"a report of step {steps}", found)
        except AssertionError as error:
            raise AssertionError(f"{error}; came: {[(r['step'], r.get('reason')) for r in self.reports]}") from error

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                packet = self.client.receive(0.1)
            except Closed:
                return
            if packet and packet.kind == 3:
                self._take(packet)

    def _take(self, packet: Packet) -> None:
        device, kind = packet.topic.split("/")[-2:]
        if kind == "report":
            report = forge.unflat("report", forge.payload_of(packet.payload))
            report["step"] = STEPS.index(report["step"]) if isinstance(report["step"], str) else report["step"]
            if all(report["sequence"] != other["sequence"] or report["device"] != other["device"] for other in self.reports):
                self.reports.append(report)
            self._ack(device, report["sequence"])
        elif kind == "hello":
            hello = forge.unflat("hello", forge.payload_of(packet.payload))
            self._ack(device, hello["acked_sequence"])
        elif kind == "fetch":
            fetch = forge.unflat("fetch", packet.payload)
            self.fetches.append(fetch)
            if "pack" in fetch:
                self._serve(device, fetch)

    def _ack(self, device: str, sequence: int) -> None:
        self.send(f"{PREFIX}/d/{device}/ack", forge.flat("ack", {"sequence": sequence}))

    def _serve(self, device: str, fetch: dict) -> None:
        pack = self.packs.get(bytes(fetch["pack"]["bytes"]))
        for wanted in fetch.get("ranges", []):
            for ordinal in range(wanted["first"], wanted["first"] + wanted["count"]):
                data = pack.chunks[ordinal].sent if pack else b""
                start = wanted["offset"] if ordinal == wanted["first"] else 0
                for at in range(start, len(data), fetch["piece_bytes_max"]):
                    piece = data[at:at + fetch["piece_bytes_max"]]
                    self.bytes_sent += len(piece)
                    self.send(f"{PREFIX}/d/{device}/chunk", chunk_piece(fetch["session"], ordinal, at, piece))


STEPS = ["idle", "waiting", "fetching", "staging", "trying", "committed", "rolled_back", "refused", "failed"]
WAITING, FETCHING, STAGING, TRYING, COMMITTED, ROLLED_BACK, REFUSED, FAILED = range(1, 9)


def chunk_piece(session: int, ordinal: int, offset: int, data: bytes) -> bytes:
    return forge.flat("chunk", {"session": session, "ordinal": ordinal, "offset": offset, "data": list(data)})
