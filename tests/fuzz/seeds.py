"""Writes the seeds of the targets into corpus/: the worked examples of the formats (tests/fixtures), the JSON of the pages, and what
is made here. To be run when a target or an example has changed; its output stays in the tree.

An input that found something is kept beside them as corpus/TARGET/found-WHAT; this leaves it alone."""

import gzip
import hashlib
import io
import json
import lzma
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORPUS = HERE / "corpus"


def fixture(name: str, cut: int = 0) -> bytes:
    """The bytes of a fixture, without the last `cut` ones."""
    lines = (ROOT / "tests/fixtures" / f"{name}.hex").read_text().splitlines()
    body = bytes.fromhex("".join(line for line in lines if not line.startswith("#")))
    return body[:len(body) - cut]


def seed(target: str, name: str, pick: bytes | int, body: bytes | str) -> None:
    """`pick`: the bytes in front of the body, by which the target knows what the body is."""
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    head = bytes([pick]) if isinstance(pick, int) else pick
    (folder / f"seed-{name}").write_bytes(head + (body.encode() if isinstance(body, str) else body))


def json_blocks(page: str) -> list[str]:
    return re.findall(r"^```json\n(.*?)^```", (ROOT / page).read_text(), flags=re.S | re.M)


def key_lines() -> list[str]:
    return (ROOT / "tests/fixtures/keys.txt").read_text().splitlines(keepends=True)


def signed_and_keys() -> None:
    seed("envelope", "envelope", 0, fixture("envelope"))
    seed("envelope", "root", 1, fixture("root"))
    for number, line in enumerate(key_lines()):
        seed("envelope", f"key-{number}", 2, line)
    # Roles root, release, gate of two documents (threshold and keys), who signs them, and who signs what they are for.
    seed("envelope", "store", 3, bytes([0x11, 0x1e, 0x14, 0x13, 0x1a, 0x14, 0x31, 0x02]))
    seed("envelope", "store-two", 3, bytes([0x23, 0x2e, 0x14, 0x23, 0x2e, 0x14, 0x33, 0x0c]))


def images() -> None:
    """Two images of each compression, of trees that differ a little. They need mksquashfs."""
    words = [f"word {number * number % 97}" for number in range(900)]
    with tempfile.TemporaryDirectory() as scratch:
        for way in ("gzip", "xz", "lz4", "zstd"):
            images = []
            for age in ("old", "new"):
                tree, image = Path(scratch) / way / age, Path(scratch) / f"{way}-{age}"
                (tree / "folder").mkdir(parents=True)
                (tree / "long").write_text("\n".join(words[len(images):]))
                (tree / "folder/short").write_text("short " * 40 + age)
                (tree / "folder/kept").write_text("kept " * 50)
                (tree / "holes").write_bytes(bytes(9000) + b"end")
                subprocess.run(["mksquashfs", tree, image, "-comp", way, "-b", "4096", "-nopad", "-quiet", "-no-progress", "-noappend",
                                "-all-root", "-mkfs-time", "0", "-all-time", "0"], check=True, stdout=subprocess.DEVNULL)
                images.append(image.read_bytes())
            seed("image", way, struct.pack("<H", len(images[0])), images[0] + images[1])
            seed("image", f"{way}-same", struct.pack("<H", len(images[0])), images[0])
    for kind, old, new in [("zip", zip_of(words, "old"), zip_of(words[1:], "new")), ("xz", xz_of(words), xz_of(words[1:]))]:
        seed("image", f"archive-{kind}", struct.pack("<H", len(old)), old + new)
        seed("image", f"archive-{kind}-same", struct.pack("<H", len(old)), old)


