"""Pages of docs/formats that show a message in hex also say in JSON what is in it: flatc, or the harness where it is packed by hand, must
read the one out of the other. And the check of schemas against their frozen copies finds what it is there for."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness import forge  # noqa: E402

MESSAGES = ["root", "manifest", "gate", "hello", "assignment", "approval", "fetch", "chunk", "ack", "put", "stored"]
BYTES = {"public_key", "data", "salt", "pack_formats", "approval"}


def in_hex(value, name=""):
    """flatc's JSON with hashes and byte vectors in hex, as the pages write them."""
    if isinstance(value, dict):
        return bytes(value["bytes"]).hex() if set(value) == {"bytes"} else {k: in_hex(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return bytes(value).hex() if name in BYTES else [in_hex(v) for v in value]
    return value


def block(name: str, kind: str) -> str:
    page = (ROOT / f"docs/formats/{name}.md").read_text()
    found = re.findall(rf"^```{kind}\n(.*?)^```", page, flags=re.S | re.M)
    assert len(found) == 1, f"{name}.md: {len(found)} blocks of {kind}"
    return found[0]


@pytest.mark.parametrize("name", MESSAGES)
def test_page_says_what_its_bytes_say(tmp_path, name):
    binary = tmp_path / f"{name}.bin"
    binary.write_bytes(bytes.fromhex((ROOT / f"tests/fixtures/{name}.hex").read_text()))
    subprocess.run(["flatc", "--json", "--strict-json", "--raw-binary", "-I", ROOT / "schemas", "-o", tmp_path, ROOT / f"schemas/{name}.fbs",
                    "--", binary], check=True, capture_output=True)
    assert in_hex(json.loads((tmp_path / f"{name}.json").read_text())) == json.loads(block(name, "json"))


def test_page_says_what_the_bytes_of_a_report_say():
    binary = bytes.fromhex((ROOT / "tests/fixtures/report.hex").read_text())
    said = forge.unflat("report", binary)
    assert in_hex(said) == json.loads(block("report", "json"))
    assert forge.flat("report", said) == binary


# --- frozen schemas ------------------------------------------------------------------------------
def conform(schemas: Path) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "tests/house/schemas_conform.sh", "flatc", schemas], capture_output=True, text=True)


@pytest.fixture
def schemas(tmp_path):
    return Path(shutil.copytree(ROOT / "schemas", tmp_path / "schemas"))


def test_frozen_schemas_hold(schemas):
    done = conform(schemas)
    assert done.returncode == 0, done.stdout + done.stderr


def test_field_added_at_the_end_is_fine(schemas):
    gate = schemas / "gate.fbs"
    gate.write_text(gate.read_text().replace("approval:[ubyte] (id: 13);", "approval:[ubyte] (id: 13);\n  later:uint (id: 14);"))
    assert conform(schemas).returncode == 0


@pytest.mark.parametrize("name,old,new", [
    ("gate", "admitted_bp:ushort (id: 6)", "admitted_bp:uint (id: 6)"),
    ("ack", "sequence:ulong (id: 0);", "reason2:string (id: 0);"),
    ("gate", "wave:uint (id: 7);", "wave:uint = 3 (id: 7);"),
    ("attempt", "waiting = 1,", "waiting = 9,"),
    ("chunk", "none = 0, unknown_pack = 1", "none = 1, unknown_pack = 0"),
    ("hash", "[ubyte:32]", "[ubyte:16]"),
    ("hash", "bytes:[ubyte:32];", "bytes:[ubyte:32];\n  more:ubyte;"),
    ("gate", "  retry_epoch:uint (id: 11);\n", ""),
    ("put", "pack:Hash256 (id: 1, required);", "pack:Hash256 (id: 1);"),
    ("chunk", ", busy = 4", ""),
])
def test_change_of_what_was_released_is_found(schemas, name, old, new):
    schema = schemas / f"{name}.fbs"
    assert old in schema.read_text()
    schema.write_text(schema.read_text().replace(old, new))
    assert conform(schemas).returncode == 1


def test_schema_that_is_gone_is_found(schemas):
    (schemas / "put.fbs").unlink()
    assert "put.fbs is gone" in conform(schemas).stdout


def test_schema_that_was_never_frozen_is_found(schemas):
    (schemas / "new.fbs").write_text("table New { a:int (id: 0); }\n")
    assert "new.fbs has no frozen copy" in conform(schemas).stdout
