"""What a command takes with all of its processes: wall and CPU seconds, and memory at its highest, from /proc (Linux)."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY_S = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Taken:
    """What a command took.

    Attributes:
        wall_s: From start to end.
        cpu_s: Of all processes together; what one does in its last 20 ms may be missing.
        peak_bytes: The most that all processes held at one time; a page that two of them share counts twice.
        parent_bytes: The most that the first process held.
        worker_bytes: The most that any other process held.
        output: What it printed.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    parent_bytes: int
    worker_bytes: int
    output: str


def watch(command: Sequence[str], **options: object) -> Taken:
    """Run a command and return what it took.

    Args:
        command: The program and its arguments.
        options: For `subprocess.Popen`, for example `cwd`.

    Raises:
        SystemExit: The command failed.
    """
    started_s = time.perf_counter()
    # A session of its own: its number is what all descendants have in common, whoever their parent is by now.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **options)  # type: ignore[call-overload]
    cpu_s: dict[int, float] = {}
    held_bytes: dict[int, int] = {}
    peak_bytes = 0
    while process.poll() is None:
        now_bytes = 0
        for pid, seconds, num_bytes in _session(process.pid):
            cpu_s[pid] = seconds
            held_bytes[pid] = max(num_bytes, held_bytes.get(pid, 0))
            now_bytes += num_bytes
        peak_bytes = max(peak_bytes, now_bytes)
        time.sleep(_EVERY_S)
    wall_s = time.perf_counter() - started_s
    output = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: expected it to end well, got {process.returncode}")
    workers = [num_bytes for pid, num_bytes in held_bytes.items() if pid != process.pid]
    return Taken(
        wall_s, sum(cpu_s.values()), peak_bytes, held_bytes.get(process.pid, 0), max(workers, default=0), output
    )


def _session(session: int) -> list[tuple[int, float, int]]:
    """Return pid, CPU seconds and resident bytes of every process of a session."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == session:
            seconds = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
            found.append((int(folder.name), seconds, int(fields[21]) * _PAGE_BYTES))
    return found