def zip_of(words: list[str], age: str) -> bytes:
    """Compressed, stored, and with an archive inside."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("deep"), "\n".join(words[:99]), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("folder/long"), "\n".join(words), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo(f"short-{age}"), "short " * 40 + age, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("inner.jar"), inner.getvalue(), zipfile.ZIP_STORED)
    return outer.getvalue()


def xz_of(words: list[str]) -> bytes:
    return lzma.compress("\n".join(words).encode(), check=lzma.CHECK_CRC32, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}])


def messages() -> None:
    names = ["manifest", "gate", "hello", "report", "fetch", "chunk", "ack", "put", "stored"]
    for pick, name in enumerate(names):
        seed("wire", name, pick, fixture(name))
    for line in (ROOT / "tests/fixtures/topics.txt").read_text().splitlines():
        kind, topic = line.split(maxsplit=1)
        seed("wire", f"topic-{kind}", 9, topic)
        seed("wire", f"prefixed-{kind}", 15, "acme/updates\n" + topic.replace("instar/v1", "acme/updates"))
    for pick, name in [(10, "assignment"), (11, "approval"), (12, "enrolment")]:
        if (ROOT / f"tests/fixtures/{name}.hex").exists():
            seed("wire", name, pick, fixture(name))


def artifacts() -> None:
    seed("index", "index", 0, fixture("index"))
    directory_bytes = 16 + 64 + 2 * 40
    seed("index", "directory", 1, fixture("pack-file")[:directory_bytes])
    seed("index", "head", bytes([2, len(fixture("index")), 0, 7]), fixture("index"))
    seed("index", "chunk", bytes([3, 0, 5, 0, 0]), b"hello")
    seed("index_delta", "delta", 0, fixture("index-delta"))
    seed("index_delta", "index", 1, fixture("index"))
    seed("gzip", "recipe", 0, fixture("gzip-recipe"))
    seed("gzip", "base", bytes([1, 99]), fixture("gzip-recipe-file"))
    seed("gzip", "find", 2, fixture("gzip-recipe-file"))


def deltas() -> None:
    # All of the base with its references predicted, in two files (the second by a path), and what is inserted.
    control = bytes([0x05, 1, 0x80, 0xa0, 1, 0, 0, 0x05, 2, 0x80, 0x28, 0x80, 0x30, 4, 9, 0, 40])
    code = bytes.fromhex("e800010000488d05f0000000e9100000000f8410000000"
                         "0100009400000090000000910000409e1400000010000000000000000200000000000000")
    seed("delta", "as-is", 0, fixture("delta"))
    for kinds in range(4):
        seed("delta", f"streams-{kinds}", bytes([1, kinds, len(control), 0, kinds]), control + code)
    for base in range(6):
        for difference in range(3):
            seed("delta", f"control-{base}{difference}", bytes([2, base | difference << 3 | (base % 3) << 5]), control)
    plain = bytes([0x01, 1, 100, 20, 6])
    seed("delta", "plain", bytes([2, 5]), plain * 3)
    gzip_base = bytes([0x09, 2, 100, 200, 1, 7, 9, 2, 0])
    seed("delta", "gzip-base", bytes([2, 4]), gzip_base * 2)
    gzip_made = bytes([0x11, 2]) + fixture("gzip-recipe")[:2] + bytes([1, 100, 20, 0])
    seed("delta", "gzip-made", bytes([2, 0]), gzip_made)
    # The content of the gzip base as a stream: copied, and compressed again.
    deflater = zlib.compressobj(1, zlib.DEFLATED, -15, 8)
    packed = len(deflater.compress(bytes(i // 3 % 256 for i in range(8192))) + deflater.flush())
    numbers = [0x21, 5, 4096, 1, 5, "f1", 0, 3, 20, 10, packed * 2, 8192, 16, 8, 1, 1, 1, 20, 8192, 1, 8192, 0, 0, packed * 8 + 6, 8192, 0]
    seed("delta", "stream", bytes([2, 4]), b"".join(bytes.fromhex(n) if isinstance(n, str) else varint(n) for n in numbers))


def varint(value: int) -> bytes:
    more = value >> 7
    return bytes([value & 0x7f | (0x80 if more else 0)]) + (varint(more) if more else b"")


def bundle(parts: list[tuple[int, bytes]]) -> bytes:
    head = b"INSTARB\x01" + struct.pack("<I", len(parts))
    return head + b"".join(struct.pack("<IQ", kind, len(body)) for kind, body in parts) + b"".join(body for _, body in parts)


def bundles() -> None:
    seed("bundle", "whole", b"", bundle([(1, b"root"), (2, b"manifest"), (3, b"first pack"), (3, b"")]))
    seed("bundle", "empty", b"", bundle([]))
    seed("bundle", "two-roots", b"", bundle([(1, b"a"), (1, b"b"), (2, b"c"), (9, b"later")]))
    seed("bundle", "too-long", b"", bundle([(1, b"a")]).replace(struct.pack("<Q", 1), struct.pack("<Q", 2**64 - 1)))


def operator_files() -> None:
    release, policy = json_blocks("docs/operator.md")[:2]
    seed("operator", "release", 0, release)
    seed("operator", "release-policy", 0, re.sub(r'"policy": \{.*?\}', policy.strip()[1:-1], release, flags=re.S))
    forms = ["25%", "0.5%", "5", "all", "gw-01,gw-02", "10%:success=95%,soak=1h,approval,quorum=30%", "Mon-Fri 02:00 4h",
             "Sat,Sun 22:00 8h", "daily 02:00 90min", "2%", "revert", "lxc.environment=LANG=C", "data:/var/lib/app", "1.5M", "64Ki",
             "1h30m", "500ms", "sh -c 'a b' \"c\\\"d\"", "mqtts://broker.example:8883", "[::1]", "0123456789abcdef"]
    for number, text in enumerate(forms):
        seed("operator", f"form-{number}", 1, text)
    seed("operator", "config", 2, "# mine\n\nbroker = mqtts://broker.example\r\nusername=alice\npassword-file = pw\nca = ca.pem\n"
         "cert = c.pem\nkey-file = k.pem\nprefix = acme/updates\ntimeout = 5s\nallow-plain = yes")
    for name in ["pack-file", "index", "envelope"]:
        seed("operator", f"inspect-{name}", 3, fixture(name))
    for number, line in enumerate(key_lines()):
        seed("operator", f"inspect-key-{number}", 3, line)
    pages = json_blocks("docs/formats/status.md") + json_blocks("docs/formats/control.md")
    for number, text in enumerate(pages):
        inner = re.search(r'"data": (\{.*\})\}', text, flags=re.S)
        seed("operator", f"answer-{number}", 4, inner.group(1) if inner else text)


def listing_of(packs: str, more: str = "") -> str:
    return f'{{"format": 1, "artifact": "@@", "kind": "tree", "packs": [{packs}]{more}}}'


def artifact_folders() -> None:
    seed("artifact", "pack-file", 0, fixture("pack-file"))
    full, dedupe = '{"kind": "full", "file": "full.pack"}', '{"kind": "dedupe", "file": "dedupe.pack"}'
    seed("artifact", "listing", 1, listing_of(f"{full}, {dedupe}"))
    base = "ab" * 32
    seed("artifact", "listing-bases", 1, listing_of(
        full, f', "bases": [{{"base": "{base}", "full_bytes": 10, "dedupe_bytes": null, "delta_bytes": 3}}]'))
    seed("artifact", "listing-image", 1, listing_of(full).replace('"tree"', '"image", "image_format": "squashfs"'))
    seed("artifact", "listing-outside", 1, listing_of('{"file": "../full.pack"}'))
    size = bytes([2, 1, 0, 0])  # one unit of 64 KiB
    seed("artifact", "squashfs", size, b"hsqs" + bytes(24) + struct.pack("<H", 4) + bytes(10) + struct.pack("<Q", 4096))
    seed("artifact", "erofs", size, bytes(1024) + b"\xe2\xe1\xf5\xe0" + bytes(8) + b"\x0c" + bytes(23) + struct.pack("<I", 2) + bytes(88))
    ext4 = bytearray(1024 + 0x160)
    struct.pack_into("<I", ext4, 1024 + 4, 16)
    struct.pack_into("<I", ext4, 1024 + 0x18, 2)
    ext4[1024 + 56:1024 + 58] = b"\x53\xef"
    seed("artifact", "ext4", size, bytes(ext4))
    struct.pack_into("<I", ext4, 1024 + 0x60, 4)
    seed("artifact", "ext4-journal", size, bytes(ext4))
    seed("artifact", "gzip", size, b"\x1f\x8b\x08")


def tar_of(entries: list[tuple[str, bytes, bytes, str]], pax: dict[str, str] | None = None) -> bytes:
    """`entries`: name, kind, content, target."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.pax_headers = kind, len(content), target, pax or {}
            tar.addfile(info, io.BytesIO(content) if content else None)
    return out.getvalue()[:-8192]  # without most of the zeros at its end


