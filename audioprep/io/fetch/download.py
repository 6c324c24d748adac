"""Several files at once: is there room for them, and from which address does each one come."""

import shutil
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from audioprep.console import ByteProgress, say, size_text, track_bytes
from audioprep.errors import FetchError, summarise
from audioprep.io.fetch.part import NoRoomError, Part, locked_part, part_path
from audioprep.io.fetch.request import AddressError, announced_bytes, receive
from audioprep.io.fetch.wanted import Wanted, hashes_of
from audioprep.io.layout import ARCHIVES_VARIABLE

_NUM_STREAMS = 4

Pause = Callable[[float], None]


class _LostError(Exception):
    """A file cannot be had."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class _StoppedError(Exception):
    """The user has pressed Ctrl-C."""


def fetch(wanted: Sequence[Wanted]) -> None:
    """Download what is not there, several files at once.

    Args:
        wanted: What should be there; what is there stays as it is, see `verify`.

    Raises:
        FetchError: There is not enough room; or files cannot be had, or are not what was published.
    """
    files = list({file.path: file for file in wanted if not file.path.exists()}.values())
    if not files:
        return
    for file in files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
    missing = _missing_bytes(files)
    _check_room(missing)
    with track_bytes("downloading", missing) as progress:
        lost = _each(files, lambda file, pause: _download(file, progress, pause))
    if len(lost) == 1:
        raise FetchError(f"{lost[0]}; {lost[0].remedy}")
    if lost:
        remedy = "run again to go on, or download them by other means and place them there"
        raise FetchError(summarise(str(files[0].path.parent), [str(error) for error in lost], remedy))


def _each(files: Sequence[Wanted], work: Callable[[Wanted, Pause], None]) -> list[_LostError]:
    """Do the work for several files at once, and return what was lost, in the order of the files."""
    stop = threading.Event()
    todo = deque(files)
    errors: dict[Path, Exception] = {}

    def run() -> None:
        with suppress(IndexError):  # nothing left to do
            while not stop.is_set():
                file = todo.popleft()
                try:
                    work(file, lambda wait_s: _pause(stop, wait_s))
                except Exception as error:  # noqa: BLE001 (raised again below, in the caller's thread)
                    errors[file.path] = error

    # Daemons, as nobody who has pressed Ctrl-C should wait for a read that hangs.
    threads = [threading.Thread(target=run, daemon=True) for _ in files[:_NUM_STREAMS]]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
    in_order = [errors[file.path] for file in files if file.path in errors]
    for error in in_order:
        if not isinstance(error, _LostError):
            raise error
    return [error for error in in_order if isinstance(error, _LostError)]


def _pause(stop: threading.Event, wait_s: float) -> None:
    if stop.wait(wait_s):
        raise _StoppedError


def _missing_bytes(files: Sequence[Wanted]) -> dict[Path, int | None]:
    """Return how much of each file is still to come; a server is asked for a size that is not published."""
    sizes = {file.path: file.num_bytes for file in files}

    def ask(file: Wanted, _: Pause) -> None:
        sizes[file.path] = next(filter(None, map(announced_bytes, file.urls)), None)

    _each([file for file in files if file.num_bytes is None], ask)
    return {path: None if size is None else max(0, size - _size_of(part_path(path))) for path, size in sizes.items()}


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_room(missing: Mapping[Path, int | None]) -> None:
    disks: dict[int, list[Path]] = {}
    for path in missing:
        disks.setdefault(path.parent.stat().st_dev, []).append(path)
    for paths in disks.values():
        folder, num_free = paths[0].parent, shutil.disk_usage(paths[0].parent).free
        num_bytes = sum(missing[path] or 0 for path in paths)
        needed = ("at least " if any(missing[path] is None for path in paths) else "") + size_text(num_bytes)
        if num_bytes > num_free:
            raise FetchError(
                f"{folder}: expected {needed} of free space, got {size_text(num_free)}; free some, or name a folder with "
                f"more in {ARCHIVES_VARIABLE}"
            )
        say(f"{folder}: {needed} to download, {size_text(num_free)} free")


def _download(wanted: Wanted, progress: ByteProgress, pause: Pause) -> None:
    """Get one file from the first address that has it, or leave it to another process that is at it."""
    reasons: list[str] = []
    try:
        for url in wanted.urls:
            if reasons:
                say(f"{wanted.path}: got {reasons[-1]}; trying {url}")
            with locked_part(wanted.path, pause) as part:
                if part is None:
                    return
                try:
                    _download_from(wanted, url, part, progress, pause)
                except AddressError as error:
                    reasons.append(f"{error} from {url}")
                else:
                    return
    except NoRoomError as error:
        raise _LostError(str(error), "free some space and run again, it goes on from there") from None
    finally:
        progress.end(wanted.path)
    raise _lost(wanted, reasons)


def _download_from(wanted: Wanted, url: str, part: Part, progress: ByteProgress, pause: Pause) -> None:
    """Get the rest from one address, verify the whole, and only then give it its name."""
    path, bad = wanted.path, _bad_path(wanted.path)
    receive(wanted, url, part, progress, pause)
    wrong = _wrong_hash(wanted, part, progress, pause)
    if wrong and part.is_joined:
        say(f"{path}: got {wrong} after going on with an earlier part; downloading it anew")
        part.restart()
        receive(wanted, url, part, progress, pause)
        wrong = _wrong_hash(wanted, part, progress, pause)
    if wrong:
        part.rename(bad)
        raise AddressError(f"{wrong} ({part.num_bytes} bytes, kept as {bad.name})")
    part.rename(path)
    bad.unlink(missing_ok=True)


def _wrong_hash(wanted: Wanted, part: Part, progress: ByteProgress, pause: Pause) -> str | None:
    progress.describe(wanted.path, f"checking {wanted.path.name}")
    return wanted.wrong_hash(hashes_of(wanted, part.path, lambda _: pause(0)))


def _bad_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.bad")


def _lost(wanted: Wanted, reasons: Sequence[str]) -> _LostError:
    path, part, bad = wanted.path, part_path(wanted.path), _bad_path(wanted.path)
    problem = f"{path}: expected {wanted.published}, got {', then '.join(reasons) or 'no address'}"
    by_hand = f"download it by other means and place it as {path}"
    if part.exists():
        return _LostError(problem, f"run again to go on after {size_text(_size_of(part))} in {part.name}, or {by_hand}")
    if bad.exists():
        return _LostError(problem, f"the published file may have changed: look at {bad.name}, or {by_hand}")
    return _LostError(problem, f"try again later, or {by_hand}")
