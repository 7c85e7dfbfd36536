"""A release that changes nothing but how its containers run costs the device no byte of content, and restarts only the container that it changes."""

from harness.operator import health
from harness.site import Site


def test_another_setting_is_a_release_without_a_download(tmp_path, keys):
    with Site(tmp_path, keys) as site:
        device = site.add_device("tuned")
        tree = site.tree("1.0", changed_bytes=300_000)
        artifact = site.operator.pack(tree)

        def containers(level: str) -> list[dict]:
            other = {"name": "still", "artifact": str(artifact), "init": ["/bin/sleep", "100000"]}
            return [{"name": "app", "artifact": str(artifact), "init": ["/sbin/service"], "health": health(settle="500ms"),
                     "settings": {"lxc.environment": f"LEVEL={level}"}}, other]

        first = site.operator.publish("1.0", tree, containers=containers("low"))["rollout"]
        site.wait_for_counts(first, {"committed": 1})
        sent, still, app = site.broker.bytes_sent(device.id), device.container_pid("still"), device.container_pid("app")
        second = site.operator.publish("1.1", tree, containers=containers("high"))["rollout"]
        shown = site.wait_for_counts(second, {"committed": 1})
        assert site.broker.bytes_sent(device.id) == sent and shown["bytes_sent"] == 0
        assert device.release == "1.1"
        assert device.container_pid("still") == still and device.container_pid("app") != app
        environment = (device.container_pid("app"), device.ask("app", "/bin/cat", "/proc/1/environ"))
        assert "LEVEL=high" in environment[1], environment
