"""A disk that is too small: refused before the first byte, with both numbers."""

import re
import subprocess

from harness.site import Site


def test_too_small_a_disk_is_refused_before_the_first_byte(tmp_path, keys, small_disk):
    with Site(tmp_path, keys) as site:
        device = site.add_device("small", state_dir=small_disk / "state")
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        sent = site.broker.bytes_sent(device.id)
        rollout = site.publish("2.0", changed_bytes=20_000_000)
        shown = site.wait_for_counts(rollout, {"refused": 1})
        assert site.broker.bytes_sent(device.id) == sent

        reason = shown["reasons"][0]
        assert reason["code"] in (10, "no_space")
        numbers = [int(n) for n in re.findall(r"\d{4,}", reason["reason"].replace(",", "").replace("'", ""))]
        assert len(numbers) >= 2 and max(numbers) > 20_000_000 and min(numbers) < 12 * 1024 * 1024, reason
        assert re.search(r"no space|not enough|needs", device.log_text())
        assert device.release == "1.0"
        assert device.ask("app", "/bin/cat", "/www/version") == "1.0\n"

        # A release that fits is taken, and so is the large one on a larger disk.
        site.wait_for_counts(site.publish("3.0", changed_bytes=100_000), {"committed": 1})
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        site.wait_for_counts(site.publish("4.0", changed_bytes=20_000_000), {"committed": 1})
        site.devices[0].clean_up()
