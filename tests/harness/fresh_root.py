"""A machine of its own for packages and documents: this machine's root file system under a layer that goes with the test, with its own
network (loopback only), processes and mounts."""

import shutil
import subprocess
from pathlib import Path

from .process import wait_for

# Runs as process 1 of the new namespaces.
ENTER = """
set -e
mount -t tmpfs -o size=512m layers "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" root "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
# A device's state is never on an overlay.
mkdir -p var/lib/instar site
mount -t tmpfs -o mode=755 state var/lib/instar
ip link set lo up
pivot_root . mnt
umount -l /mnt
touch /run/ready
exec /usr/bin/python3 -c 'import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends here is gone
while True: signal.pause()'
"""

# What the pages ask of systemd, without it.
SYSTEMCTL = """\
#!/bin/sh
stop() {  # pid file
  [ -e "$1" ] || return 0
  pid=$(cat "$1") && kill "$pid" 2>/dev/null && while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  rm -f "$1"
}
case "$*" in
  "restart mosquitto")
    stop /run/broker.pid
    install -d -o mosquitto -g mosquitto /run/mosquitto /var/log/mosquitto /var/lib/mosquitto
    /usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf </dev/null >/dev/null 2>&1 &
    echo $! > /run/broker.pid ;;
  "enable --now instar-device" | "restart instar-device")
    stop /run/device.pid
    /usr/bin/instar-device run --config /etc/instar/device.conf </dev/null >/var/log/device.log 2>&1 &
    echo $! > /run/device.pid ;;
  "stop instar-device") stop /run/device.pid ;;
  "daemon-reload") ;;
  *) echo "this systemctl does not know: $*" >&2; exit 1 ;;
esac
"""


class FreshRoot:
    """`place`: where the programs' root file system shows on this machine. /site is where commands run."""

    def __init__(self, folder: Path):
        self.layers = folder / "layers"
        self.layers.mkdir(parents=True)

    def __enter__(self) -> "FreshRoot":
        command = ["unshare", "-mnp", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", ENTER, "sh", str(self.layers)]
        self.parent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.first = wait_for("a root of its own", self._first_process)
        self.place = Path(f"/proc/{self.first}/root")
        wait_for("the root is entered", self._is_entered)
        systemctl = self.place / "usr/local/bin/systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        self.parent.kill()
        self.parent.wait()

    def _first_process(self) -> str:
        assert self.parent.poll() is None, self.parent.stderr.read()
        return Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text().strip()

    def _is_entered(self) -> bool:
        assert self.parent.poll() is None, self.parent.stderr.read()
        return (self.place / "run/ready").exists()

    def bring(self, *files: Path) -> None:
        """Copies files into /site."""
        for file in files:
            shutil.copy(file, self.place / "site" / file.name)

    def write(self, path: str, text: str, *, append: bool = False) -> None:
        file = self.place / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if append else "w") as out:
            out.write(text)

    def read(self, path: str) -> str:
        file = self.place / path[1:]
        return file.read_text(errors="replace") if file.exists() else ""

    def attempt(self, script: str, **variables: str) -> subprocess.CompletedProcess:
        """Runs a script by bash in /site. Processes that it leaves behind go with the root."""
        clean = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/site", "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}
        enter = ["nsenter", "-t", self.first, "-m", "-n", "-p", "bash", "-euc", f"cd /site\n{script}"]
        return subprocess.run(enter, capture_output=True, text=True, env=clean | variables, stdin=subprocess.DEVNULL)

    def run(self, script: str, **variables: str) -> str:
        done = self.attempt(script, **variables)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout
