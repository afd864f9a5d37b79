"""Parts of a batch for several machines: disjoint, together all, and each known by itself.

Which shard a recording belongs to follows from its name alone. So no machine needs to know of the
others, the order of a listing does not matter, and new files change nothing for the old ones.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from audiocli.errors import FieldError

__all__ = ["Shard", "parse_shard"]


@dataclass(frozen=True)
class Shard:
    """The part `index`, from 1 on, of `count`."""

    index: int
    count: int

    def takes(self, label: str) -> bool:
        """Tell whether a recording of this name belongs to it."""
        sha256 = hashlib.sha256(label.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(sha256[:8], "big") % self.count == self.index - 1

    def named(self, path: Path) -> Path:
        """Give a file that all shards would write a name of its own, as ``a.2-of-8.csv``."""
        return path.with_name(f"{path.stem}.{self.index}-of-{self.count}{path.suffix}")


def parse_shard(text: str) -> Shard:
    """Read I/N, the part I from 1 to N of N."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if match:
        shard = Shard(int(match[1]), int(match[2]))
        if 1 <= shard.index <= shard.count:
            return shard
    raise FieldError(f"{{shard}} {text}: I/N with I from 1 to N, as in 1/8 ... 8/8", "shard")
