"""Under which licences the clips of a corpus are, and whom to name."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

# Attributes of clips that say whom to name, in the order of columns; the group is the uploader, artist or recording.
_CREDITS = ("attribution", "title", "artist", "uploader", "author", "composer", "album", "url", "source")
_CC_URL = re.compile(r"creativecommons\.org/licenses/([a-z+-]+)/(\d\.\d)(?:/([a-z]{2})\b)?")
_CC0_URL = re.compile(r"creativecommons\.org/publicdomain/zero/(\d\.\d)")
# What the Hugging Face Hub knows by name, of what audio is published under; anything else is `other` there.
# Source: https://huggingface.co/docs/hub/repositories-licenses
_HUB = frozenset(
    [
        "apache-2.0",
        "mit",
        "cc",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-2.5",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-2.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
        "odbl",
        "odc-by",
        "pddl",
        "unlicense",
    ]
)


def license_counts(attributes: pa.ChunkedArray, default: str) -> list[dict[str, Any]]:
    """Return the licences of single clips, the most frequent first; none where no clip has one of its own.

    Args:
        attributes: What is published about each clip, a map.
        default: Licence of the corpus, which holds for clips that have none of their own.
    """
    if "license" not in _keys(attributes):
        return []
    found = pc.value_counts(pc.fill_null(pc.map_lookup(attributes, pa.scalar("license"), "first"), default)).to_pylist()
    counts: Counter[str] = Counter()
    for row in found:
        counts[license_name(row["values"])] += row["counts"]
    return [{"license": name, "clips": counts[name]} for name in sorted(counts, key=lambda name: (-counts[name], name))]


def license_name(text: str) -> str:
    """Return the SPDX-like name of a Creative Commons licence that is given by its address; other text as it is."""
    if match := _CC0_URL.search(text):
        return f"CC0-{match[1]}"
    if match := _CC_URL.search(text):
        return "-".join(["CC", *(part.upper() for part in match.groups() if part)])
    return text


def front_matter(licenses: Iterable[str]) -> dict[str, Any]:
    """Return what a card says of licences in the words of the Hugging Face Hub.

    Args:
        licenses: Of the corpus, or of its clips where they have their own.
    """
    names = sorted(set(filter(None, licenses)))
    known = [hub if (hub := name.lower().replace(" ", "-")) in _HUB else "other" for name in names]
    if not names:
        return {}
    if known == ["other"]:
        return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", names[0].lower()).strip("-")}
    return {"license": known[0] if len(known) == 1 else sorted(set(known))}


def write_attribution(path: Path, table: pa.Table, default: str) -> bool:
    """Write whom to name for each clip, as a CSV file, where that is published; tell whether it is.

    Args:
        path: The file: id, license, group, and what else is known.
        table: Columns id, group and attributes.
        default: Licence of the corpus.
    """
    attributes = table["attributes"]
    keys = _keys(attributes)
    credited = [name for name in _CREDITS if name in keys]
    if not credited and "license" not in keys:
        return False
    licenses = pc.fill_null(pc.map_lookup(attributes, pa.scalar("license"), "first"), default)
    columns = {"id": table["id"], "license": licenses, "group": table["group"]}
    columns |= {name: pc.map_lookup(attributes, pa.scalar(name), "first") for name in credited}
    pcsv.write_csv(pa.table(columns), path)
    return True


def _keys(attributes: pa.ChunkedArray) -> set[str]:
    return {key for chunk in attributes.chunks for key in chunk.keys.unique().to_pylist()}
