"""docs/broker.md and docs/guides/first-update.md as they stand, with the packages, in a root of their own. For each kind of broker its
commands and files, then a device, a release that commits and one that is rolled back; then the plugin goes again. The guide from its
first command to its last."""

import re
import subprocess
from pathlib import Path

import pytest
from harness.fresh_root import FreshRoot
from harness.process import BUILD, SOURCE, wait_for

# No client goes to a host that is an example.
PAGE = (SOURCE / "docs/broker.md").read_text().replace("broker.example.org", "broker.plant-7.lan")
GUIDE = (SOURCE / "docs/guides/first-update.md").read_text()
PASSWORDS = {"ALICE": "alice's own", "GATEWAY_17": "the gateway's", "ADMIN": "the admin's"}
ACL_FILE = "An acl_file"

BEFORE = {
    ACL_FILE: "allow_anonymous false\nlistener 1883\npassword_file /etc/mosquitto/passwords\nacl_file /etc/mosquitto/acl\n",
    "dynamic-security": "allow_anonymous false\nlistener 1883\nplugin {dynamic_security}\n"
                        "plugin_opt_config_file /var/lib/mosquitto/dynamic-security.json\n",
    "Client certificates": "",
    "No rules at all": "allow_anonymous true\nlistener 1883\n",
}
SERVER = {
    "Client certificates": ("ssl://broker.plant-7.lan:8883\nca_file = /site/ca.pem\ncertificate_file = /site/gateway-17.pem\n"
                            "key_file = /site/gateway-17.key",
                            "mqtts://broker.plant-7.lan\nca = /site/ca.pem\ncert = /site/alice.pem\nkey-file = /site/alice.key"),
    "No rules at all": ("tcp://localhost:1883", "mqtt://localhost"),
}
WITH_PASSWORDS = ("tcp://localhost:1883\nusername = gateway-17\npassword_file = /etc/instar/password",
                  "mqtt://localhost\nusername = alice\npassword-file = /site/password")


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^##)", PAGE, re.S | re.M)
    assert found, f"docs/broker.md has no section '{title}'"
    return found.group(1)


def blocks(title: str) -> list[tuple[str, str]]:
    """(kind, text) of what a section says is to be written or run."""
    return re.findall(r"^```(conf|sh) root\n(.*?)^```", section(title), re.S | re.M)


def write(root: FreshRoot, text: str) -> None:
    """A file of the page: its first line has its path."""
    first, _, rest = text.partition("\n")
    named = re.fullmatch(r"# (append to )?(/\S+)", first)
    assert named, f"a file of the page has to begin with its path: {first}"
    root.write(named.group(2), rest, append=named.group(1) is not None)


def follow(root: FreshRoot, title: str) -> None:
    for kind, text in blocks(title):
        if kind == "conf":
            write(root, text)
        else:
            root.run(text, **PASSWORDS)
            if "systemctl restart mosquitto" in text:
                answers(root)


def answers(root: FreshRoot) -> None:
    """The broker listens; where it does not, its log says why."""
    def listens() -> bool:
        if root.attempt("kill -0 $(cat /run/broker.pid)").returncode != 0:
            raise AssertionError(root.read("/var/log/mosquitto/mosquitto.log")[-2000:])
        return root.attempt("ss -Hltn | grep -Eq ':(1883|8883) '").returncode == 0

    wait_for("the broker listens", listens)


def test_rules_by_client_id_are_those_by_user():
    (by_user,) = [text for _, text in blocks(ACL_FILE) if text.startswith("# append to /etc/mosquitto/acl\n")]
    (by_client_id,) = re.findall(r"^```\n(.*?)^```", section("What an `acl_file` needs"), re.S | re.M)
    assert by_client_id == by_user.partition("\n")[2].replace("%u", "%c")


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run(["cpack", "--config", BUILD / "CPackConfig.cmake", "-B", folder], check=True, capture_output=True)
    return [*folder.glob("instar_*.deb"), *folder.glob("mosquitto-instar_*.deb"), *folder.glob("instar-device*.deb")]


@pytest.fixture
def root(tmp_path, packages):
    with FreshRoot(tmp_path) as found:
        found.bring(*packages)
        found.run("echo '127.0.0.1 localhost broker.plant-7.lan' > /etc/hosts; rm -rf /etc/mosquitto/conf.d/*; apt install -y ./instar_*.deb")
        found.run("instar keygen keys")
        yield found


def prepare(root: FreshRoot, kind: str) -> None:
    """The broker that was there before."""
    module = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
    root.write("/etc/mosquitto/conf.d/site.conf", BEFORE[kind].format(dynamic_security=module))
    root.run("touch /etc/mosquitto/passwords; chown mosquitto /etc/mosquitto/passwords; echo 'topic read public/#' > /etc/mosquitto/acl")
    if kind == "dynamic-security":
        root.run('mosquitto_ctrl dynsec init /var/lib/mosquitto/dynamic-security.json admin "$ADMIN"\n'
                 "chown mosquitto /var/lib/mosquitto/dynamic-security.json", **PASSWORDS)
    root.run("systemctl restart mosquitto")
    answers(root)


