"""Running stages of a corpus through DVC, with one line for what went wrong and one for what was done."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from audioprep.config.engine import ENGINE_VARIABLE, EngineRule
from audioprep.errors import ShardError
from audioprep.steps.project import reasons

# What DVC says goes to a file, so that it can be read afterwards; its stages keep the terminal, with their progress bars.
_DVC = "import sys; sys.stdout = sys.stderr = open(int(sys.argv.pop(1)), 'w'); from dvc.cli import main; sys.exit(main(sys.argv[1:]))"
_RAN = re.compile(r"^(?:Running stage '([^']+)':|Stage '([^']+)' is cached)", re.MULTILINE)
_FAILED = re.compile(r"failed to run: python .*, exited with (-?\d+)")
_IS_BUSY = re.compile(r"is busy, it is being blocked by|Unable to acquire lock")
_PROCESS = re.compile(r"\(PID (\d+)\)")
# An error in one line, a wrong command line, and the signals that `errors.one_line_errors` ends with a line.
_SAID = frozenset({1, 2, *(128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))})


def repro(name: str, engine: EngineRule, *arguments: str) -> list[str]:
    """Run `dvc repro` with this interpreter as the `python` of the stages; they say themselves what they do.

    Args:
        name: The corpus, for messages.
        engine: What makes the shards.
        arguments: What follows `dvc repro`.

    Returns:
        The stages that ran, or whose outputs came from DVC's cache, in order: `trim`, `features-logmel`.

    Raises:
        ShardError: DVC could not run the stages; one line says why.
        SystemExit: A stage failed, and has said why in one line.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    env = {**os.environ, "PATH": path, ENGINE_VARIABLE: engine.engine}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        command = [sys.executable, "-c", _DVC, str(log.fileno()), "repro", *arguments]
        # A session of its own: a signal to this process reaches dvc and its stages by way of it, once, and none is left.
        child = subprocess.Popen(command, env=env, start_new_session=True, pass_fds=[log.fileno()])  # noqa: S603 - our own
        try:
            status = child.wait()
        except BaseException:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            raise
        told = _told(log)
    if status:
        raise _failure(name, told, arguments, status)
    return list(_ran(told))


def _told(log: IO[str]) -> str:
    log.seek(0)
    return log.read()


def _failure(name: str, told: str, arguments: tuple[str, ...], status: int) -> ShardError | SystemExit:
    if _IS_BUSY.search(told):
        process = _PROCESS.search(told)
        which = f" (process {process[1]})" if process else ""
        return ShardError(
            f"{name}: expected no other run of DVC, got one at work on this project{which}; wait until it has ended"
        )
    failed = _FAILED.search(told)
    if failed and int(failed[1]) in _SAID:
        return SystemExit(1)
    why = "; ".join(reasons(told)) or f"exit status {status} of dvc"
    again = " ".join(argument for argument in arguments if argument != "--force")
    return ShardError(f"{name}: expected its stages to finish, got: {why}; see more with: dvc repro -v {again}")


def _ran(told: str) -> Iterator[str]:
    for found in _RAN.finditer(told):
        stage, _, instance = (found[1] or found[2]).partition("@")
        kind = instance.partition("-")[2]
        yield f"{stage}-{kind}" if kind else stage
