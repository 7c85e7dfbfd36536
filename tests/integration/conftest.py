import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.operator import Keys  # noqa: E402


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keyring") / "keys")


@pytest.fixture
def plugin_options(keys) -> dict[str, str]:
    return keys.plugin_options()


@pytest.fixture
def name() -> str:
    """A device id that no other test on this machine uses: containers are named after it."""
    return f"t{os.getpid()}-{secrets.token_hex(3)}"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
