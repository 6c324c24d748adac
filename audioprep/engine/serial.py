"""Shards one after another in this process."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from audioprep.engine.make import make
from audioprep.engine.tasks import Shard, ShardFunction, ShardTask


def run(
    tasks: Sequence[ShardTask], function: ShardFunction, work: Path, *, address: str | None = None
) -> Iterator[Shard]:
    """Yield shards as they are finished.

    Args:
        tasks: What to make.
        function: Makes one shard.
        work: Folder of finished shards.
        address: For engines that are elsewhere.
    """
    del address
    for task in tasks:
        yield make(task, function, work)