def image_files(layer: bytes, config: str) -> dict[str, bytes]:
    def sha256(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    def descriptor(data: bytes) -> dict:
        return {"digest": "sha256:" + sha256(data), "size": len(data)}

    document = json.dumps({"os": "linux", "architecture": "amd64", "config": json.loads(config),
                           "rootfs": {"diff_ids": ["sha256:" + sha256(layer)]}}).encode()
    manifest = json.dumps({"config": descriptor(document), "layers": [descriptor(layer)]}).encode()
    index = json.dumps({"manifests": [descriptor(manifest)]}).encode()
    return {"oci-layout": b"{}", "index.json": index} | {"blobs/sha256/" + sha256(data): data for data in (document, manifest, layer)}


def archives() -> None:
    file, folder, link, symlink = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
    layer = tar_of([("etc", folder, b"", ""), ("etc/passwd", file, b"web:x:3:4:::/bin/sh\n", ""), ("a/.wh..wh..opq", file, b"", ""),
                    (".wh.b", file, b"", ""), ("c", link, b"", "etc/passwd"), ("d", symlink, b"", "etc"), ("d/e", file, b"e", "")])
    xattrs = tar_of([("f", file, b"f", "")], {"SCHILY.xattr.user.a": "b", "SCHILY.acl.access": "user::rw-,user:x:rw-:3,group::r--,mask::rw-,other::r--"})
    sparse = tar_of([("s", file, b"s", "")], {"GNU.sparse.size": "8192", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "4096,1"})
    cpio = (b"070701" + b"00000001" + b"000081a4" + b"00000000" * 2 + b"00000001" + b"00000000" + b"00000002" + b"00000000" * 4 + b"00000002"
            + b"00000000" + b"a\0" + b"hi\0\0" + b"070701" + b"0" * 88 + b"0000000b" + b"00000000" + b"TRAILER!!!\0\0\0\0")
    config = ('{"Entrypoint":["/a"],"Env":["A=1"],"User":"web","WorkingDir":"/w","StopSignal":"INT","Volumes":{"/v":{}},'
              '"Healthcheck":{"Test":["CMD-SHELL","x"],"Interval":1000000},"Labels":{"a":"b"},"ExposedPorts":{"1/tcp":{}},"OnBuild":["x"]}')
    for name, data in (("layer", layer), ("xattrs", xattrs), ("sparse", sparse), ("cpio", cpio)):
        seed("archive", name, 0, data)
        seed("archive", f"{name}-gz", 1, gzip.compress(data, mtime=0))
        seed("archive", f"{name}-xz", 1, lzma.compress(data))
    seed("archive", "config", 2, config)
    origin = {"file": "web.tar", "format": "oci", "config_digest": "sha256:aa", "labels": {"a": "b"}, "remarks": ["x"],
              "container": {"init": ["/a"], "settings": [{"key": "lxc.environment", "value": "A=1"}],
                            "volumes": [{"name": "v", "path": "/v", "mode": 493}], "probe": {"command": ["x"]}}}
    seed("archive", "origin", 3, json.dumps(origin))
    files = image_files(layer, config)
    seed("archive", "image", 4, tar_of([(name, file, data, "") for name, data in files.items()]))
    docker = {"c.json": files["blobs/sha256/" + list(files)[2].split("/")[2]], "l/layer.tar": layer,
              "manifest.json": b'[{"Config":"c.json","RepoTags":["web:1"],"Layers":["l/layer.tar"]}]'}
    seed("archive", "docker", 4, tar_of([(name, file, data, "") for name, data in docker.items()]))
    seed("archive", "rootfs", 4, layer)
    seed("archive", "user", 5, "web:4\nweb:x:3:4:::/bin/sh\nweb:x:4:web")
    for number, name in enumerate(("sha256:" + "a" * 64, "linux/arm64/v8", "armv7l", "./a//b/../c")):
        seed("archive", f"text-{number}", 6, name)


def made_elf(loader: bytes, needed: list[bytes], bits: int = 64) -> bytes:
    """Headers, a dynamic section and its texts, for x86."""
    word = "Q" if bits == 64 else "I"
    texts, offsets = b"\0", []
    for name in [loader, *needed, b"$ORIGIN/../lib"]:
        offsets.append(len(texts))
        texts += name + b"\0"
    start = 64 + 3 * 56 if bits == 64 else 52 + 3 * 32
    rows = [(1, offset) for offset in offsets[1:-1]] + [(29, offsets[-1]), (5, start), (0, 0)]
    dynamic = b"".join(struct.pack("<2" + word, *row) for row in rows)
    places = [(1, 0, start + len(texts) + len(dynamic)), (3, start + offsets[0], len(loader) + 1), (2, start + len(texts), len(dynamic))]
    head = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1, 1]) + bytes(9)
    if bits == 64:
        head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 64, 64, 0, 0, 64, 56, 3, 0, 0, 0)
        head += b"".join(struct.pack("<IIQQQQQQ", kind, 4, at, at, at, size, size, 1) for kind, at, size in places)
    else:
        head += struct.pack("<HHIIIIIHHHHHH", 3, 3, 1, 52, 52, 0, 0, 52, 32, 3, 0, 0, 0)
        head += b"".join(struct.pack("<8I", kind, at, at, at, size, size, 4, 1) for kind, at, size in places)
    return head + texts + dynamic


