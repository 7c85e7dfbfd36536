"""The operator's deltas: chosen by what the fleet runs, weighed by what devices fetch."""

import pytest
from harness.operator import Refused, run
from harness.site import Site


@pytest.fixture
def site(tmp_path, keys):
    with Site(tmp_path, keys) as made:
        yield made


def test_a_release_gets_the_delta_that_its_devices_need(site):
    device = site.add_device("a")
    site.wait_for_counts(site.publish("1.0", noise_bytes=600_000), {"committed": 1})
    tree = site.tree("2.0", noise_bytes=600_000, changed_bytes=20_000)
    published = site.operator.publish("2.0", tree)
    deltas = published["deltas"]
    assert deltas["fleet_known"] and deltas["devices"] == 1 and deltas["missing"] == []
    (base,) = deltas["bases"]
    assert base["kept"] and not base["was_there"] and base["devices"] == 1 and base["release"] == "1.0"
    assert 20_000 < base["delta_bytes"] < base["dedupe_bytes"] < base["full_bytes"]
    site.wait_for_counts(published["rollout"], {"committed": 1})
    assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"

    # Published again, to more groups, say: nothing is made twice.
    again = site.operator.publish("2.0-again", tree)["deltas"]
    assert any("which this release has too" in note for note in again["notes"])
    assert again["bases"] == []


def test_devices_whose_artifact_is_not_on_this_machine_are_listed(site, tmp_path):
    site.add_device("a")
    site.wait_for_counts(site.publish("1.0", noise_bytes=100_000), {"committed": 1})
    (site.operator.folder / "1.0.artifact").rename(tmp_path / "kept-elsewhere")
    tree = site.tree("2.0", noise_bytes=100_000)
    published = site.operator.publish("2.0", tree)
    (missing,) = published["deltas"]["missing"]
    assert missing["release"] == "1.0" and missing["devices"] == 1
    assert "--base" in published["deltas"]["notes"][0]
    site.wait_for_counts(published["rollout"], {"committed": 1})

    (site.operator.folder / "2.0.artifact").rename(tmp_path / "two")
    tree = site.tree("3.0", noise_bytes=100_000)
    published = site.operator.publish("3.0", tree, options=("--artifacts", str(tmp_path)))
    assert [base["kept"] for base in published["deltas"]["bases"]] == [True]
    site.wait_for_counts(published["rollout"], {"committed": 1})


def test_a_build_job_packs_to_one_place_and_keeps_the_base_of_its_fleet(site):
    out = site.operator.folder / "web"

    def publish(release: str) -> dict:
        spec = site.operator.describe(release, out)
        return site.operator.ask("publish", str(spec), "--key", str(site.keys.release), "--root", str(site.keys.root))

    run(["pack", str(site.tree("1.0", noise_bytes=300_000)), "--out", str(out), "--level", "3"])
    site.add_device("a")
    site.wait_for_counts(publish("1.0")["rollout"], {"committed": 1})
    again = ["pack", str(site.tree("2.0", noise_bytes=300_000, changed_bytes=20_000)), "--out", str(out), "--level", "3"]
    with pytest.raises(Refused, match="--replace"):
        run(again)
    assert run([*again, "--replace"])["kept_aside"].startswith(f"{out}-")
    published = publish("2.0")
    (base,) = published["deltas"]["bases"]
    assert base["kept"] and base["release"] == "1.0" and published["deltas"]["missing"] == []
    site.wait_for_counts(published["rollout"], {"committed": 1})


@pytest.mark.parametrize("kinds", ["full", "full,dedupe"])
def test_what_a_device_would_fetch_is_what_it_fetches(site, tmp_path, kinds):
    old = site.tree("1.0", noise_bytes=900_000)
    new = site.tree("2.0", noise_bytes=900_000, changed_bytes=150_000)
    # A part in the middle of the large file changes.
    same = new / "usr/share/data/same"
    content = bytearray(same.read_bytes())
    content[400_000:400_100] = bytes(100)
    same.write_bytes(content)
    for tree, name in ((old, "1.0"), (new, "2.0")):
        run(["pack", str(tree), "--out", str(site.operator.folder / f"{name}.artifact"), "--level", "3", "--kinds", kinds])
    measured = run(["pack", str(new), "--base", str(old), "--level", "3", "--kinds", kinds])
    site.add_device("a")
    site.wait_for_counts(site.operator.publish("1.0", old)["rollout"], {"committed": 1})
    published = site.operator.publish("2.0", new, options=("--no-delta",))
    assert published["deltas"] is None
    site.wait_for_counts(published["rollout"], {"committed": 1})
    (member,) = site.operator.ask("rollout", "show", published["rollout"], "--devices")["members"]
    expected = {pack["kind"]: pack["from_base_bytes"] for pack in measured["packs"]}
    assert member["bytes_fetched"] == expected[member["pack_kind"]]
    assert member["pack_kind"] == kinds.split(",")[-1]
