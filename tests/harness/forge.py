"""Signed statements, indexes and packs made by hand, right and wrong ones: a second implementation of the formats, for tests.

Ed25519 by the same libsodium, FlatBuffers by flatc from JSON; all else is written here from docs/formats.
"""

import ctypes
import ctypes.util
import hashlib
import json
import os
import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .process import SOURCE

sodium = ctypes.CDLL("libsodium.so.23")
zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_compress.restype = ctypes.c_size_t
zstd.ZSTD_compressBound.restype = ctypes.c_size_t
zstd.ZSTD_decompress.restype = ctypes.c_size_t

ROOT, MANIFEST, GATE, HELLO, REPORT = 1, 2, 3, 4, 5
APPROVAL = 7
RAW, ZSTD = 0, 1
CHUNK_BYTES = 256 * 1024


def digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


# --- keys and envelopes --------------------------------------------------------------------------
class Key:
    def __init__(self, seed: bytes):
        public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        assert sodium.crypto_sign_seed_keypair(public, secret, seed) == 0
        self.seed, self.public, self.secret = seed, public.raw, secret.raw
        self.id = digest(self.public)[:8]

    @staticmethod
    def load(path: Path) -> "Key":
        return Key(bytes.fromhex(path.read_text().split()[1]))

    @staticmethod
    def random() -> "Key":
        return Key(os.urandom(32))

    def sign(self, message: bytes) -> bytes:
        out = ctypes.create_string_buffer(64)
        assert sodium.crypto_sign_detached(out, None, message, ctypes.c_ulonglong(len(message)), self.secret) == 0
        return out.raw


def seal(kind: int, payload: bytes, *keys: Key) -> bytes:
    message = b"instar-envelope-v1\0" + bytes([kind]) + digest(payload)
    ordered = sorted(keys, key=lambda key: int.from_bytes(key.id, "little"))
    frame = b"INSE" + bytes([1, kind, len(keys), 0]) + struct.pack("<I", len(payload))
    return frame + b"".join(key.id + key.sign(message) for key in ordered) + payload


def payload_of(envelope: bytes) -> bytes:
    assert envelope[:4] == b"INSE"
    return envelope[12 + 72 * envelope[6]:]


# --- numbers and texts of what is packed by hand ---------------------------------------------------
def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def text(raw: bytes) -> bytes:
    return varint(len(raw)) + raw


