"""Running the tasks of one folder: what is finished or unchanged is kept, the rest is made."""

import importlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from audioprep.config.engine import EngineRule
from audioprep.console import track
from audioprep.engine.earlier import Restore, take
from audioprep.engine.log import RunLog
from audioprep.engine.make import finished
from audioprep.engine.tasks import Shard, ShardFunction, ShardTask


def run_shards(
    tasks: Sequence[ShardTask],
    function: ShardFunction,
    work: Path,
    *,
    label: str,
    earlier: Path | None = None,
    restore: Restore | None = None,
    log: Path | None = None,
    engine: EngineRule | None = None,
) -> list[Shard]:
    """Make every shard that neither the work folder nor an earlier version holds, and return all of them in order.

    Args:
        tasks: What to make.
        function: Makes one shard; a top-level function, as it is sent to other processes.
        work: Folder of finished shards, one sub-folder a fingerprint; it survives a kill.
        label: What is being made, for people.
        earlier: The folder that the shards are for: what stands unchanged in an earlier version of it is taken.
        restore: Brings back the files of an earlier shard that are not published; None where there are none.
        log: Where to say of each shard how it came to be there.
        engine: What runs the tasks; None is processes of this machine.

    Raises:
        ShardError: Shards could not be made; finished ones are kept.
        ConfigError: The engine is not installed or cannot be reached.
    """
    rule = engine or EngineRule()
    # By name: where a shard is made is no part of what it is made of, and DVC need not see it.
    backend = importlib.import_module(f"audioprep.engine.{rule.engine}")
    work.mkdir(parents=True, exist_ok=True)
    run_log = RunLog(log)
    done: dict[int, Shard] = {}

    def missing() -> list[ShardTask]:
        return [task for task in tasks if task.index not in done]

    def note(shards: Iterator[Shard]) -> None:
        for shard in shards:
            done[shard.index] = shard
            run_log.add(shard)

    note(_resumed(tasks, work))
    if earlier is not None and (todo := missing()):
        note(take(todo, earlier, work, restore))
    todo = missing()
    note(track(backend.run(todo, function, work, address=rule.ray.address), label, len(todo), "shard"))
    run_log.say(label)
    return [done[task.index] for task in tasks]


def _resumed(tasks: Sequence[ShardTask], work: Path) -> Iterator[Shard]:
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter to the other threads
        yield from filter(None, pool.map(lambda task: finished(task, work), tasks))
