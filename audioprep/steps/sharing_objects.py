"""Which files of a project are in DVC's cache and on a remote, each asked for by itself.

DVC takes the listing of a folder on a remote as proof of the files in it: `dvc push` and `dvc data status` miss a file that
was lost there, however often they are run.
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioprep.errors import AudioprepError, ShareError, reason_of

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB


@dataclass(frozen=True, order=True)
class SharedFile:
    """A file that DVC keeps, or the listing of a folder.

    Attributes:
        path: Its path in the project; a folder's ends with a slash.
        stage: What makes it.
        md5: Its name in the cache and on remotes.
    """

    path: str
    stage: str
    md5: str

    @property
    def is_listing(self) -> bool:
        """Whether it is the listing of a folder."""
        return self.path.endswith("/")

    def __str__(self) -> str:
        return f"{self.path} ({self.stage})"


def send_lost(stages: Collection[str], remote: str) -> tuple[list[SharedFile], list[SharedFile]]:
    """Send what a remote has lost, after a push; the current folder is the project's.

    Args:
        stages: Addresses of the stages whose outputs count.
        remote: The remote's name.

    Returns:
        The files that were sent, and those that are neither there nor here.

    Raises:
        ShareError: The remote does not answer, or does not take a file.
    """
    with _asked(remote) as (repo, there):
        here = repo.cache.local
        files = _files(repo, stages, there)
        lost = _absent(files, there)
        nowhere = _absent(lost, here)
        # A listing may only be where all of its files are; the push before has sent those that were lost.
        sent = [file for file in lost if file not in set(nowhere) and not file.is_listing]
        failures: list[str] = []
        if sent:
            names = sorted({file.md5 for file in sent})
            there.add(
                [here.oid_to_path(name) for name in names],
                here.fs,
                names,
                check_exists=False,
                on_error=lambda name, error: failures.append(f"{name}: {reason_of(error)}"),
            )
    if failures:
        raise ShareError(
            f"remote {remote}: expected it to take {len(names)} lost files, got {failures[0]}; run this again"
        )
    return sent, nowhere


def not_here(stages: Collection[str], remote: str) -> tuple[list[SharedFile], list[SharedFile]]:
    """Find what the cache lacks; the current folder is the project's.

    Args:
        stages: Addresses of the stages whose outputs count.
        remote: The remote's name.

    Returns:
        The files that the remote has, and those that it lacks, too; listings, which DVC keeps only with all of their files,
        count where they are nowhere.

    Raises:
        ShareError: The remote does not answer.
    """
    with _asked(remote) as (repo, there):
        wanted = _absent(_files(repo, stages, there), repo.cache.local)
        lost = _absent(wanted, there)
    return [file for file in wanted if not file.is_listing and file not in set(lost)], lost


@contextmanager
def _asked(remote: str) -> Iterator[tuple["Repo", "HashFileDB"]]:
    from dvc.repo import Repo

    # Else Python's last resort prints their tracebacks; what matters comes back as an error.
    for library in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        with Repo() as repo:
            yield repo, repo.cloud.get_remote_odb(remote)
    except AudioprepError:
        raise
    except Exception as error:  # noqa: BLE001 - every kind of remote has its own
        raise ShareError(f"remote {remote}: expected an answer, got {reason_of(error)}; look at the remote") from None


def _files(repo: "Repo", stages: Collection[str], there: "HashFileDB") -> list[SharedFile]:
    """List what DVC keeps of the stages; of a folder whose listing is nowhere, the listing alone."""
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.errors import ObjectFormatError

    files = []
    for stage in repo.index.stages:
        for out in stage.outs if stage.addressing in stages else ():
            if not (out.hash_info and out.use_cache and out.can_push):
                continue
            is_folder = out.hash_info.isdir
            files.append(SharedFile(f"{out}{'/' if is_folder else ''}", stage.addressing, out.hash_info.value))
            for place in (repo.cache.local, there) if is_folder else ():
                try:
                    tree = Tree.load(place, out.hash_info)
                except (FileNotFoundError, ObjectFormatError):
                    continue
                files += [SharedFile("/".join((str(out), *key)), stage.addressing, info.value) for key, _, info in tree]
                break
    return sorted(files)


def _absent(files: Collection[SharedFile], place: "HashFileDB") -> list[SharedFile]:
    """Return the files whose object is not in a place."""
    if not files:
        return []
    present = set(place.oids_exist({file.md5 for file in files}))  # type: ignore[no-untyped-call]
    return [file for file in files if file.md5 not in present]
