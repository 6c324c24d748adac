"""Running the tasks of one folder: what is finished is kept, the rest is made."""

from collections.abc import Sequence
from pathlib import Path

from audioprep.console import track
from audioprep.engine import processes
from audioprep.engine.make import finished
from audioprep.engine.tasks import Shard, ShardFunction, ShardTask


def run_shards(tasks: Sequence[ShardTask], function: ShardFunction, work: Path, *, label: str) -> list[Shard]:
    """Make every shard that the work folder does not hold already, and return all of them in order.

    Args:
        tasks: What to make.
        function: Makes one shard; a top-level function, as it is sent to other processes.
        work: Folder of finished shards, one sub-folder a fingerprint; it survives a kill.
        label: What is being made, for the progress display.

    Raises:
        ShardError: A worker process died; finished shards are kept.
    """
    work.mkdir(parents=True, exist_ok=True)
    done = {task.index: shard for task in tasks if (shard := finished(task, work)) is not None}
    todo = [task for task in tasks if task.index not in done]
    for shard in track(processes.run(todo, function, work), label, len(todo)):
        done[shard.index] = shard
    return [done[task.index] for task in tasks]
