"""The release that docs/guides/first-update.md makes: it runs as the page says, and goes back when its probe fails. From a file, which
takes the same way through the device as from a broker."""

import os
import re
import subprocess

from harness.device import Device
from harness.process import DEVICE, INSTAR, SOURCE


def publish(folder, sequence: int, release: str, artifact: str, probe: str) -> str:
    command = [INSTAR, "publish", "--dry-run", "--sequence", str(sequence), "--group", "plant-7", "--product", "gateway",
               "--release", release, "--artifact", artifact, "--probe", probe, "--root", "keys/root.instar", "--key", "keys/release.key",
               "--bundle", f"{release}.bundle"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return f"{release}.bundle"


def test_the_release_of_the_page_is_committed_updated_and_rolled_back(tmp_path, name):
    page = (SOURCE / "docs/guides/first-update.md").read_text()
    blocks = re.findall(r"^```sh run\n(.*?)^```", page, flags=re.S | re.M)
    environment = os.environ | {"PATH": f"{INSTAR.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", "\n".join(blocks)], cwd=tmp_path, env=environment, check=True, capture_output=True)
    # Nothing listens on this port: `install` needs no broker.
    device = Device(tmp_path / "device", name, 1, tmp_path / "keys/root.instar", groups="plant-7/line-a", product="gateway")
    device.config.write_text("".join(f"{key} = {value}\n" for key, value in device.settings.items()))

    def install(bundle: str) -> subprocess.CompletedProcess:
        return subprocess.run([DEVICE, "install", bundle, "--config", device.config], cwd=tmp_path, capture_output=True, text=True)

    try:
        for number, release in enumerate(("1.0", "1.1"), 1):
            done = install(publish(tmp_path, number, release, f"out/web-{release}", "/bin/sh -c true"))
            assert done.returncode == 0 and f"release {release} is committed" in done.stdout, done.stderr
        done = install(publish(tmp_path, 3, "1.2", "out/web-1.0", "/bin/sh -c false"))
        assert done.returncode == 1 and "rolled_back" in done.stderr, done.stderr
        assert device.release == "1.1"
    finally:
        device.clean_up()
