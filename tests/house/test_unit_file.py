"""The unit of the device's client: what containers inherit from it, they cannot do without."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness import systemd_unit  # noqa: E402

UNIT = (ROOT / "deploy/instar-device.service").read_text()


def test_nothing_of_the_unit_binds_the_containers():
    assert systemd_unit.inherited_by_containers(UNIT) == []


@pytest.mark.parametrize("line", [
    "MemoryDenyWriteExecute=yes", "LockPersonality=true", "RestrictRealtime=1", "ProtectKernelLogs=on", "ProtectClock=yes", "PrivateDevices=yes",
    "ProtectHostname=yes", "ProtectKernelModules=yes", "ProtectKernelTunables=yes", "RestrictSUIDSGID=yes", "RestrictNamespaces=~user",
    "RestrictAddressFamilies=AF_INET", "SystemCallArchitectures=native", "SystemCallFilter=@system-service", "SystemCallFilter = \\\n ~@mount",
    "SystemCallLog=@raw-io", "DynamicUser=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=CAP_NET_ADMIN",
])
def test_directive_that_containers_inherit_is_found(line):
    found = systemd_unit.inherited_by_containers(UNIT.replace("[Install]", line + "\n[Install]"))
    assert len(found) == 1
    assert line.split("=")[0].strip() in found[0]


@pytest.mark.parametrize("line", ["#MemoryDenyWriteExecute=yes", "MemoryDenyWriteExecute=no", "SystemCallFilter=", "UMask=0077"])
def test_directive_that_does_nothing_to_containers_is_fine(line):
    assert systemd_unit.inherited_by_containers(UNIT.replace("[Install]", line + "\n[Install]")) == []


def test_the_unit_is_one_that_tests_can_run_under():
    known = systemd_unit.KNOWN
    assert [each.key for each in systemd_unit.service_directives(UNIT) if each.key not in known] == []
