"""A YAML file as text in parts: the entries of one mapping, and what stands before and after them.

dvc.lock and params.yaml are merged and read by entry. As text, an entry keeps its comments and bytes, and a file of
20,000 lines is split in milliseconds.
"""

import re
from dataclasses import dataclass

_ENTRY = re.compile(r"  (?P<name>'[^']*'|\"[^\"]*\"|[^\s#'\"-][^:]*):(\s|$)")


@dataclass(frozen=True)
class Sections:
    """A file whose mapping `<key>:` at the top level holds entries, which are indented by two.

    Attributes:
        head: The text before the first entry, its key included.
        blocks: The text of each entry, by name, which is without quotes.
        tail: The text after the last entry.
    """

    head: str
    blocks: dict[str, str]
    tail: str

    def text(self) -> str:
        """Return the file."""
        return self.head + "".join(self.blocks.values()) + self.tail


def split_sections(text: str, key: str) -> Sections | None:
    """Split a file at the entries of one mapping.

    Args:
        text: The file.
        key: Name of the mapping, at the top level.

    Returns:
        The parts; joined they are the file again. None if there is no such mapping with entries in lines of their own.
    """
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if re.match(rf"{re.escape(key)}:\s*(#.*)?$", line)]
    if len(starts) != 1:
        return None
    first = starts[0] + 1
    end = next((number for number in range(first, len(lines)) if _ends(lines[number])), len(lines))
    while end > first and not lines[end - 1].startswith(" "):  # blank lines and comments before what follows
        end -= 1
    blocks: dict[str, str] = {}
    name = None
    for line in lines[first:end]:
        entry = _ENTRY.match(line)
        if entry:
            name = _plain(entry["name"])
            if name in blocks:
                return None
        if name is None:
            first += 1
            continue
        blocks[name] = blocks.get(name, "") + line
    return Sections("".join(lines[:first]), blocks, "".join(lines[end:]))


def _plain(name: str) -> str:
    """Return a name without its quotes: with and without, it is one entry."""
    return name[1:-1] if name[:1] in ("'", '"') else name


def _ends(line: str) -> bool:
    return not line.startswith((" ", "#", "\n", "\r"))
