"""audioprep.lock: with which code of this package a team's project goes. It is written by `audioprep init`.

DVC reads it too, as parameters: each stage depends on its own line of `code`.
"""

import io
from pathlib import Path

from ruamel.yaml import YAML

from audioprep.config.base import Section, parse_section, read_mapping

LOCK = Path("audioprep.lock")
_HEADER = """\
# Which audioprep this project goes with. Written by `audioprep init`: commit it, but change nothing here.
# `audioprep init --update .` brings it up to date with the installed version.
"""


class ProjectLock(Section):
    """What `audioprep init` notes of a project.

    Attributes:
        version: The version of this package that wrote it.
        code: A hash of the code of this package that each stage runs, by the name of the stage.
        files: The sha256 of the files that were written, by path: one that differs was edited since.
    """

    version: str
    code: dict[str, str]
    files: dict[str, str]


def read_lock(path: Path = LOCK) -> ProjectLock | None:
    """Return what a project goes with; None where no `audioprep init` has started it.

    Raises:
        ConfigError: The file is damaged.
    """
    if not path.exists():
        return None
    return parse_section(ProjectLock, "", read_mapping(path), file=path.name)


def lock_text(lock: ProjectLock) -> str:
    """Return the content of the file."""
    text, yaml = io.StringIO(), YAML()
    yaml.width = 4096
    yaml.dump(lock.model_dump(), text)
    return _HEADER + text.getvalue()
