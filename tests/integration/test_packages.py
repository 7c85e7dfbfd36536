"""The Debian packages as `make packages` makes them: what they need, that they install, and that either of the device's two replaces the other.

They are installed by dpkg into this machine's own root file system under an overlay: its packages are there, and nothing of it changes.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.process import BUILD

UNIT = "/usr/lib/systemd/system/instar-device.service"
DEVICE_FILES = {"/usr/bin/instar-device", "/usr/libexec/instar/instar-lxc", UNIT, "/usr/share/doc/instar-device/device.md",
                "/usr/share/doc/instar-device/handlers.md", "/usr/share/doc/instar-device/examples/device.conf",
                "/usr/share/man/man8/instar-device.8.gz"}
# What lintian calls an error and is none of ours to mend: a build without DEBEMAIL has no address to name.
KNOWN_TAGS = {"bogus-mail-host", "bogus-mail-host-in-debian-changelog"}
# What an operator of a broker may have: the lines of docs/broker.md in a file of their own, or among others.
PLUGIN_LINES = """plugin /usr/lib/mosquitto/mosquitto_instar.so
plugin_opt_store_dir /var/lib/mosquitto/instar
  plugin_opt_root /etc/mosquitto/instar/root.instar
"""


def run(*command: object, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> dict[str, Path]:
    """Name → file of packages that are made for this run."""
    folder = tmp_path_factory.mktemp("packages")
    run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", folder)
    return {run("dpkg-deb", "-f", file, "Package").strip(): file for file in folder.glob("*.deb")}


def field(package: Path, name: str) -> set[str]:
    """The packages that a field names, without their versions."""
    return {part.split()[0] for part in run("dpkg-deb", "-f", package, name).split(",") if part.strip()}


def files(package: Path) -> set[str]:
    return {line.split()[5].removeprefix(".") for line in run("dpkg-deb", "-c", package).splitlines() if not line.startswith("d")}


class Root:
    """This machine's root file system with a layer on top that goes with the test."""

    def __init__(self, folder: Path):
        self.layers, self.place = folder / "layers", folder / "root"
        self.layers.mkdir()
        self.place.mkdir()

    def __enter__(self) -> "Root":
        run("mount", "-t", "tmpfs", "-o", "size=256m", "layers", self.layers)
        for name in ("upper", "work"):
            (self.layers / name).mkdir()
        run("mount", "-t", "overlay", "-o", f"lowerdir=/,upperdir={self.layers}/upper,workdir={self.layers}/work", "root", self.place)
        for name in ("proc", "dev"):
            run("mount", "--bind", f"/{name}", self.place / name)
        return self

    def __exit__(self, *_: object) -> None:
        for place in (self.place / "dev", self.place / "proc", self.place, self.layers):
            subprocess.run(["umount", "-l", place], capture_output=True)

    def run(self, *command: object) -> str:
        return run("chroot", self.place, *command)

    def dpkg(self, package: Path) -> str:
        """Into the root, and nothing of the services that the package brings is started."""
        shutil.copy(package, self.place / "root" / package.name)
        return self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "-i", f"/root/{package.name}")

    def state(self, name: str) -> str:
        done = subprocess.run(["chroot", self.place, "dpkg-query", "-W", "-f", "${db:Status-Status}", name], capture_output=True, text=True)
        return done.stdout


@pytest.fixture
def root(tmp_path):
    with Root(tmp_path) as found:
        yield found


def test_there_is_a_package_for_each_part(packages):
    assert packages.keys() == {"instar", "instar-device", "instar-device-static", "mosquitto-instar"}


def test_both_device_packages_put_the_same_at_the_same_places(packages):
    def own(name: str) -> set[str]:
        return {path for path in files(packages[name]) if not path.startswith((f"/usr/share/doc/{name}/c", "/usr/share/lintian/"))}

    assert own("instar-device") == own("instar-device-static") == DEVICE_FILES


def test_the_static_package_needs_what_the_helper_needs(packages):
    """Libraries for the daemon are in it; of LXC it takes the library, not the tools with what those bring."""
    static = packages["instar-device-static"]
    assert field(static, "Depends") == {"libc6", "liblxc1", "liblxc-common"}
    assert {"lxc", "libpaho-mqttpp3-1", "libsodium23"} <= field(packages["instar-device"], "Depends")
    assert field(static, "Provides") == {"instar-device"}


def test_the_operators_package_needs_no_container_library(packages):
    needs = field(packages["instar"], "Depends")
    assert "libpaho-mqttpp3-1" in needs and not {name for name in needs if "lxc" in name}