def connect(root: FreshRoot, kind: str) -> None:
    """The operator's configuration, and the device with its own."""
    device, operator = SERVER.get(kind, WITH_PASSWORDS)
    root.write("/site/password", PASSWORDS["ALICE"] + "\n")
    root.write("/site/.config/instar/config", f"broker = {operator}\n")
    root.run("chmod 600 /site/password; apt install -y ./instar-device-static_*.deb; install -d -m 755 /etc/instar\n"
             "cp keys/root.instar /etc/instar/")
    root.write("/etc/instar/password", PASSWORDS["GATEWAY_17"] + "\n")
    root.write("/etc/instar/device.conf", f"device_id = gateway-17\nproduct = gateway\ngroups = plant-7/line-a\nserver = {device}\n")
    root.run("chmod 600 /etc/instar/password; chmod -f 600 *.key || true; instar-device check-config /etc/instar/device.conf\n"
             "systemctl enable --now instar-device")


def publish(root: FreshRoot, release: str, probe: str) -> subprocess.CompletedProcess:
    return root.attempt(f"instar publish --group plant-7 --product gateway --release {release} --artifact out/web --settle 1s \\\n"
                        f"  --probe '{probe}' --root keys/root.instar --key keys/release.key --wait")


@pytest.mark.parametrize("kind", BEFORE)
def test_a_broker_of_each_kind(root, kind):
    prepare(root, kind)
    follow(root, "Install")
    if kind == "Client certificates":
        root.run("rm /etc/mosquitto/conf.d/site.conf")
        for block_kind, text in blocks(ACL_FILE):
            if block_kind == "conf" and "/acl\n" in text:
                write(root, text)
    follow(root, kind)
    assert "was let through before this plugin was asked" not in root.read("/var/log/mosquitto/mosquitto.log")
    connect(root, kind)
    assert "no rollouts yet" in root.run("instar rollout list")
    wait_for("the device is known", lambda: "gateway-17" in root.run("instar devices list"))
    root.run("mkdir -p tree/bin tree/sbin; cp /bin/busybox tree/bin/busybox; ln -s busybox tree/bin/sh; ln -s busybox tree/bin/sleep\n"
             "printf '#!/bin/sh\\ntrap \"exit 0\" PWR TERM\\nwhile :; do sleep 1; done\\n' > tree/sbin/init; chmod 755 tree/sbin/init\n"
             "instar pack tree -o out/web")
    done = publish(root, "1.0", "/bin/sh -c true")
    assert done.returncode == 0, done.stdout + done.stderr + root.read("/var/log/device.log")
    done = publish(root, "1.1", "/bin/sh -c false")
    assert done.returncode == 7, done.stdout + done.stderr
    assert '"1.0"' in root.run("instar devices show gateway-17 --json")
    root.run("systemctl stop instar-device")

    follow(root, "Taking it out again")
    assert "mosquitto_instar" not in root.run("cat /proc/$(cat /run/broker.pid)/maps")
    assert root.attempt("ls -d /var/lib/mosquitto/instar /etc/mosquitto/instar").returncode != 0


def test_the_guide_from_its_first_command_to_its_last(root):
    root.run("rm -r keys; apt remove -y instar")
    root.write("/etc/mosquitto/conf.d/site.conf", BEFORE["No rules at all"])
    root.write("/site/.config/instar/config", "broker = mqtt://localhost\n")
    for kind, text in re.findall(r"^```((?:conf|sh) (?:root|run(?: broker)?))\n(.*?)^```", GUIDE, re.S | re.M):
        if kind == "conf root":
            # The broker of this first try is without TLS.
            write(root, re.sub(r"^server .*\nca_file .*", "server = tcp://localhost:1883", text, flags=re.M))
            continue
        root.run(text)
        if "systemctl restart mosquitto" in text:
            answers(root)
        if "systemctl enable --now instar-device" in text:
            wait_for("the device is known", lambda: "gateway-17" in root.run("instar devices list"))
    assert '"1.1"' in root.run("instar devices show gateway-17 --json")
    root.run("systemctl stop instar-device")


def test_the_plugins_line_in_a_file_that_comes_later_is_what_the_page_warns_of(root):
    prepare(root, "dynamic-security")
    follow(root, "Install")
    root.run("mv /etc/mosquitto/conf.d/site.conf /etc/mosquitto/conf.d/00-a.conf")
    follow(root, "dynamic-security")
    connect(root, "dynamic-security")
    wait_for("the log says so", lambda: "was let through before this plugin was asked" in root.read("/var/log/mosquitto/mosquitto.log"))