class Cursor:
    """Reads what varint() and text() wrote, one after the other."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        assert size <= len(self.data) - self.at, "cut off"
        self.at += size
        return self.data[self.at - size:self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text(self) -> str:
        return self.take(self.varint()).decode(errors="replace")


# --- reports -------------------------------------------------------------------------------------
STEPS = ["idle", "waiting", "fetching", "staging", "trying", "committed", "rolled_back", "refused", "failed"]
BYTES_OF = ["bytes_planned", "bytes_fetched", "bytes_full"]
TIMES_OF = ["downtime_ms", "switch_ms", "device_ms"]
REPORT_FIELDS = {"format", "sequence", "device", "step", "again", "asks_start", "rollout", "attempt", "code", "reason", "pack_kind", *BYTES_OF,
                 *TIMES_OF, "running"}
AGAIN, ASKS_START, RUNS, RUNS_ROLLOUT = 1, 2, 4, 8


def hash_bytes(value: dict | None) -> bytes:
    return bytes(value["bytes"]) if value else bytes(32)


def packed_report(value: dict) -> bytes:
    """`value`: the fields of docs/formats/report.md, as flatc would take them. What is left out is zero or empty."""
    assert value.keys() <= REPORT_FIELDS, value.keys() - REPORT_FIELDS
    step, running = value.get("step", 0), value.get("running")
    same = running is not None and hash_bytes(running.get("manifest")) == hash_bytes(value.get("rollout"))
    flags = (AGAIN * bool(value.get("again")) | ASKS_START * bool(value.get("asks_start")) | RUNS * (running is not None) | RUNS_ROLLOUT * same)
    out = bytes([value.get("format", 1)]) + varint(value.get("sequence", 0)) + text(value.get("device", "").encode())
    out += bytes([STEPS.index(step) if isinstance(step, str) else step, flags]) + hash_bytes(value.get("rollout"))
    out += varint(value.get("attempt", 0)) + varint(value.get("code", 0)) + text(value.get("reason", "").encode())
    out += bytes([value.get("pack_kind", 0)]) + b"".join(varint(value.get(name, 0)) for name in BYTES_OF + TIMES_OF)
    if running is not None:
        artifacts = running.get("artifacts", [])
        out += text(running.get("product", "").encode()) + text(running.get("release", "").encode()) + varint(running.get("sequence", 0))
        out += (b"" if same else hash_bytes(running.get("manifest"))) + varint(len(artifacts)) + b"".join(map(hash_bytes, artifacts))
    return out


def unpacked_report(data: bytes) -> dict:
    cursor = Cursor(data)
    value: dict = {"format": cursor.byte(), "sequence": cursor.varint(), "device": cursor.text()}
    step, flags = cursor.byte(), cursor.byte()
    value |= {"step": STEPS[step] if step < len(STEPS) else step, "again": bool(flags & AGAIN), "asks_start": bool(flags & ASKS_START)}
    value |= {"rollout": hash_value(cursor.take(32)), "attempt": cursor.varint(), "code": cursor.varint()}
    reason = cursor.text()
    value |= {"reason": reason} if reason else {}
    value |= {"pack_kind": cursor.byte()} | {name: cursor.varint() for name in BYTES_OF + TIMES_OF}
    if flags & RUNS:
        running: dict = {"product": cursor.text(), "release": cursor.text(), "sequence": cursor.varint()}
        running["manifest"] = value["rollout"] if flags & RUNS_ROLLOUT else hash_value(cursor.take(32))
        value["running"] = running | {"artifacts": [hash_value(cursor.take(32)) for _ in range(cursor.varint())]}
    return value


# --- FlatBuffers ---------------------------------------------------------------------------------
def flat(schema: str, value: dict) -> bytes:
    """A message of these fields: by flatc, but for a report, which is packed by hand."""
    if schema == "report":
        return packed_report(value)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "x.json")
        source.write_text(json.dumps(value))
        subprocess.run(["flatc", "--binary", "-I", str(SOURCE / "schemas"), "-o", folder, str(SOURCE / f"schemas/{schema}.fbs"), str(source)],
                       check=True, capture_output=True)
        return Path(folder, "x.bin").read_bytes()


def unpacked(payload: bytes) -> bytes:
    """What a zstd frame holds; a manifest travels in one."""
    if payload[:4] != b"\x28\xb5\x2f\xfd":
        return payload
    out = ctypes.create_string_buffer(128 * 1024)
    size = zstd.ZSTD_decompress(out, ctypes.c_size_t(len(out)), payload, ctypes.c_size_t(len(payload)))
    assert size <= len(out), "no sound zstd frame"
    return out.raw[:size]


def unflat(schema: str, data: bytes) -> dict:
    if schema == "report":
        return unpacked_report(data)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "x.bin")
        source.write_bytes(unpacked(data))
        subprocess.run(["flatc", "--json", "--strict-json", "--raw-binary", "--defaults-json", "-I", str(SOURCE / "schemas"), "-o", folder,
                        str(SOURCE / f"schemas/{schema}.fbs"), "--", str(source)], check=True, capture_output=True)
        return json.loads(Path(folder, "x.json").read_text())


def hash_value(raw: bytes) -> dict:
    return {"bytes": list(raw)}


# --- indexes -------------------------------------------------------------------------------------
@dataclass
class Entry:
    path: str
    type: int  # 0 directory, 1 file, 2 symlink, 3 hardlink, 4 character device
    mode: int = 0o755
    content: bytes = b""
    target: str = ""

    def encode(self, previous: bytes) -> bytes:
        raw = self.path.encode()
        shared = len(os.path.commonprefix([previous, raw]))
        out = bytes([self.type]) + varint(shared) + text(raw[shared:])
        owner = varint(0) + varint(0)
        if self.type == 3:
            return out + text(self.target.encode())
        if self.type == 2:
            return out + owner + text(self.target.encode())
        out += varint(self.mode) + owner
        if self.type == 0:
            return out + varint(0)
        if self.type == 1:
            return out + varint(0) + varint(len(self.content)) + digest(self.content)
        return out + varint(1) + varint(3)


def read_folder(folder: Path) -> list[Entry]:
    """The entries of a tree in index order. Owners and xattrs are not looked at: everything belongs to root."""
    entries = [Entry("", 0)]
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        mode = path.lstat().st_mode & 0o7777
        if path.is_symlink():
            entries.append(Entry(name, 2, target=os.readlink(path)))
        elif path.is_dir():
            entries.append(Entry(name, 0, mode))
        else:
            entries.append(Entry(name, 1, mode, path.read_bytes()))
    return sorted(entries, key=lambda entry: entry.path.encode().replace(b"/", b"\0"))


def encode_index(entries: list[Entry]) -> bytes:
    out, previous = b"INSI\x01", b""
    for entry in entries:
        out += entry.encode(previous)
        previous = entry.path.encode()
    return out + b"\xff" + varint(len(entries))


# --- packs ---------------------------------------------------------------------------------------
@dataclass
class Chunk:
    """As the pack names it. `sent` is what goes over the wire: what encodes to it, unless a test says otherwise."""

    hash: bytes
    decoded_bytes: int
    codec: int
    sent: bytes
    encoded_bytes: int = 0

    def __post_init__(self) -> None:
        self.encoded_bytes = self.encoded_bytes or len(self.sent)


def compress(data: bytes, level: int = 3) -> bytes:
    out = ctypes.create_string_buffer(zstd.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    size = zstd.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), level)
    return out.raw[:size]


def chunk(data: bytes) -> Chunk:
    small = compress(data)
    return Chunk(digest(data), len(data), ZSTD, small) if len(small) < len(data) else Chunk(digest(data), len(data), RAW, data)


def cut(data: bytes) -> list[Chunk]:
    return [chunk(data[at:at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES)]


@dataclass
class Pack:
    """A full pack. Tests may change its chunks; `seal_up` then works out the ids again."""

    entries: list[Entry]
    index: bytes = b""
    head: list[Chunk] = field(default_factory=list)
    body: list[Chunk] = field(default_factory=list)
    artifact: bytes = b""
    id: bytes = b""

    def __post_init__(self) -> None:
        self.index = self.index or encode_index(self.entries)
        if not self.body:
            seen, stream = set(), b""
            for entry in self.entries:
                if entry.type == 1 and entry.content and digest(entry.content) not in seen:
                    seen.add(digest(entry.content))
                    stream += entry.content
            self.body = cut(stream)
        self.seal_up()

    def seal_up(self) -> None:
        table = varint(len(self.body))
        for each in self.body:
            table += each.hash + varint(each.decoded_bytes) + varint(each.encoded_bytes * 2 + each.codec)
        self.head = cut(self.index + table)
        self.artifact = digest(self.index)
        directory = b"INPD" + struct.pack("<BBHII", 1, 0, 0, len(self.head), len(self.body)) + self.artifact + bytes(32)
        for each in self.chunks:
            directory += each.hash + struct.pack("<IIB", each.encoded_bytes, each.decoded_bytes, each.codec)
        self.id = digest(directory)

    @property
    def chunks(self) -> list[Chunk]:
        return self.head + self.body

    def value(self) -> dict:
        """As the manifest's JSON has it."""
        return {
            "id": hash_value(self.artifact), "kind": 0, "entry_count": len(self.entries), "index_bytes": len(self.index),
            "content_bytes": sum(each.decoded_bytes for each in self.body),
            "packs": [{
                "kind": 0, "id": hash_value(self.id), "format": 1, "memory_bytes": 1_000_000, "body_count": len(self.body),
                "head_bytes": sum(each.encoded_bytes for each in self.head),
                "body_bytes": sum(each.encoded_bytes for each in self.body),
                "head": [{"hash": hash_value(each.hash), "encoded_bytes": each.encoded_bytes, "decoded_bytes": each.decoded_bytes,
                          "codec": each.codec} for each in self.head],
            }],
        }
