"""Topics of releases, as docs/formats/topics.md says."""

PREFIX = "instar/v1"


def manifest_topic(group: str = "test/line", product: str = "test-box") -> str:
    return f"{PREFIX}/manifest/{group}/{product}"


def gate_topic(group: str = "test/line", product: str = "test-box") -> str:
    return f"{PREFIX}/gate/{group}/{product}"
