"""A broker that makes client ids out of user names, and one that lets an operator upload nothing."""

import re
import secrets

import pytest
from harness import mqtt
from harness.broker import Broker
from harness.device import Device
from harness.operator import Operator, Refused
from harness.trees import make_tree

NOT_ALLOWED = 4


class NamingBroker(Broker):
    def configuration(self) -> str:
        return super().configuration().replace("127.0.0.1\n", "127.0.0.1\nuse_username_as_clientid true\n", 1)

    def _answers(self) -> bool:
        assert self.process.is_running(), "mosquitto ended: " + self.process.log_text()[-2000:]
        try:
            mqtt.Mqtt(self.port, "any", username="harness-probe").disconnect()
            return True
        except (OSError, mqtt.Closed):
            return False


def test_a_release_is_published_and_installed(tmp_path, keys):
    options = keys.plugin_options() | {"operators": "alice", "device_identity": "username"}
    name = f"gw-{secrets.token_hex(3)}"
    with NamingBroker(tmp_path / "broker", options=options) as broker:
        operator = Operator(tmp_path / "operator", broker.port, keys)
        operator.publish("1.0", make_tree(tmp_path / "tree", "1.0"), options=("--username", "alice"))
        with Device(tmp_path / "device", name, broker.port, keys.root, settings={"username": name}) as device:
            device.wait_for_release("1.0")
        assert operator.ask("devices", "show", name, "--username", "alice")["device"] == name


def test_publish_ends_when_its_uploads_are_refused(tmp_path, keys):
    acl = tmp_path / "acl"
    acl.write_text("topic write $CONTROL/instar/v1\ntopic read $CONTROL/instar/v1/response\ntopic readwrite instar/v1/root\n"
                   "topic readwrite instar/v1/manifest/#\ntopic read instar/v1/r/#\n")
    acl.chmod(0o600)
    options = keys.plugin_options() | {"acl_fallthrough": "defer"}
    with Broker(tmp_path / "broker", options=options, lines=[f"acl_file {acl}"]) as broker:
        operator = Operator(tmp_path / "operator", broker.port, keys)
        with pytest.raises(Refused) as refused:
            operator.publish("1.0", make_tree(tmp_path / "tree", "1.0"), options=("--timeout", "5s"))
        assert refused.value.code == NOT_ALLOWED
        assert re.search(r"instar/v1/o/op-\w+/put.*Allow it at the broker", refused.value.err + refused.value.out, re.S)
