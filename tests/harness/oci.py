"""Container images as archives: made by the rules of the OCI image specification, and as docker save and podman save write them."""

import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, uid: int = 0, gid: int = 0, link: str = "",
          pax: dict[str, str] | None = None, size: int | None = None, major: int = 0, minor: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, uid, gid, link
    info.size = len(data) if size is None else size
    info.devmajor, info.devminor, info.pax_headers = major, minor, pax or {}
    return info, data


def folder(name: str, mode: int = 0o755, **options) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind=tarfile.DIRTYPE, mode=mode, **options)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind=tarfile.LNKTYPE, link=target)


def make_tar(entries: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


def tree_entries(tree: Path, prefix: str = "", only: set[str] | None = None) -> list[tuple[tarfile.TarInfo, bytes]]:
    """A folder on disk, as entries of root. `only`: of these names in it."""
    found = []
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if only is not None and name.split("/")[0] not in only:
            continue
        if path.is_symlink():
            found.append(symlink(prefix + name, os.readlink(path)))
        elif path.is_dir():
            found.append(folder(prefix + name, path.stat().st_mode & 0o7777))
        else:
            found.append(entry(prefix + name, path.read_bytes(), mode=path.stat().st_mode & 0o7777))
    return found


def compressed(data: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "xz":
        return lzma.compress(data)
    if how in ("zstd", "bzip2"):
        return subprocess.run([how, "-c"], input=data, capture_output=True, check=True).stdout
    return data


@dataclass
class Image:
    """Layers as tar archives, and the config beside them."""

    layers: list[bytes]
    config: dict = field(default_factory=dict)
    names: tuple[str, ...] = ("web:1.0",)
    architecture: str = "amd64"
    variant: str = ""
    compression: str = ""  # of the layers in a layout
    os: str = "linux"

    def config_bytes(self) -> bytes:
        document = {"architecture": self.architecture, "os": self.os, "created": "2026-11-30T00:00:00Z", "config": self.config,
                    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha256(layer) for layer in self.layers]}}
        if self.variant:
            document["variant"] = self.variant
        return json.dumps(document).encode()

    def stored_layers(self) -> list[bytes]:
        return [compressed(layer, self.compression) for layer in self.layers]

    def manifest_bytes(self) -> bytes:
        kind = LAYER + (f"+{self.compression}" if self.compression else "")
        return json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(self.config_bytes(), "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(layer, kind) for layer in self.stored_layers()],
        }).encode()

    @property
    def digest(self) -> str:
        return "sha256:" + sha256(self.manifest_bytes())

    @property
    def id(self) -> str:
        return "sha256:" + sha256(self.config_bytes())


def descriptor(data: bytes, kind: str, **more: object) -> dict:
    return {"mediaType": kind, "digest": "sha256:" + sha256(data), "size": len(data), **more}


def layout_files(*images: Image, nested: bool = False) -> dict[str, bytes]:
    """The files of an OCI layout. `nested`: index.json leads to one index of all platforms, as buildx writes it."""
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    listed = []
    for image in images:
        for data in (image.config_bytes(), image.manifest_bytes(), *image.stored_layers()):
            files["blobs/sha256/" + sha256(data)] = data
        platform = {"architecture": image.architecture, "os": image.os} | ({"variant": image.variant} if image.variant else {})
        for name in image.names if not nested else image.names[:1]:
            more = {} if nested else {"annotations": {"org.opencontainers.image.ref.name": name}}
            listed.append(descriptor(image.manifest_bytes(), "application/vnd.oci.image.manifest.v1+json", platform=platform, **more))
    kind = "application/vnd.oci.image.index.v1+json"
    if nested:
        index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": listed}).encode()
        files["blobs/sha256/" + sha256(index)] = index
        listed = [descriptor(index, kind, annotations={"io.containerd.image.name": images[0].names[0]})]
    files["index.json"] = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": listed}).encode()
    return files


def docker_files(*images: Image) -> dict[str, bytes]:
    """The files of an archive of `docker save` before version 25, and of podman's docker-archive."""
    files: dict[str, bytes] = {}
    listed = []
    for image in images:
        name = sha256(image.config_bytes()) + ".json"
        files[name] = image.config_bytes()
        layers = []
        for number, layer in enumerate(image.layers):
            place = f"{sha256(layer + bytes([number]))}/layer.tar"
            files[place] = layer
            layers.append(place)
        listed.append({"Config": name, "RepoTags": list(image.names), "Layers": layers})
    files["repositories"] = b"{}"
    files["manifest.json"] = json.dumps(listed).encode()
    return files


def dir_files(image: Image) -> dict[str, bytes]:
    """The files of podman's docker-dir, which skopeo calls dir."""
    files = {"version": b"Directory Transport Version: 1.1\n", "manifest.json": image.manifest_bytes()}
    for data in (image.config_bytes(), *image.stored_layers()):
        files[sha256(data)] = data
    return files


def write_archive(path: Path, files: dict[str, bytes], how: str = "", prefix: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compressed(make_tar([entry(prefix + name, data) for name, data in files.items()]), how))
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path
