"""The run log: one JSON line a shard says how it came to be there. It is about one run, and no part of any output."""

import json
from collections import Counter
from pathlib import Path

from audioprep.console import say
from audioprep.engine.tasks import CACHE, COMPUTED, RESUMED, Shard

_SAID = {COMPUTED: "computed", CACHE: "taken from the earlier version", RESUMED: "found finished"}


class RunLog:
    """The log of one run of a stage.

    Args:
        path: The file, which the last run's log makes room for; None keeps none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts: Counter[str] = Counter()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")

    def add(self, shard: Shard) -> None:
        """Note one more shard."""
        self.add_line(shard.index, shard.origin, shard.seconds)

    def add_line(self, index: int, origin: str, seconds: float = 0.0) -> None:
        """Note one more shard, by its number."""
        self._counts[origin] += 1
        if self._path is not None:
            line = json.dumps({"shard": index, "origin": origin, "seconds": seconds})
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def say(self, label: str) -> None:
        """Tell the user what was spared, if anything was."""
        if set(self._counts) - {COMPUTED}:
            said = ", ".join(
                f"{self._counts[origin]} {words}" for origin, words in _SAID.items() if self._counts[origin]
            )
            say(f"{label}: {self._counts.total()} shards: {said}")
