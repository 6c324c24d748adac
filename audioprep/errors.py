"""Every error a user can meet, one class per phase.

A message reads `<where>: expected <x>, got <y>; <what to do>` and fits one line: the command line and the
stage scripts print it as it stands and exit with 1.
"""

import difflib
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]  # Windows has no last one
_STOPPED = "stopped; what is finished is kept, run the same command again to go on"
# More choices than this are not listed where one of them is near.
_MAX_CHOICES = 12


class AudioprepError(Exception):
    """Base of all errors that the user can act on."""


class ConfigError(AudioprepError):
    """A parameter is unknown, ill-typed or impossible."""


class ProjectError(AudioprepError):
    """A DVC project cannot be started, or does not go with the installed version."""


class FetchError(AudioprepError):
    """An archive could not be had, or is not what it should be."""


class DatasetError(AudioprepError):
    """A corpus is unknown, or its files and its recipe disagree."""


class AudioError(AudioprepError):
    """A file does not hold usable audio; `status` is the word that goes into the status table."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


class ShapeError(AudioprepError):
    """An array does not have the shape, type or range that a kernel needs."""


class ShardError(AudioprepError):
    """A shard, or the folder of shards, is damaged or could not be made."""


class SplitError(AudioprepError):
    """A split is unknown, incomplete, or leaks."""


class ModelError(AudioprepError):
    """A model, a checkpoint or a bundle cannot be used as asked."""


class DeviceError(AudioprepError):
    """A microphone, a loudspeaker or a screen is missing, or cannot be used."""


class ShareError(AudioprepError):
    """Results could not be shared, restored or merged."""


class DvcError(ShareError):
    """A DVC command failed; `reason` is what DVC says of it."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, reason)
        self.command = command
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.command}: expected it to end well, got: {self.reason}"


def unknown_name(where: str, name: str, choices: Iterable[str]) -> str:
    """Return the message for a name that is not among the choices, with the nearest one suggested.

    Args:
        where: What was being looked up, for example `dataset`.
        name: The name that was given.
        choices: The names that exist.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "choose one of them"
    listed = f"{len(known)} names" if near and len(known) > _MAX_CHOICES else ", ".join(known)
    return f"{where}: expected one of {listed}, got '{name}'; {hint}"


def reason_of(error: BaseException) -> str:
    """Return what a library says is wrong, as a part of one line."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def summarise(where: str, failures: Sequence[str], remedy: str) -> str:
    """Return the one line that reports a whole batch: the count, the first five, and what to do."""
    first = "; ".join(failure.removesuffix(".") for failure in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    return f"{where}: {len(failures)} failed: {first}{more}; {remedy}"


class _Stopped(BaseException):
    """A signal asks to end: Ctrl-C, a batch queue whose time is over, a terminal that closes.

    It is no KeyboardInterrupt, which libraries on the way turn into what they think best.
    """


def _stop(number: int, _frame: object) -> None:
    raise _Stopped(number)


@contextmanager
def one_line_errors(*, debug: bool = False, stopped: str = _STOPPED) -> Iterator[None]:
    """Turn an error that the user can act on into one line on stderr and exit status 1; a traceback only when asked for.

    Ctrl-C, SIGTERM and a terminal that closes end with one line too, and with the status of what a signal ends.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):  # not what nohup has set
            signal.signal(number, _stop)
    try:
        yield
    except BrokenPipeError:  # whoever read what is printed wants no more
        sys.stderr.close()
        raise SystemExit(1) from None
    except (AudioprepError, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"error: {line_of(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except (_Stopped, KeyboardInterrupt) as stop:
        print(stopped, file=sys.stderr)
        raise SystemExit(128 + (stop.args[0] if stop.args else signal.SIGINT)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def line_of(error: AudioprepError | OSError) -> str:
    """Return what the user is told of an error."""
    if isinstance(error, AudioprepError):
        return str(error)
    # A full disk, a folder that cannot be written: nothing of ours knows more than the system.
    where, what = error.filename or "system", error.strerror or error
    return f"{where}: expected to read or write it, got {what}; check path, permissions and free space"