def programs() -> None:
    usual = made_elf(b"/lib64/ld-linux-x86-64.so.2", [b"libx.so", b"libc.so.6"])
    for pick, name in [(0, "elf"), (2, "init"), (3, "library")]:
        seed("programs", name, pick, usual)
    seed("programs", "elf-32", 0, made_elf(b"/lib/ld-linux.so.2", [b"libc.so.6"], 32))
    seed("programs", "musl", 2, made_elf(b"/lib/ld-musl-x86_64.so.1", [b"libz.so", b"libc.musl-x86_64.so.1"]))
    for number, line in enumerate(["#!/bin/sh\n", "#! /usr/bin/env -S A=1 sh -e\n", "#!/bin/sh\r\n", "#!/sbin/init\n", "exec sh\n",
                                   "#!" + "/" * 300, "\ufeff#!/bin/sh\n", "MZ"]):
        seed("programs", f"line-{number}", 1, line)
        seed("programs", f"script-{number}", 2, line)
    seed("programs", "cache", 4, b"glibc-ld.so.cache1.1\0\0liby.so\0/lib/libx.so\0libz.so\0/opt/libz.so\0")
    seed("programs", "path", 5, "/lib:/opt/lib\n/usr/lib\n")
    for number, target in enumerate(["../bin/sh", "/sbin/start", "../../../usr/bin/sh", "init/x"]):
        seed("programs", f"link-{number}", 6, target)


