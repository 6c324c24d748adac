"""Where everything of one corpus lies."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

# File systems hold names of 255 bytes.
_MAX_NAME_BYTES = 200
ARCHIVES_VARIABLE = "AUDIOPREP_ARCHIVES"
WORK_FOLDER = Path(".audioprep") / "work"
LOG_FOLDER = Path(".audioprep") / "log"


def sound_name(clip_id: str) -> str:
    """Return the file name of a clip's sound: its id, or the hash of one that is too long."""
    is_short = len(clip_id.encode()) <= _MAX_NAME_BYTES
    return f"{clip_id if is_short else hashlib.sha256(clip_id.encode()).hexdigest()}.flac"


@dataclass(frozen=True)
class Layout:
    """The folders of one corpus.

    Attributes:
        dataset: The corpus's name.
        data: Folder of its outputs, `data/<ds>` in a project.
        archives: Folder of all archives, one folder a corpus, outside every output that DVC may delete.
        work: Folder of unfinished work, which survives a kill.
        log: Folder of the run logs, which say what the last run of each stage computed.
    """

    dataset: str
    data: Path
    archives: Path
    work: Path
    log: Path

    @classmethod
    def in_project(cls, dataset: str) -> "Layout":
        """Return the layout in a DVC project whose root is the current folder."""
        shared = os.environ.get(ARCHIVES_VARIABLE)
        archives = Path(shared).expanduser() if shared else Path("data", "archives")
        return cls(dataset, Path("data", dataset), archives, WORK_FOLDER / dataset, LOG_FOLDER / dataset)

    @classmethod
    def in_folder(cls, dataset: str, out: Path) -> "Layout":
        """Return the layout in a folder of the user's choice, without DVC."""
        shared = os.environ.get(ARCHIVES_VARIABLE)
        archives = Path(shared).expanduser() if shared else out / "archives"
        return cls(dataset, out, archives, out / WORK_FOLDER, out / LOG_FOLDER / dataset)

    def lock(self, stage: str) -> Path:
        """Return the file that stands for one run of a stage."""
        return self.work / f"{stage}.lock"

    @property
    def raw(self) -> Path:
        """Ledger of the archives and the table of declared clips."""
        return self.data / "raw"

    @property
    def audio(self) -> Path:
        """Audio shards, facts and statuses."""
        return self.data / "audio"

    @property
    def shar(self) -> Path:
        """The lhotse Shar folder, which holds recordings and cuts and nothing else."""
        return self.audio / "shar"

    @property
    def loudness(self) -> Path:
        """Decided gains."""
        return self.data / "loudness"

    @property
    def cuts(self) -> Path:
        """Decided cuts."""
        return self.data / "cuts"

    @property
    def splits(self) -> Path:
        """Splits and the audit."""
        return self.data / "splits"

    def features(self, kind: str) -> Path:
        """Feature shards of one kind."""
        return self.data / kind

    def augmented(self, kind: str) -> Path:
        """Feature shards of changed copies of the clips, of one kind."""
        return self.data / "augmented" / kind
