"""Container images and archives of root file systems: packed, published and updated on a device like any tree."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from harness.oci import (Image, compressed, descriptor, dir_files, docker_files, entry, folder, hardlink, layout_files, make_tar, sha256, symlink,
                         tree_entries, write_archive, write_folder)
from harness.operator import Refused, run
from harness.process import HANGS_S, INSTAR, SOURCE
from harness.site import Site
from harness.trees import make_tree, noise

SERVE = "echo up > /data/started && env > /data/env && pwd > /data/folder && exec /bin/httpd -f -p 127.0.0.1:8080 -h /www"
CONFIG = {
    "Entrypoint": ["/bin/sh", "-c"], "Cmd": [SERVE], "Env": ["PATH=/bin:/sbin", "GREETING=hello world"], "User": "web", "WorkingDir": "/srv/web",
    "Volumes": {"/data": {}}, "ExposedPorts": {"8080/tcp": {}}, "StopSignal": "SIGINT",
    "Healthcheck": {"Test": ["CMD-SHELL", "/bin/wget -q -O - http://127.0.0.1:8080/version"], "Interval": 200_000_000,
                    "Timeout": HANGS_S * 1_000_000_000, "StartPeriod": HANGS_S * 1_000_000_000, "Retries": 3},
    "Labels": {"org.opencontainers.image.title": "Web", "org.opencontainers.image.version": "1.0"},
}
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv/web:/bin/sh\n"


def base_layer(tmp_path: Path) -> bytes:
    """A busybox without a service, in which a later layer deletes and replaces."""
    tree = make_tree(tmp_path / "base", "0")
    shutil.rmtree(tree / "www")
    (tree / "usr/share/data/old").write_text("gone later")
    (tree / "opt/old/deep").mkdir(parents=True)
    (tree / "opt/old/deep/file").write_text("hidden later")
    (tree / "etc/motd").write_text("a file that becomes a folder")
    (tree / "usr/share/noise").write_bytes(noise("same", 200_000))
    return make_tar(tree_entries(tree))


def service_layer(version: str, changed_bytes: int = 0) -> bytes:
    return make_tar([
        folder("www"), entry("www/version", version.encode() + b"\n"), hardlink("www/same", "www/version"),
        entry("etc/passwd", PASSWD), entry("etc/group", b"root:x:0:\nweb:x:34:\n"),
        entry("usr/share/data/.wh.old"), entry("opt/old/.wh..wh..opq"), entry("opt/old/new", b"new"),
        folder("etc/motd"), entry("etc/motd/text", b"folder"), hardlink("bin/box", "bin/busybox"),
        folder("srv/web", uid=33, gid=34, mode=0o750), folder("data", uid=33, gid=34, mode=0o700),
        entry("usr/share/changed", noise(version, changed_bytes)),
    ])


def make_image(tmp_path: Path, version: str = "1.0", *, changed_bytes: int = 0, config: dict | None = None, **options) -> Image:
    return Image([base_layer(tmp_path), service_layer(version, changed_bytes)], CONFIG if config is None else config,
                 names=(f"web:{version}",), **options)


def pack(source: Path, *options: str) -> dict:
    """The document of `instar pack`."""
    out = source.parent / "artifacts" / source.name
    return run(["pack", str(source), "-o", str(out), "--level", "1", "--replace", *options])


def refusal(source: Path, *options: str) -> str:
    with pytest.raises(Refused) as refused:
        pack(source, *options)
    assert refused.value.code in (4, 5), refused.value
    assert not [p for p in source.parent.iterdir() if "instar" in p.name]
    return json.loads(refused.value.out)["error"]["message"] if refused.value.out.startswith("{") else refused.value.err


# --- on a device ---------------------------------------------------------------------------------
def publish(site: Site, release: str, image: Path, *options: str) -> dict:
    operator = site.operator
    return operator.ask("publish", "--image", str(image), "--group", operator.group, "--product", operator.product, "--release", release,
                        "--settle", "1s", "--key", str(operator.keys.release), "--root", str(operator.keys.root), *options)


def test_an_image_is_committed_and_the_next_one_comes_as_a_delta(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("box")
        first = make_image(tmp_path)
        published = publish(site, "1.0", write_archive(tmp_path / "images/web.tar", docker_files(first)), "--expect", first.id)
        assert published["packed"]["origin"]["config_digest"] == first.id
        assert any("8080/tcp" in remark for remark in published["packed"]["origin"]["remarks"])
        site.wait_for_counts(published["rollout"], {"committed": 1})
        shown = device.ask("app", "/bin/sh", "-c", "cat /www/version /www/same /data/started /data/env /data/folder; busybox grep '[UG]id' /proc/1/status; busybox ls -dln /data; ls /opt/old /etc/motd;"
                           "[ -e /usr/share/data/old ] || echo deleted").splitlines()
        assert shown[:3] == ["1.0", "1.0", "up"]
        assert {"GREETING=hello world", "HOME=/srv/web", "PATH=/bin:/sbin"} <= set(shown)
        assert "/srv/web" in shown and "Uid:\t33\t33\t33\t33" in shown and "Gid:\t34\t34\t34\t34" in shown
        volume = next(line.split() for line in shown if line.endswith("/data"))
        assert volume[0] == "drwx------" and volume[2:4] == ["33", "34"]
        assert shown[-6:] == ["/etc/motd:", "text", "", "/opt/old:", "new", "deleted"] or shown[-1] == "deleted" and "new" in shown

        # Another form of image, in the same place: what was there is the base of its delta.
        second = make_image(tmp_path, "2.0", changed_bytes=20_000, compression="gzip")
        published = publish(site, "2.0", write_archive(tmp_path / "images/web.tar", layout_files(second)), "--expect", second.digest)
        (base,) = published["deltas"]["bases"]
        assert base["kept"] and base["delta_bytes"] < 30_000 < 200_000 < base["full_bytes"]
        site.wait_for_counts(published["rollout"], {"committed": 1})
        (member,) = site.operator.ask("rollout", "show", published["rollout"], "--devices")["members"]
        assert member["pack_kind"] == "delta" and member["bytes_fetched"] == base["delta_bytes"]
        assert device.ask("app", "/bin/cat", "/www/version", "/data/started") == "2.0\nup\n"


# --- what becomes of the config ------------------------------------------------------------------
def plan(keys, image: Path, *options: str) -> tuple[dict, dict]:
    """The container of the release, and the whole document, without a broker."""
    document = run(["publish", "--image", str(image), "--group", "test", "--product", "box", "--release", "1", "--sequence", "1", "--dry-run",
                    "--no-delta", "--key", str(keys.release), "--root", str(keys.root), *options])
    return document["manifest"]["containers"][0], document


def settings_of(container: dict) -> list[tuple[str, str]]:
    return [(setting["key"], setting["value"]) for setting in container["settings"]]


def test_the_config_becomes_the_container(tmp_path, keys):
    container, document = plan(keys, write_archive(tmp_path / "web.tar", layout_files(make_image(tmp_path))))
    assert container["init"] == ["/bin/sh", "-c", SERVE]
    assert settings_of(container) == [
        ("lxc.environment", "PATH=/bin:/sbin"), ("lxc.environment", "GREETING=hello world"), ("lxc.environment", "HOME=/srv/web"),
        ("lxc.init.uid", "33"), ("lxc.init.gid", "34"), ("lxc.init.cwd", "/srv/web"), ("lxc.signal.halt", "SIGINT")]
    assert container["volumes"] == [{"name": "data", "path": "/data", "mode": 0o700, "uid": 33, "gid": 34, "shared": False}]
    probe = container["health"]["probe"]
    assert probe["command"] == ["/bin/sh", "-c", CONFIG["Healthcheck"]["Test"][1]]
    assert probe["interval_ms"] == 200 and probe["failures_max"] == 3 + HANGS_S * 5
    assert document["manifest"]["notes"] == "Web 1.0"
    assert (tmp_path / "web.artifact/artifact.json").exists() and document["packed"]["folder"] == str(tmp_path / "web.artifact")
    # The artifact knows it too, for a release that names it.
    inspected = run(["inspect", str(tmp_path / "web.artifact")])
    assert inspected["origin"]["labels"]["org.opencontainers.image.title"] == "Web" and inspected["origin"]["platform"] == "linux/amd64"


def test_options_win_over_the_config(tmp_path, keys):
    container, document = plan(keys, write_archive(tmp_path / "web.tar", layout_files(make_image(tmp_path))), "--init", "/bin/sleep 1000",
                               "--probe", "/bin/true", "--volume", "own:/data", "--set", "lxc.environment=GREETING=own", "--set", "lxc.init.cwd=/",
                               "--notes", "own words")
    assert container["init"] == ["/bin/sleep", "1000"] and container["health"]["probe"]["command"] == ["/bin/true"]
    assert [volume["name"] for volume in container["volumes"]] == ["own"]
    settings = settings_of(container)
    assert ("lxc.environment", "GREETING=own") in settings and ("lxc.environment", "GREETING=hello world") not in settings
    assert ("lxc.init.cwd", "/") in settings and ("lxc.init.cwd", "/srv/web") not in settings
    assert document["manifest"]["notes"] == "own words"


def test_a_release_file_takes_from_the_image_what_it_does_not_say(tmp_path, keys):
    pack(write_archive(tmp_path / "web.tar", docker_files(make_image(tmp_path))))
    release = {"product": "box", "release": "1", "sequence": 1, "groups": ["test"],
               "containers": [{"name": "web", "artifact": "artifacts/web.tar", "settings": {"lxc.environment": "GREETING=own"}}]}
    (tmp_path / "release.json").write_text(json.dumps(release))
    container = run(["publish", str(tmp_path / "release.json"), "--dry-run", "--no-delta", "--key", str(keys.release), "--root",
                     str(keys.root)])["manifest"]["containers"][0]
    assert container["init"] == ["/bin/sh", "-c", SERVE] and container["volumes"][0]["name"] == "data"
    assert ("lxc.environment", "GREETING=own") in settings_of(container) and ("lxc.init.uid", "33") in settings_of(container)


def test_python_that_would_compile_at_each_start_is_noted(tmp_path):
    timed = b"\xa7\r\r\n" + bytes(4) + (10**9).to_bytes(4, "little") + bytes(4)
    layer = make_tar([entry("lib/m.py", b"x = 1"), entry("lib/__pycache__/m.cpython-311.pyc", timed)])
    archive = write_archive(tmp_path / "web.tar", layout_files(Image([layer], {"Cmd": ["/lib/m.py"]})))
    assert pack(archive)["notes"]["stale_python"]["first"] == "lib/__pycache__/m.cpython-311.pyc"
    assert pack(archive, "--times", "keep")["notes"]["stale_python"]["count"] == 0


@pytest.mark.parametrize("config,remark", [
    ({"OnBuild": ["RUN x"]}, "not kept: OnBuild"),
    ({"Env": ["A=1\n2"]}, "not kept: Env A: its value has several lines"),
    ({"Env": ["LONG=" + "x" * 2000]}, "not kept: Env LONG: its value has more than 1024 bytes"),
    ({"Env": ["novalue"]}, "not kept: Env novalue"),
    ({"Volumes": {"/proc/x": {}}}, "not kept: Volumes /proc/x: what is there belongs to the kernel"),
    ({"Volumes": {"/bin/sh": {}}}, "not kept: Volumes /bin/sh: a link or a file is on the way"),
    ({"Volumes": {"/www": {}}}, "what the image has in /www is hidden by it"),
    ({"WorkingDir": "/not/there"}, "made: the folder /not/there"),
    ({"StopSignal": "stop it"}, "not kept: StopSignal stop it"),
    ({"Healthcheck": {"Test": ["CMD", "/bin/true"], "StartInterval": 5}}, "not kept: Healthcheck StartInterval"),
    ({"Healthcheck": {"Test": ["SHELL", "x"]}}, "not kept: Healthcheck"),
    ({"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}, "it listens on 80/tcp, 53/udp"),
    ({"Cmd": None}, "it names no command"),
    ({"Labels": {"long": "x" * 2000}}, "not kept: the label long"),
])
def test_what_cannot_be_kept_is_said_by_name(tmp_path, config, remark):
    image = make_image(tmp_path, config={"Cmd": ["/bin/sleep", "1"]} | config)
    document = pack(write_archive(tmp_path / "web.tar", layout_files(image)))
    assert any(remark in said for said in document["origin"]["remarks"]), document["origin"]["remarks"]


def test_an_image_that_cannot_start_is_said_before_anything_is_sent(tmp_path, keys):
    archive = write_archive(tmp_path / "web.tar", layout_files(make_image(tmp_path, config={"Entrypoint": ["/usr/bin/web"]})))
    assert any("/usr/bin/web is not in the tree" in doubt for doubt in pack(archive)["doubts"])
    with pytest.raises(Refused) as refused:
        plan(keys, archive)
    assert "/usr/bin/web is not in the tree" in str(refused.value)


# --- forms ---------------------------------------------------------------------------------------
def test_every_form_of_an_image_is_the_same_artifact(tmp_path):
    plain = make_image(tmp_path)
    forms = {name: write_archive(tmp_path / f"forms/{name}.tar", layout_files(make_image(tmp_path, compression=how)))
             for name, how in (("plain", ""), ("gzip", "gzip"), ("zstd", "zstd"))}
    forms |= {f"packed-{how}": write_archive(tmp_path / f"forms/packed.tar.{how}", layout_files(plain), how, "./")
              for how in ("gzip", "xz", "zstd", "bzip2")}
    forms["docker"] = write_archive(tmp_path / "forms/docker.tar", docker_files(plain))
    forms["docker-gz"] = write_archive(tmp_path / "forms/docker.tar.gz", docker_files(plain), "gzip")
    # Docker since version 25 writes both.
    forms["both"] = write_archive(tmp_path / "forms/both.tar", docker_files(plain) | layout_files(plain))
    forms["dir"] = write_folder(tmp_path / "forms/dir", dir_files(plain))
    forms["layout"] = write_folder(tmp_path / "forms/layout", layout_files(plain))
    forms["unpacked"] = write_folder(tmp_path / "forms/unpacked", docker_files(plain))
    packed = {name: pack(path) for name, path in forms.items()}
    assert len({document["artifact"] for document in packed.values()}) == 1, {name: d["artifact"] for name, d in packed.items()}
    assert all(document["origin"]["config_digest"] == plain.id for document in packed.values())
    assert packed["layout"]["origin"]["manifest_digest"] == packed["dir"]["origin"]["manifest_digest"] == plain.digest
    assert packed["docker"]["origin"]["format"] == "docker-archive" and packed["docker"]["origin"]["reference"] == "web:1.0"


def test_layers_that_docker_save_links_to_each_other(tmp_path):
    image = make_image(tmp_path)
    files = docker_files(image)
    layers = json.loads(files["manifest.json"])[0]["Layers"]
    image.layers.append(image.layers[1])
    files[image.id.removeprefix("sha256:") + ".json"] = image.config_bytes()
    files["manifest.json"] = json.dumps([{"Config": image.id.removeprefix("sha256:") + ".json", "RepoTags": None,
                                          "Layers": [*layers, "again/layer.tar"]}]).encode()
    archive = tmp_path / "web.tar"
    archive.write_bytes(make_tar([*[entry(name, data) for name, data in files.items()], symlink("again/layer.tar", f"../{layers[1]}")]))
    assert pack(archive)["origin"]["config_digest"] == image.id


def test_platforms_and_names_are_chosen_or_listed(tmp_path):
    intel, arm, v7, v6 = (make_image(tmp_path, architecture=a, variant=v, version=n) for a, v, n in (
        ("amd64", "", "1.0"), ("arm64", "v8", "1.1"), ("arm", "v7", "1.2"), ("arm", "v6", "1.3")))
    several = write_archive(tmp_path / "several.tar", layout_files(intel, arm, v7, v6, nested=True))
    said = refusal(several)
    for part in ("holds 4 images", "linux/amd64", "linux/arm64/v8", "linux/arm/v7", "--architecture"):
        assert part in said
    for architecture, image in (("aarch64", arm), ("arm64", arm), ("x86_64", intel), ("linux/arm/v7", v7), ("armv7l", v7), ("armv6l", v6)):
        origin = pack(several, "--architecture", architecture)["origin"]
        assert origin["manifest_digest"] == image.digest and origin["index_digest"].startswith("sha256:"), architecture
    assert "no image for riscv64, but" in refusal(several, "--architecture", "riscv64")
    # A newer machine runs what is for an older one, if there is nothing better.
    only_old = write_archive(tmp_path / "old.tar", layout_files(v6, intel))
    assert pack(only_old, "--architecture", "armv7l")["origin"]["platform"] == "linux/arm/v6"

    named = write_archive(tmp_path / "named.tar", docker_files(make_image(tmp_path, "1.0"), make_image(tmp_path, "2.0")))
    assert all(part in refusal(named) for part in ("web:1.0", "web:2.0", "--image NAME"))
    assert pack(named, "--image", "web:2.0")["origin"]["reference"] == "web:2.0"
    assert "no image called db, but web:1.0" in refusal(named, "--image", "db")


def test_the_digest_that_is_expected(tmp_path):
    image = make_image(tmp_path)
    files = layout_files(image, nested=True)
    index = json.loads(files["index.json"])["manifests"][0]["digest"]
    archive = write_archive(tmp_path / "web.tar", files)
    for digest in (image.digest, image.id, index):
        pack(archive, "--expect", digest)
    other = "sha256:" + "0" * 64
    said = refusal(archive, "--expect", other)
    assert all(part in said for part in (other, image.digest, image.id, index))
    assert "is no digest" in refusal(archive, "--expect", "latest")
    rootfs = tmp_path / "rootfs.tar"
    rootfs.write_bytes(base_layer(tmp_path))
    for what in (rootfs, make_tree(tmp_path / "tree", "1.0")):
        assert "is no container image" in refusal(what, "--expect", other)


# --- archives of root file systems ---------------------------------------------------------------
def test_every_archive_of_a_tree_is_the_artifact_of_the_tree(tmp_path):
    tree = make_tree(tmp_path / "tree", "1.0", noise_bytes=10_000)
    os.link(tree / "bin/busybox", tree / "bin/also")
    os.chown(tree / "www/version", 1234, 5678)
    os.chmod(tree / "bin/busybox", 0o4755)
    os.setxattr(tree / "www/version", "user.note", b"kept")
    (tree / ("deep/" * 30 + "cafe\u0301")).mkdir(parents=True)
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (10**9, 10**9), follow_symlinks=False)
    expected = pack(tree)["artifact"]
    tar = ["tar", "-C", str(tree), "--numeric-owner", "--xattrs", "--xattrs-include=*", "--format=pax"]
    plain = subprocess.run([*tar, "-cf", "-", "."], capture_output=True, check=True).stdout
    bare = subprocess.run([*tar, "-cf", "-", *sorted(p.name for p in tree.iterdir())], capture_output=True, check=True).stdout
    archives = {"rootfs.tar": plain, "bare.tar": bare} | {f"rootfs.tar.{how}": compressed(plain, how) for how in ("gzip", "xz", "zstd", "bzip2")}
    for name, data in archives.items():
        (tmp_path / name).write_bytes(data)
        document = pack(tmp_path / name)
        assert document["artifact"] == expected, name
        assert document["origin"] == {"file": name, "format": "tar"}
    # A cpio archive carries no xattrs.
    os.removexattr(tree / "www/version", "user.note")
    expected = pack(tree)["artifact"]
    names = "\n".join(sorted(str(p.relative_to(tree.parent / "tree")) for p in tree.rglob("*"))).encode()
    cpio = subprocess.run(["/bin/busybox", "cpio", "-o", "-H", "newc"], input=b".\n" + names, cwd=tree, capture_output=True, check=True).stdout
    for name, data in {"initramfs": cpio, "initramfs.gz": compressed(cpio, "gzip"), "initramfs.xz": compressed(cpio, "xz"),
                       "initramfs.zst": compressed(cpio, "zstd")}.items():
        (tmp_path / name).write_bytes(data)
        document = pack(tmp_path / name)
        assert document["artifact"] == expected and document["origin"]["format"] == "cpio", name
    # As a kernel takes them: one behind the other.
    (tmp_path / "two").write_bytes(cpio + compressed(cpio, "gzip"))
    assert "unmkinitramfs" in refusal(tmp_path / "two")


def test_acls_and_times_of_an_archive_are_those_of_the_tree(tmp_path):
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/shared").write_bytes(b"x")
    # Version 2; then tag, rights and id of each: owner, user 33, group, mask, others.
    acl = bytes.fromhex("02000000" "01000600ffffffff" "0200060021000000" "04000400ffffffff" "10000600ffffffff" "20000400ffffffff")
    os.setxattr(tree / "etc/shared", "system.posix_acl_access", acl)
    for path in (tree, tree / "etc", tree / "etc/shared"):
        os.utime(path, (10**9, 10**9))
    expected = pack(tree, "--times", "keep")["artifact"]

    def archived(name: str, text: str) -> dict:
        entries = [folder("."), folder("etc"), entry("etc/shared", b"x", mode=0o664, pax={"SCHILY.acl.access": text})]
        for info, _ in entries:
            info.mtime = 10**9
        (tmp_path / name).write_bytes(make_tar(entries))
        return pack(tmp_path / name, "--times", "keep")

    numbers = archived("numbers.tar", "user::rw-,user:www-data:rw-:33,group::r--,mask::rw-,other::r--")
    assert numbers["artifact"] == expected and "remarks" not in numbers["origin"]
    names = archived("names.tar", "user::rw-\nuser:www-data:rw-\ngroup::r--\nmask::rw-\nother::r--\n")
    assert any("/etc/shared: it names somebody without a number" in said for said in names["origin"]["remarks"])
    (listed,) = [each for each in run(["inspect", str(tmp_path / "artifacts/names.tar/index"), "--contents"])["entries"]
                 if each["path"] == "etc/shared"]
    assert listed["mode"] == 0o644


def test_a_folder_on_top_is_not_taken_off(tmp_path):
    archive = tmp_path / "rootfs.tar"
    archive.write_bytes(make_tar([entry("rootfs/bin/sh", b"x")]))
    pack(archive)
    listed = run(["inspect", str(tmp_path / "artifacts/rootfs.tar/index"), "--contents"])
    assert "rootfs/bin/sh" in [each["path"] for each in listed["entries"]]


def test_devices_of_debootstrap_are_left_out_and_named(tmp_path):
    archive = tmp_path / "rootfs.tar"
    devices = [entry(f"./dev/{name}", kind=tarfile.CHRTYPE, major=1, minor=3) for name in ("null", "zero")]
    archive.write_bytes(make_tar([folder("./dev"), *devices, entry("./etc/hostname", b"x")]))
    assert any("/dev/null and 1 more" in said for said in pack(archive)["origin"]["remarks"])


# --- hostile archives ----------------------------------------------------------------------------
HOSTILE = {
    "dots": ([entry("../etc/passwd", b"x")], "'../etc/passwd' leads out of the tree"),
    "dots inside": ([entry("a/../../x", b"x")], "'a/../../x' leads out of the tree"),
    "through a link": ([symlink("out", "/etc"), entry("out/passwd", b"x")], "'out/passwd' would be written through the link 'out' -> '/etc'"),
    "through a link upwards": ([symlink("out", "../.."), entry("out/x", b"x")], "'out/x' would be written through the link"),
    "hard link out": ([hardlink("a", "../../etc/passwd")], "'../../etc/passwd' leads out of the tree"),
    "hard link through a link": ([symlink("out", "/etc"), hardlink("a", "out/passwd")], "would be written through the link"),
    "hard link to nothing": ([hardlink("a", "etc/passwd")], "'etc/passwd', which is not there before it"),
    "control": ([entry("a\x1b[2J", b"x")], "has a control character"),
    "line break": ([entry("a\nb", b"x")], "has a control character"),
    "long": ([entry("a/" * 600 + "x", b"x")], "at most 1024 are allowed"),
    "device": ([entry("srv/sda", kind=tarfile.BLKTYPE, major=8)], "'srv/sda': it is a device node"),
    "sparse bomb": ([entry("big", pax={"GNU.sparse.size": str(1 << 62), "GNU.sparse.numblocks": "1", "GNU.sparse.map": f"{(1 << 62) - 1},1"})],
                    "bytes, an artifact takes"),
    "link above the root": ([symlink("a", "../../etc")], 'the symlink "a" leads out of the tree'),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_entries_are_refused_by_name(tmp_path, case):
    entries, said = HOSTILE[case]
    image = Image([make_tar([folder("etc")]), make_tar(entries)])
    for source in (write_archive(tmp_path / "image.tar", layout_files(image)), write_archive(tmp_path / "old.tar", docker_files(image)),
                   write_folder(tmp_path / "layout", layout_files(image))):
        message = refusal(source)
        assert said in message and str(source) in message and ("layer 2 of 2" in message or case == "link above the root"), message
    plain = tmp_path / "rootfs.tar"
    plain.write_bytes(make_tar([folder("etc"), *entries]))
    assert said in refusal(plain) and str(plain) in refusal(plain)


def changed_layout(tmp_path: Path, change) -> Path:
    image = make_image(tmp_path)
    files = layout_files(image)
    names = {"config": "blobs/sha256/" + image.id[7:], "manifest": "blobs/sha256/" + image.digest[7:], "layer": "blobs/sha256/" + sha256(image.layers[1])}
    change(files, names)
    return write_folder(tmp_path / "layout", files)


def relist(files: dict, **changes) -> None:
    listed = json.loads(files["index.json"])
    listed["manifests"][0] |= changes
    files["index.json"] = json.dumps(listed).encode()


def put_manifest(files: dict, names: dict, **changes) -> None:
    manifest = json.dumps(json.loads(files[names["manifest"]]) | changes).encode()
    files["blobs/sha256/" + sha256(manifest)] = manifest
    relist(files, digest="sha256:" + sha256(manifest), size=len(manifest))


BROKEN = {
    "another layer": (lambda f, n: f.update({n["layer"]: f[n["layer"]][:-1] + b"x"}), "has the digest"),
    "a longer layer": (lambda f, n: f.update({n["layer"]: f[n["layer"]] + b"x"}), "the image says"),
    "another config": (lambda f, n: f.update({n["config"]: f[n["config"]].replace(b"8080", b"8081")}), "has the digest"),
    "another manifest": (lambda f, n: f.update({n["manifest"]: f[n["manifest"]].replace(b"2", b"3", 1)}), "has the digest"),
    "no layer": (lambda f, n: f.pop(n["layer"]), "is not there"),
    "no manifest": (lambda f, n: f.pop(n["manifest"]), "is not there"),
    "a path as digest": (lambda f, n: relist(f, digest="sha256:../../../../etc/passwd"), "is no digest"),
    "another hash": (lambda f, n: relist(f, digest="md5:" + "0" * 32), "is no digest"),
    "negative size": (lambda f, n: relist(f, size=-1), "size"),
    "absurd size": (lambda f, n: relist(f, size=1 << 63), "size"),
    "no JSON": (lambda f, n: f.update({"index.json": b"{"}), "is not valid JSON"),
    "deep JSON": (lambda f, n: f.update({"index.json": b"[" * 10_000 + b"]" * 10_000}), "index.json"),
    "large JSON": (lambda f, n: f.update({"index.json": b" " * (5 << 20)}), "which no document of an image has"),
    "no array": (lambda f, n: f.update({"index.json": b'{"manifests": 1}'}), "must be an array"),
    "empty": (lambda f, n: f.update({"index.json": b'{"manifests": []}'}), "holds no image"),
    "layers missing": (lambda f, n: put_manifest(f, n, layers=[]), "names 2 layers, the image has 0"),
    "many layers": (lambda f, n: put_manifest(f, n, layers=[{}] * 600), "has 600 entries"),
    "encrypted": (lambda f, n: put_manifest(f, n, layers=[{**each, "mediaType": each["mediaType"] + "+encrypted"}
                                                           for each in json.loads(f[n["manifest"]])["layers"]]), "is encrypted"),
    "a chart": (lambda f, n: put_manifest(f, n, config={**json.loads(f[n["manifest"]])["config"],
                                                        "mediaType": "application/vnd.cncf.helm.config.v1+json"}), "no image of a container"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_and_hostile_images_are_refused(tmp_path, case):
    change, said = BROKEN[case]
    source = changed_layout(tmp_path, change)
    message = refusal(source)
    assert said in message and str(source) in message, message


def test_an_index_inside_itself_and_deep_ones_are_refused(tmp_path):
    files = layout_files(make_image(tmp_path), nested=True)
    for _ in range(8):
        index = files["index.json"]
        files["blobs/sha256/" + sha256(index)] = index
        files["index.json"] = json.dumps({"manifests": [descriptor(index, "application/vnd.oci.image.index.v1+json")]}).encode()
    assert "deep in each other" in refusal(write_folder(tmp_path / "layout", files))


def test_bounds_of_images(tmp_path):
    files = layout_files(make_image(tmp_path))
    listed = json.loads(files["index.json"])["manifests"]
    files["index.json"] = json.dumps({"manifests": listed * 1001}).encode()
    assert "has 1001 entries" in refusal(write_folder(tmp_path / "many", files))
    files = docker_files(make_image(tmp_path)) | {f"file{number}": b"" for number in range(10_000)}
    assert "more than 10000 files" in refusal(write_archive(tmp_path / "files.tar", files))
    config = {"Cmd": ["/bin/true"], "Labels": {f"label{number:03}": "x" for number in range(65)}}
    origin = pack(write_archive(tmp_path / "labels.tar", layout_files(make_image(tmp_path, config=config))))["origin"]
    assert len(origin["labels"]) == 64 and "not kept: the label label064" in origin["remarks"]
    config = {"Cmd": ["/bin/true"], **{f"Key{number:03}": 1 for number in range(100)}}
    origin = pack(write_archive(tmp_path / "remarks.tar", layout_files(make_image(tmp_path, config=config))))["origin"]
    assert len(origin["remarks"]) == 64


def test_nobody_in_particular_packs_the_same(tmp_path):
    """Owners, modes and devices come from the archive, not from what the operator may make on disk."""
    image = make_image(tmp_path)
    image.layers.append(make_tar([entry("bin/su", b"x", mode=0o4755, uid=7), entry("srv/null", kind=tarfile.CHRTYPE, major=1, minor=3)]))
    archive = write_archive(tmp_path / "web.tar", layout_files(image))
    expected = pack(archive, "--allow-devices")["artifact"]
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        shutil.copy(archive, place)
        os.chmod(place, 0o777)
        done = subprocess.run([str(INSTAR), "pack", f"{place}/web.tar", "-o", f"{place}/out", "--level", "1", "--allow-devices", "--json"],
                              capture_output=True, text=True, user=65534, group=65534, extra_groups=[], cwd=place, env={"PATH": "/usr/bin:/bin"})
        assert done.returncode == 0 and json.loads(done.stdout)["artifact"] == expected, done.stderr
        # Nothing is left but the artifact.
        assert sorted(os.listdir(place)) == ["out", "web.tar"]


def test_links_in_a_layout_are_not_followed(tmp_path):
    image = make_image(tmp_path)
    layout = write_folder(tmp_path / "layout", layout_files(image))
    blob = layout / "blobs/sha256" / sha256(image.layers[1])
    blob.rename(tmp_path / "elsewhere")
    blob.symlink_to(tmp_path / "elsewhere")
    assert "Symbolic links are not followed" in refusal(layout)
    (layout / "blobs").rename(tmp_path / "blobs")
    (layout / "blobs").symlink_to(tmp_path / "blobs")
    assert "Symbolic links are not followed" in refusal(layout)
    archive = tmp_path / "linked.tar"
    archive.write_bytes(make_tar([symlink("manifest.json", "../../etc/passwd")]))
    assert "a link that leads out of the archive" in refusal(archive)


def test_bombs_end_at_a_bound(tmp_path):
    # 4 GiB of zeros for each of five files: some kilobytes as they are compressed.
    zeros = compressed(bytes(64 << 20), "zstd")
    archive = tmp_path / "bomb.tar.zst"
    head = [compressed(entry(f"zeros{i}", size=4 << 30)[0].tobuf(tarfile.GNU_FORMAT), "zstd") for i in range(5)]
    archive.write_bytes(b"".join(part + zeros * 64 for part in head))
    assert archive.stat().st_size < 2 << 20
    message = refusal(archive)
    assert "bytes in all layers" in message or "unpacks to more than" in message
    wrapped = compressed(base_layer(tmp_path), "gzip")
    for how in ("xz", "zstd", "bzip2"):
        wrapped = compressed(wrapped, how)
    (tmp_path / "wrapped").write_bytes(wrapped)
    assert "compressed more than 3 times" in refusal(tmp_path / "wrapped")


@pytest.mark.parametrize("how", ["", "gzip", "xz", "zstd", "bzip2"])
def test_archives_that_are_cut_off_are_refused(tmp_path, how):
    whole = compressed(make_tar([folder("etc"), entry("etc/noise", noise("cut", 50_000))]), how)
    archive = tmp_path / "cut.tar"
    archive.write_bytes(whole[:len(whole) // 2])
    assert str(archive) in refusal(archive)


def test_other_files_are_named_for_what_they_are(tmp_path):
    for name, data, said in (("page", compressed(b"<html>" * 1000, "gzip"), "no tar or cpio archive"), ("empty", b"", "it is empty"),
                             ("zip", b"PK\x03\x04" + bytes(600), "a zip archive"), ("layer.tar", make_tar([entry("etc/.wh.x")]), "one layer of")):
        (tmp_path / name).write_bytes(data)
        assert said in refusal(tmp_path / name)


# --- podman --------------------------------------------------------------------------------------
def test_what_podman_saves(tmp_path, keys):
    if shutil.which("podman") is None:
        return  # it is no part of what the tests install
    # It takes no longer path than 50 characters.
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as place:
        of_podman(tmp_path, keys, ["podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--storage-driver", "vfs"])


def of_podman(tmp_path: Path, keys, podman: list[str]) -> None:
    tree = make_tree(tmp_path / "build/rootfs", "1.0")
    (tree / "etc/group").write_text("web:x:34:\n")
    (tree / "etc/passwd").write_bytes(PASSWD)
    (tmp_path / "build/Containerfile").write_text(
        "FROM scratch\nCOPY rootfs/ /\nENV GREETING=hello\nUSER web\nVOLUME /data\nWORKDIR /srv\nSTOPSIGNAL SIGINT\nEXPOSE 80\n"
        'HEALTHCHECK --interval=2s --retries=4 CMD ["/sbin/probe"]\nLABEL org.opencontainers.image.title=web\nCMD ["/sbin/service"]\n')
    built = subprocess.run([*podman, "build", "--isolation", "chroot", "--format", "docker", "-q", "-t", "web:1.0", str(tmp_path / "build")],
                           capture_output=True, text=True)
    assert built.returncode == 0, f"podman builds nothing here: {built.stderr}"
    artifacts = set()
    for form in ("docker-archive", "oci-archive", "oci-dir", "docker-dir"):
        out = tmp_path / "saved" / form
        out.parent.mkdir(exist_ok=True)
        subprocess.run([*podman, "save", "-q", "--format", form, "-o", str(out), "web:1.0"], check=True, capture_output=True)
        document = pack(out)
        artifacts.add(document["artifact"])
        container, _ = plan(keys, out)
        assert container["init"] == ["/sbin/service"] and container["volumes"][0]["path"] == "/data", form
        assert {("lxc.environment", "GREETING=hello"), ("lxc.init.uid", "33"), ("lxc.init.gid", "34"), ("lxc.init.cwd", "/srv"),
                ("lxc.signal.halt", "SIGINT")} <= set(settings_of(container)), form
        if form.startswith("docker"):  # OCI has no health check
            assert container["health"]["probe"]["command"] == ["/sbin/probe"]
    assert len(artifacts) == 1
    image_id = subprocess.run([*podman, "image", "inspect", "-f", "{{.Id}}", "web:1.0"], check=True, capture_output=True, text=True).stdout.strip()
    pack(tmp_path / "saved/docker-archive", "--expect", f"sha256:{image_id}")


# --- the page of recipes -------------------------------------------------------------------------
PAGE = SOURCE / "docs/images-in.md"


def test_the_recipes_of_the_page(tmp_path, keys):
    image = make_image(tmp_path, compression="gzip")
    write_archive(tmp_path / "web.tar", layout_files(image))
    tree = make_tree(tmp_path / "made", "1.0")
    plain = make_tar(tree_entries(tree, "./"))
    yocto = "tmp/deploy/images/qemux86-64/core-image-minimal-qemux86-64.tar.zst"
    for place, how in (("output/images/rootfs.tar", ""), (yocto, "zstd")):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(compressed(plain, how))
    (tmp_path / "keys").symlink_to(keys.folder)
    with Site(tmp_path / "site", keys) as site, tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as place:
        device = site.add_device("box", groups="plant-7/line-a", product="gateway")
        device.wait_until_up()
        environment = os.environ | {"PATH": f"{INSTAR.parent}:{os.environ['PATH']}", "INSTAR_BROKER": f"mqtt://127.0.0.1:{site.broker.port}",
                                    "HOME": "/nonexistent"}
        podman = f'podman() {{ command podman --root {place}/root --runroot {place}/run --storage-driver vfs "$@"; }}\n'
        for mark, block in re.findall(r"^```sh (run[^\n]*)\n(.*?)^```$", PAGE.read_text(), flags=re.S | re.M):
            if mark == "run podman" and shutil.which("podman") is None:
                continue
            before = podman if mark == "run podman" else ""
            done = subprocess.run(["bash", "-euc", before + block], cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{block}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        assert device.release == "1.0"
