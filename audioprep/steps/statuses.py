"""What became of every declared clip: copies are marked, and what cannot be used is counted.

Column by column: a corpus has millions of clips.
"""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.config.data import SOFT_STATUSES
from audioprep.console import say
from audioprep.errors import DatasetError, summarise


def mark_duplicates(status: pa.Table, samples: pa.Table) -> pa.Table:
    """Return the statuses by id, with every clip marked whose decoded samples equal those of a clip with a smaller id.

    Silence equals nothing: what is not `ok` stays as it is.

    Args:
        status: `io.tables.STATUS`, a row a declared clip.
        samples: Columns id and pcm_sha256 of every recording.
    """
    samples = samples.select(["id", "pcm_sha256"]).sort_by("id")
    ids = samples["id"].combine_chunks()
    # Numbered in the order in which they come, which is that of the ids: each number's first clip has the smallest.
    numbers = samples["pcm_sha256"].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.unique(numbers, return_index=True)[1][numbers]
    copies = np.flatnonzero(first < np.arange(len(first)))
    status = status.sort_by("id")
    place = pc.index_in(status["id"], value_set=ids.take(pa.array(copies)))
    is_copy = pc.and_(pc.is_valid(place), pc.equal(status["status"], "ok"))
    originals = ids.take(pa.array(first[copies])).take(place.combine_chunks())
    said = {
        "status": pa.scalar("duplicate"),
        "reason": pc.binary_join_element_wise("same samples as", originals, " "),
    }
    columns = [
        pc.if_else(is_copy, said[name], status[name]) if name in said else status[name] for name in status.column_names
    ]
    return pa.table(columns, schema=status.schema).combine_chunks()


def check_usable(dataset: str, status: pa.Table, max_bad_fraction: float, listing: Path, *, is_partial: bool) -> None:
    """Say how many clips there are of each status, and refuse too many that cannot be used.

    Args:
        dataset: The corpus, for messages.
        status: `io.tables.STATUS`, a row a declared clip.
        max_bad_fraction: How many are borne.
        listing: Where all of them are listed if there are too many.
        is_partial: Nobody can get all of the corpus any more: what is missing is coverage, which is said, and no failure.

    Raises:
        DatasetError: More than `max_bad_fraction` are unusable, or all are.
    """
    found = pc.value_counts(status["status"].combine_chunks())
    counts = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
    say(f"{dataset}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    borne = ["ok", *SOFT_STATUSES, *(["missing"] if is_partial else [])]
    if is_partial:
        here = len(status) - counts.get("missing", 0)
        say(f"{dataset}: {here} of {len(status)} requested clips were obtained, {here / len(status):.1%}")
    bad = status.filter(pc.invert(pc.is_in(status["status"], value_set=pa.array(borne))))
    usable = sum(counts.get(name, 0) for name in ("ok", *SOFT_STATUSES))
    if len(bad) <= max_bad_fraction * len(status) and usable:
        return
    rows = bad.to_pylist()
    listing.parent.mkdir(parents=True, exist_ok=True)
    with listing.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "member", "status", "reason"))
        writer.writerows((row["id"], row["member"], row["status"], row["reason"]) for row in rows)
    failures = [f"{row['member']} ({row['status']}: {row['reason']})" for row in rows]
    # Of none at all no fraction can be borne.
    remedy = "the files, or raise resample.max_bad_fraction" if usable else "the files, or the names in the metadata"
    raise DatasetError(
        summarise(
            f"{dataset}: expected at most {max_bad_fraction:g} of {len(status)} files unusable",
            failures,
            f"the full list is in {listing}; mend {remedy}",
        )
    )
