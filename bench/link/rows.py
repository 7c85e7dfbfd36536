"""The links that are measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    kbit: float
    rtt_s: float
    cut_s: int  # 0 = never
    refuse_every: int | None = None
    half_closes: bool = False
    link_s: int = 150  # the size is what the link carries in so long

    @property
    def bytes_per_s(self) -> float:
        return self.kbit * 1000 / 8

    @property
    def size(self) -> int:
        return int(self.bytes_per_s * self.link_s)

    @property
    def queue_bytes(self) -> int:
        """Two seconds wait before the link at most."""
        return max(4_096, int(2 * self.bytes_per_s))

    @property
    def message_s(self) -> float:
        return 30 if self.kbit < 16 else 7

    @property
    def name(self) -> str:
        cut = f"cut {self.cut_s} s" if self.cut_s else "never cut"
        more = (", 2 % refused" if self.refuse_every else "") + (", half-closed" if self.half_closes else "")
        return f"{self.kbit:g} kbit/s, {self.rtt_s:g} s, {cut}{more}"


def all_rows(link_s: int) -> list[Row]:
    rows = [Row(kbit, rtt_s, cut_s, link_s=link_s) for kbit in (9.6, 64, 256) for rtt_s in (0.6, 2) for cut_s in (20, 60, 0)]
    for rtt_s in (0.6, 2):
        # The second connect of them is refused already, so each such row has one.
        rows.append(Row(64, rtt_s, 20, refuse_every=50, link_s=link_s))
        rows.append(Row(64, rtt_s, 20, half_closes=True, link_s=link_s))
    return rows
