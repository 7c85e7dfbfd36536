"""Containers under exactly what the shipped unit does to the client: programs that compile as they run work, LXC's own filter is on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import systemd_unit
from harness.device import Device
from harness.operator import health
from harness.process import BUILD, DEVICE, SOURCE, wait_for
from harness.site import Site

UNIT = (SOURCE / "deploy/instar-device.service").read_text()
PAYLOAD = BUILD / "device-client/lxc/real/instar_lxc_payload"
# What the unit must never say again. The tests below show that they would notice.
STRICT = UNIT.replace("[Install]", "MemoryDenyWriteExecute=yes\nLockPersonality=yes\nRestrictRealtime=yes\nProtectKernelLogs=yes\n[Install]")


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def add_device(site: Site, unit: str) -> Device:
    program = systemd_unit.launcher(site.folder / "unit", unit, DEVICE)
    return site.add_device("unit", program=program)


def publish(site: Site, release: str, *probe: str) -> str:
    tree = site.tree(release)
    shutil.copy(PAYLOAD, tree / "bin/payload")
    app = {"name": "app", "artifact": str(site.operator.pack(tree)), "init": ["/sbin/service"], "health": health(*probe, settle="300ms")}
    return site.operator.publish(release, tree, containers=[app])["rollout"]


def filters(pid: int) -> int:
    """How many filters of system calls a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Seccomp_filters:"):
            return int(line.split()[1])
    raise AssertionError("this kernel does not count filters")


def test_a_program_that_compiles_as_it_runs_commits_below_the_shipped_unit(site):
    device = add_device(site, UNIT)
    site.wait_for_counts(publish(site, "1.0", "/bin/payload", "jit"), {"committed": 1})
    own = filters(os.getpid())
    assert filters(device.process.pid) == own, "the client has none to hand down"
    assert filters(device.container_pid("app")) == own + 1, "LXC's own"
    assert "Umask:\t0022" in Path(f"/proc/{device.container_pid('app')}/status").read_text(), "the client's is 0077"


def test_below_a_stricter_unit_it_is_taken_back_and_lxcs_filter_is_on_all_the_same(site):
    device = add_device(site, STRICT)
    site.wait_for_counts(publish(site, "1.0", "/bin/payload", "exit", "0"), {"committed": 1})
    own = filters(device.process.pid)
    assert own == filters(os.getpid()) + 4
    assert filters(device.container_pid("app")) == own + 1
    two = publish(site, "2.0", "/bin/payload", "jit")
    shown = site.wait_for_counts(two, {"rolled_back": 1})
    assert any("mprotect: Operation not permitted" in reason["reason"] for reason in shown["reasons"]), shown["reasons"]


def test_a_directive_that_the_launcher_does_not_know_ends_it(tmp_path):
    program = systemd_unit.launcher(tmp_path, UNIT.replace("[Install]", "PrivateNetwork=yes\n[Install]"), Path("/bin/true"))
    done = subprocess.run([str(program), "run"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "PrivateNetwork (line " in done.stderr


def libraries(program: Path) -> list[Path]:
    """What the dynamic linker maps for it, with the linker itself."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    return [Path(word) for line in listed.splitlines() for word in line.split() if word.startswith("/")]


def node_tree(site: Site) -> Path:
    """Debian's libraries, and the node of this machine (deploy/install-deps has it)."""
    node = Path(shutil.which("node") or "/usr/bin/node").resolve()
    tree = site.tree("node")
    (tree / "usr/bin").mkdir(parents=True)
    shutil.copy(node, tree / "usr/bin/node")
    for library in libraries(node):
        place = tree / library.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library.resolve(), place)
    # A function that is called often is compiled: this is what a filter against writable code stops.
    (tree / "app.js").write_text("const http = require('http'); const add = (a, b) => a + b; let sum = 0;\n"
                                 "for (let i = 0; i < 3000000; i++) sum = add(sum, i) % 1000003;\n"
                                 "process.on('SIGTERM', () => process.exit(0));\n"
                                 "http.createServer((_, answer) => answer.end(`${sum}`)).listen(8080, '127.0.0.1');\n")
    return tree


def test_node_commits_below_the_shipped_unit(site):
    device = add_device(site, UNIT)
    tree = node_tree(site)
    (tree / "sbin/asks").write_text('#!/bin/sh\nuntil got="$(/bin/wget -q -O - http://127.0.0.1:8080/)"; do /bin/sleep 0.2; done\necho "$got"\n')
    os.chmod(tree / "sbin/asks", 0o755)
    app = {"name": "app", "artifact": str(site.operator.pack(tree)), "init": ["/usr/bin/node", "/app.js"], "health": health("/sbin/asks")}
    rollout = site.operator.publish("node", tree, containers=[app])["rollout"]
    site.wait_for_counts(rollout, {"committed": 1})
    assert device.ask("app", "/sbin/asks").strip().isdigit()
    # It ends at its signal, by itself.
    site.wait_for_counts(publish(site, "2.0", "/bin/payload", "exit", "0"), {"committed": 1})
    wait_for("the log says how it stopped", lambda: f"container {device.id}.app is stopped, in " in device.log_text())