def device_files() -> None:
    least = "device_id = press-12\nproduct = press\ngroups = plant-7/line-a, plant-7\nserver = ssl://broker.example:8883\n"
    seed("device_files", "conf", 0, (ROOT / "deploy/device.conf").read_text())
    seed("device_files", "conf-all", 0, least +
         "; TLS\nusername = press-12\npassword_file = /etc/instar/password\nallow_plain_password = no\nca_file = /etc/instar/ca.pem\n"
         "certificate_file = /c.pem\nkey_file = /k.pem\nprefix = acme/updates\nwatchdog = /dev/watchdog\nwatchdog_s = 60\n"
         "keepalive_s = 300\nreconnect_s_max = 10\nmetered = yes\nwindow_bytes_max = 65536\npiece_bytes_max = 4096\nroot_file = /r\n"
         "state_dir = /data/instar/\nlxc_keys_allowed = lxc.mount.entry, lxc.net.*\ndevices_allowed = no\n"
         "container_network = bridge:lxcbr0\nstop_timeout_s = 3\nbroker_grace_s = 60\nlxc_helper = /l\nhandlers_dir = /h\n"
         "self_update = yes\nprevious_makes_room = no\nreboot_command = reboot\nlog_level = 7")
    seed("device_files", "json", 1, r'{"state":"running","pid":17,"init":true,"error":null,"text":"a\u00fc\ud83d\ude00\n\"\\"}')
    seed("device_files", "json-text", 1, 'a "quoted" \\ text \u202e \x01\n')
    seed("device_files", "record", 2, f'{{"container":"web","revision":7,"order":0,"fingerprint":"{"ab" * 32}"}}\n')
    seed("device_files", "image", 2, "squashfs\n/var/lib/instar/image\n/var/lib/instar/upper\nnodev\n")
    seed("device_files", "files", 2, "/var/lib/instar/names/resolv.conf\0resolv.conf\0bind\0/etc/localtime\0localtime\0bind-missing\0")
    seed("device_files", "volumes", 2, "data\0/var/lib/instar/volumes/data\0/var/lib/app\0logs\0/v/logs\0/logs\0")
    for number, text in enumerate(["tcp://localhost:1883", "mqtts://broker.example", "ssl://[::1]:8883", "wss://b", "mqtt://127.0.0.1"]):
        seed("device_files", f"uri-{number}", 3, text)


