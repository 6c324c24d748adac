"""The corpora as lhotse sees them."""

from typing import TYPE_CHECKING

from audioprep.errors import ShardError
from audioprep.io.layout import Layout

if TYPE_CHECKING:
    from lhotse import CutSet


def open_cuts(layout: Layout, *, used_only: bool = True) -> "CutSet":
    """Return the decided cuts of a corpus joined with their audio, read lazily.

    Each cut starts and ends where the trim stage decided; `cut.custom` holds gain_db, pad, window_s, group, splits,
    attributes, status and used, and its supervision the labels.

    Args:
        layout: Where the corpus lies.
        used_only: Leave out the cuts that the trim stage left out.

    Raises:
        ShardError: The corpus has no cuts yet.
    """
    # Imported here: lhotse imports torch, which costs seconds, and no stage needs either.
    from lhotse import CutSet

    fields = {
        "cuts": sorted(str(path) for path in layout.cuts.glob("cuts.*.jsonl")),
        "recording": sorted(str(path) for path in layout.shar.glob("recording.*.tar")),
    }
    if not fields["cuts"]:
        raise ShardError(f"{layout.cuts}: expected cuts, found none; run the trim stage")
    cuts = CutSet.from_shar(fields=fields)
    return cuts.filter(lambda cut: cut.custom["used"]) if used_only else cuts
