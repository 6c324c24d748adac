"""Files that lie in pieces, read as one: nothing is joined on disk."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, cast


class JoinedFile(io.RawIOBase):
    """The bytes of several files, one after the other; read-only, with at most one of them open at a time.

    Attributes:
        starts: Where each piece starts in the whole.
    """

    def __init__(self, paths: Sequence[Path], tail: bytes = b"") -> None:
        """Join files.

        Args:
            paths: The pieces, in order.
            tail: Bytes that follow the last piece.

        Raises:
            OSError: A piece is not there.
        """
        super().__init__()
        self._paths = list(paths)
        self._tail = tail
        *self.starts, self._tail_start = accumulate((path.stat().st_size for path in paths), initial=0)
        self._num_bytes = self._tail_start + len(tail)
        self._position = 0
        self._piece: BinaryIO | None = None
        self._number = -1

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return the position in the whole."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in the whole and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._num_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"position: expected 0 or more, got {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer up to the end of the piece at this position; return how many bytes that are, 0 at the end."""
        if self._position >= self._tail_start:
            chunk = self._tail[self._position - self._tail_start :][: len(buffer)]
            buffer[: len(chunk)] = chunk
            num_read = len(chunk)
        else:
            # The last of the pieces that start here: those before it have no bytes.
            number = bisect_right(self.starts, self._position) - 1
            piece = self._open(number)
            piece.seek(self._position - self.starts[number])
            num_read = cast(io.RawIOBase, piece).readinto(buffer) or 0
        self._position += num_read
        return num_read

    def close(self) -> None:
        """Close the piece that is open."""
        if self._piece is not None:
            self._piece.close()
            self._piece = None
        super().close()

    def _open(self, number: int) -> BinaryIO:
        if self._piece is None or self._number != number:
            if self._piece is not None:
                self._piece.close()
            self._piece = cast(BinaryIO, self._paths[number].open("rb", buffering=0))
            self._number = number
        return self._piece


def open_joined(paths: Sequence[Path], tail: bytes = b"") -> BinaryIO:
    """Return the bytes of several files, one after the other, as one file that can be read from anywhere.

    Args:
        paths: The pieces, in order.
        tail: Bytes that follow the last piece.
    """
    return cast(BinaryIO, io.BufferedReader(JoinedFile(paths, tail)))