def record(*fields: bytes) -> bytes:
    return bytes([4]) + b"".join(fields)


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def store_records() -> None:
    seed("state", "state", 0, fixture("device_state", cut=32))
    anchor = b"INAN\x01" + struct.pack("<QII", 7, len(fixture("envelope")), 0) + fixture("envelope")
    seed("state", "anchor", 1, anchor)
    seed("records", "event", 4, record(struct.pack("<Q", 1_760_000_000_000), text("alice"), text("paused the rollout")))
    rollout = bytes(range(32))
    keys = [b"root/\0\0\0\2", b"assign/gw-01", b"gw-01", b"r" + rollout, b"m" + rollout, rollout + b"gw-01", b"c" + rollout,
            rollout + b"\0\0\1\0"]
    for number, key in enumerate(keys):
        seed("records", f"key-{number}", 10, key)
    for pick in range(5, 10):
        seed("records", f"changed-{pick}", pick, bytes([1, 0, 9]))
        seed("records", f"cut-{pick}", pick, bytes([20, 0, 1, 2]))


def step(kind: int, body: bytes | str) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    return bytes([kind]) + struct.pack("<H", len(body)) + body


def service() -> None:
    requests = [block for block in json_blocks("docs/formats/control.md") if block.startswith('{"commands"')]
    for number, block in enumerate(requests):
        seed("service", f"control-{number}", b"", step(0, re.sub(r'("rollout": ")\w+', r"\1@@", block)))
    rollout = '{"commands": [%s]}' % ", ".join(
        f'{{"command": "{verb}", "rollout": "@@"}}' for verb in ["pauseRollout", "resumeRollout", "retryRollout", "abortRollout"])
    seed("service", "verbs", b"", step(0, rollout) + step(1, rollout))
    seed("service", "attempt", b"", b"".join(step(11, bytes([number])) for number in [1, 2, 3, 4, 5]))
    seed("service", "goes-back", b"", step(11, b"\4") + step(9, b"\5") + step(11, b"\6") + step(0, rollout))
    for kind, name in [(2, "hello"), (3, "report"), (4, "fetch"), (5, "put"), (6, "manifest"), (7, "assignment"), (8, "root")]:
        seed("service", name, b"", step(kind, fixture(name)) + step(9, b"\1"))
    for line in (ROOT / "tests/fixtures/topics.txt").read_text().splitlines():
        kind, topic = line.split(maxsplit=1)
        seed("service", f"topic-{kind}", b"", step(10, topic + "\nx"))


def main() -> int:
    for old in CORPUS.glob("*/seed-*"):
        old.unlink()
    for make in [signed_and_keys, messages, artifacts, deltas, images, bundles, operator_files, artifact_folders, archives, device_files, programs,
                 store_records, service]:
        make()
    return 0


if __name__ == "__main__":
    sys.exit(main())
