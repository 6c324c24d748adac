"""What a training has cost: kept beside the outputs, which two runs must make alike, in a log of this folder.

The log names a checkpoint by its hash, so a cost is never told of weights that were trained elsewhere or otherwise.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from audioprep.engine import file_sha256


def log_costs(log: Path, cpu_seconds: Mapping[Path, float]) -> None:
    """Add the costs of checkpoints to the log.

    Args:
        log: File of JSON lines, made where it is not there.
        cpu_seconds: CPU time of the training, in seconds, by checkpoint file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"checkpoint": path.name, "sha256": file_sha256(path), "cpu_seconds": cost}
        for path, cost in cpu_seconds.items()
    ]
    with log.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def read_cost(log: Path, checkpoint: Path) -> float | None:
    """Return the CPU time of a checkpoint's training, in seconds; None if it was not trained in this project folder."""
    sha256, cost = file_sha256(checkpoint), None
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        with suppress(ValueError):  # the line at which a run was killed
            row = json.loads(line)
            cost = row["cpu_seconds"] if row["sha256"] == sha256 else cost
    return cost