def is_well(root: Root) -> None:
    assert root.run("instar-device", "version").startswith("instar-device ")
    # What is wrong with a unit is only said, with exit code 0.
    said = subprocess.run(["chroot", root.place, "systemd-analyze", "verify", UNIT], capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout + said.stderr == ""
    assert "not found" not in root.run("ldd", "/usr/libexec/instar/instar-lxc")
    # The helper lies where the daemon looks for it. Of the example each key is known, and what must be written anew is named.
    example = "/usr/share/doc/instar-device/examples/device.conf"
    checked = subprocess.run(["chroot", root.place, "instar-device", "check-config", example], capture_output=True, text=True)
    assert "server = ssl://broker.example:8883: that is the example's" in checked.stderr
    assert checked.returncode == 5 and "instar-lxc" not in checked.stderr and "unknown" not in checked.stderr


def test_the_static_package_replaces_the_other_and_is_replaced_by_it(packages, root):
    root.dpkg(packages["instar-device"])
    is_well(root)
    assert "libpaho-mqttpp3" in root.run("ldd", "/usr/bin/instar-device")
    root.dpkg(packages["instar-device-static"])
    is_well(root)
    assert "statically linked" in root.run("ldd", "/usr/bin/instar-device")
    assert root.state("instar-device") in ("", "not-installed", "config-files") and root.state("instar-device-static") == "installed"
    root.run("dpkg", "--verify", "instar-device-static")
    root.dpkg(packages["instar-device"])
    is_well(root)
    assert root.state("instar-device") == "installed" and root.state("instar-device-static") in ("", "not-installed", "config-files")
    root.run("dpkg", "-r", "instar-device")
    assert not any((root.place / path[1:]).exists() for path in DEVICE_FILES)


def test_the_static_package_installs_alone_and_goes_without_a_trace(packages, root):
    root.dpkg(packages["instar-device-static"])
    is_well(root)
    root.run("dpkg", "-P", "instar-device-static")
    assert not any((root.place / path[1:]).exists() for path in DEVICE_FILES)


def test_the_operators_and_the_brokers_packages_install(packages, root):
    root.dpkg(packages["instar"])
    assert root.run("instar", "--version").strip()
    root.dpkg(packages["mosquitto-instar"])
    assert "not found" not in root.run("ldd", "/usr/lib/mosquitto/mosquitto_instar.so")


def test_the_operators_page_is_in_the_brokers_package(packages, tmp_path):
    run("dpkg-deb", "-x", packages["mosquitto-instar"], tmp_path)
    page = tmp_path / "usr/share/instar/dashboard/index.html"
    assert page.read_bytes() == (BUILD / "dashboard/instar-dashboard.html").read_bytes()
    assert page.stat().st_mode & 0o777 == 0o644, "the broker's user reads it"


def test_the_commands_page_and_completion_are_in_the_operators_package(packages, root):
    root.dpkg(packages["instar"])
    page = root.run("sh", "-c", "zcat /usr/share/man/man1/instar.1.gz | groff -man -ww -Kutf8 -Tutf8 -P-cbou 2>&1")
    assert "instar rollout watch" in page and "warning:" not in page
    complete = "source /usr/share/bash-completion/completions/instar; COMP_WORDS=(instar rollout wa); COMP_CWORD=2; _instar; echo ${COMPREPLY[@]}"
    assert root.run("bash", "-c", complete) == "watch\n"
    for path in ("/usr/share/zsh/vendor-completions/_instar", "/usr/share/fish/vendor_completions.d/instar.fish"):
        assert "complete --" in root.run("cat", path)


def test_the_devices_page_has_every_command(packages, root):
    root.dpkg(packages["instar-device"])
    page = root.run("sh", "-c", "zcat /usr/share/man/man8/instar-device.8.gz | groff -man -ww -Kutf8 -Tascii -P-cbou 2>&1")
    assert "warning:" not in page
    said = root.run("instar-device", "help")
    for command in ("run", "status", "verify", "install", "set-factory", "hold", "unhold", "allow", "disallow", "key", "check-config", "version"):
        assert command in said and command in page, command


def test_links_between_pages_lead_to_pages(packages, tmp_path):
    """Beside the page, or in the package of the operator's command, which has them all."""
    for name, package in packages.items():
        run("dpkg-deb", "-x", package, tmp_path / name)
    missing = []
    for page in tmp_path.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            target = tmp_path / "instar" / link[1:] if link.startswith("/") else page.parent / link
            leads_into_the_source = not Path(os.path.normpath(target)).is_relative_to(tmp_path / "instar/usr/share/doc/instar")
            if link.startswith("http") or (link.startswith("../") and leads_into_the_source):
                continue
            if not target.exists():
                missing.append(f"{page.relative_to(tmp_path)}: {link}")
    assert not missing, missing


def test_mosquitto_starts_without_the_plugin_after_its_package_is_gone(packages, root):
    def mosquitto(*names: str) -> dict[str, str]:
        return {name: root.run("cat", f"/etc/mosquitto/{name}") for name in names}

    root.run("sh", "-c", "mkdir -p /etc/mosquitto/conf.d /srv/more; rm -f /etc/mosquitto/conf.d/*.conf")
    own, mixed, other = PLUGIN_LINES, f"listener 1883\n{PLUGIN_LINES}allow_anonymous true\n", "plugin /usr/lib/x.so\nplugin_opt_a b\n"
    for path, text in {"mosquitto.conf": "include_dir /etc/mosquitto/conf.d\ninclude_dir /srv/more\n", "conf.d/instar.conf": own,
                       "conf.d/all.conf": mixed, "conf.d/other.conf": other, "conf.d/off.conf.disabled": own}.items():
        (root.place / "etc/mosquitto" / path).write_text(text)
    (root.place / "srv/more/one.conf").write_text(own)
    (root.place / "etc/mosquitto/conf.d/instar.conf").chmod(0o640)
    names = ("mosquitto.conf", "conf.d/instar.conf", "conf.d/all.conf", "conf.d/other.conf", "conf.d/off.conf.disabled")
    before = mosquitto(*names)
    root.dpkg(packages["mosquitto-instar"])
    assert mosquitto(*names) == before
    assert (root.place / "var/lib/mosquitto/instar").is_dir() and (root.place / "etc/mosquitto/instar").is_dir()

    said = root.run("dpkg", "-r", "mosquitto-instar")
    assert said.count("commented out") == 3 and "/etc/mosquitto/conf.d/all.conf" in said
    for name, text in mosquitto(*names).items():
        active = [line for line in text.splitlines() if line and not line.startswith("#")]
        if name == "conf.d/off.conf.disabled" or name == "conf.d/other.conf" or name == "mosquitto.conf":
            assert text == before[name]
        else:
            assert not [line for line in active if "plugin" in line]
    assert "listener 1883\n" in mosquitto("conf.d/all.conf")["conf.d/all.conf"]
    assert "mosquitto_instar" not in "".join(line for line in root.run("cat", "/srv/more/one.conf").splitlines() if not line.startswith("#"))
    assert (root.place / "etc/mosquitto/conf.d/instar.conf").stat().st_mode & 0o777 == 0o640

    root.dpkg(packages["mosquitto-instar"])
    assert mosquitto(*names) == before, "who installs it again has the lines again"
    # An upgrade leaves them alone.
    root.dpkg(packages["mosquitto-instar"])
    assert mosquitto(*names) == before
    root.run("dpkg", "-P", "mosquitto-instar")
    assert not (root.place / "etc/mosquitto/instar").exists()


def test_the_daemon_is_stopped_when_its_package_goes_and_not_when_the_other_one_comes(packages, root):
    """systemd does not run in the root, so what the scripts ask of it is written down."""
    asked = root.place / "asked"
    for name in ("deb-systemd-invoke", "systemctl"):
        tool = root.place / "usr/bin" / name
        tool.unlink(missing_ok=True)
        tool.write_text(f"#!/bin/sh\necho {name} $* >> /asked\n")
        tool.chmod(0o755)
    root.run("mkdir", "-p", "/run/systemd/system", "/etc/instar", "/var/lib/instar")
    (root.place / "etc/instar/device.conf").write_text("")
    (root.place / "var/lib/instar/state").write_text("x")

    def since() -> str:
        text = asked.read_text() if asked.exists() else ""
        asked.write_text("")
        return text

    root.dpkg(packages["instar-device"])
    assert "restart instar-device.service" in since()
    root.dpkg(packages["instar-device-static"])
    text = since()
    assert "stop" not in text and "restart instar-device.service" in text
    said = root.run("dpkg", "-P", "instar-device-static")
    assert "stop instar-device.service" in since() and "Containers run on" in said
    assert "/var/lib/instar is left" in said and (root.place / "var/lib/instar/state").exists()


def test_lintian_finds_nothing_new(packages):
    done = subprocess.run(["lintian", "--allow-root", "--tag-display-limit", "0", *map(str, packages.values())], capture_output=True, text=True)
    tags = {line.split(": ", 2)[2].split()[0] for line in done.stdout.splitlines() if line.startswith(("E: ", "W: "))}
    assert tags <= KNOWN_TAGS, done.stdout
