"""Members of zips, tars and folders, read in place: nothing is unpacked, and what lies in pieces is not joined on disk.

A member's name is relative to the archive's single top folder, if it has one: a published archive and a mirror of it may
differ in that folder's name.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from audioprep.io.archives.archive_set import ArchiveSet, is_archive
from audioprep.io.archives.folders import Folder, FolderMembers
from audioprep.io.archives.members import UNREADABLE, Member, Members, Place, Source, first_and_more

__all__ = ["UNREADABLE", "FolderMembers", "Member", "Members", "Place", "is_archive", "open_members"]


def open_members(places: Sequence[Place], work: Path) -> Members:
    """Open what a corpus is read from, for reading its members in any order; cheap when it has been done before.

    Args:
        places: Archives (zip, split zip, or tar, plain or compressed by gzip, bzip2 or xz), single metadata files and
            folders; of members of one name the first place's counts.
        work: Folder for what is made of archives: an index of their members, and compressed tars uncompressed, as their
            members cannot be reached otherwise. It may be deleted at any time when nothing is read.

    Raises:
        FetchError: A place is none of these, it is damaged, or a member's path leads outside it.
    """
    where = first_and_more([place.where for place in places])
    sources: list[Source] = []
    for is_folder, group in groupby(places, key=lambda place: Path(place.paths[0]).is_dir()):
        alike = list(group)
        sources += map(Folder, alike) if is_folder else [ArchiveSet(where, alike, work)]
    return Members(where, sources)
