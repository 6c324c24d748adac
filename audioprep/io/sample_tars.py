"""Tars of samples with the same bytes on every machine, as WebDataset and lhotse Shar read them."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def npy_bytes(values: np.ndarray) -> bytes:
    """Return an array as the content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


class SampleTars:
    """A number of tars that samples are dealt out to, as many to each.

    Args:
        path_of: Gives the path of a tar by its number.
        num_samples: How many samples will come.
        num_tars: How many tars they go into.
    """

    def __init__(self, path_of: Callable[[int], Path], num_samples: int, num_tars: int) -> None:
        self._path_of = path_of
        self._num_samples, self._num_tars = num_samples, num_tars
        self._num_added, self._number = 0, -1
        self._tar: tarfile.TarFile | None = None

    def add(self, members: dict[str, bytes]) -> int:
        """Write the files of one sample, and return the number of the tar that they went to."""
        number = self._num_added * self._num_tars // self._num_samples
        if number != self._number or self._tar is None:
            self.close()
            self._number = number
            self._tar = tarfile.open(self._path_of(number), "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see close
        for name, data in members.items():
            info = tarfile.TarInfo(name)  # without time and owner: nothing of this machine gets into the bytes
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))
        self._num_added += 1
        return number

    def close(self) -> None:
        """Close the tar that is open."""
        if self._tar is not None:
            self._tar.close()
