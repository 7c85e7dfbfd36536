"""What a release that was taken back has left on the flash: used by the next one, and no longer kept when that needs the room."""

from harness.operator import health
from harness.process import wait_for
from harness.site import Site


def test_the_same_content_with_its_mistake_put_right_is_not_sent_again(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("wiser")
        site.wait_for_counts(site.publish("1.0", noise_bytes=400_000), {"committed": 1})
        tree = site.tree("2.0", noise_bytes=400_000, changed_bytes=300_000)

        def publish(release: str, probe: str, *options: str) -> str:
            app = {"name": "app", "artifact": str(site.operator.pack(tree)), "init": ["/sbin/service"],
                   "health": health(probe, settle="500ms", interval="100ms")}
            return site.operator.publish(release, tree, containers=[app], options=options)["rollout"]

        shown = site.wait_for_counts(publish("2.0", "/bin/false"), {"rolled_back": 1})
        assert shown["bytes_sent"] > 300_000
        # Also over a start of the client.
        device.kill()
        device.start()
        shown = site.wait_for_counts(publish("2.1", "/sbin/probe", "--no-delta"), {"committed": 1})
        assert shown["bytes_sent"] == 0, "the revision that was taken back has all of it"
        assert device.ask("app", "/bin/cat", "/www/version") == "2.0\n"
        wait_for("what is not needed is gone", lambda: sorted(path.name for path in (device.state_dir / "revisions").iterdir()) == ["1", "3"])


def test_another_release_gets_the_room(tmp_path, keys, small_disk):
    with Site(tmp_path, keys) as site:
        device = site.add_device("small", state_dir=small_disk / "state")
        site.wait_for_counts(site.publish("1.0"), {"committed": 1})
        site.wait_for_counts(site.publish("2.0", changed_bytes=4_000_000, healthy=False), {"rolled_back": 1})
        assert (device.state_dir / "revisions/2").exists()
        site.wait_for_counts(site.publish("3.0", changed_bytes=7_000_000), {"committed": 1})
        assert "making room for revision 3" in device.log_text()
        device.clean_up()
