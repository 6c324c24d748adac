"""The corpora as lhotse sees them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from audioprep.errors import ShardError
from audioprep.io.layout import Layout
from audioprep.io.window_cuts import spans, window_id

if TYPE_CHECKING:
    from lhotse import CutSet, MonoCut


class Windows:
    """Cuts, of which those of several windows come as one for each, read lazily."""

    def __init__(self, cuts: "Iterable[MonoCut]") -> None:
        """Take cuts as the trim stage decided them."""
        self._cuts = cuts

    def __iter__(self) -> "Iterator[MonoCut]":
        """Yield every window."""
        for cut in self._cuts:
            if "num_windows" not in cut.custom:
                yield cut
                continue
            for number, (offset_s, duration_s) in enumerate(spans(cut.duration, cut.custom)):
                own = {"id": window_id(cut.id, number), "duration": duration_s}
                supervisions = [replace(one, **own) for one in cut.supervisions]
                yield replace(cut, **own, start=cut.start + offset_s, supervisions=supervisions)


def open_cuts(layout: Layout, *, used_only: bool = True) -> "CutSet":
    """Return the decided cuts of a corpus joined with their audio, read lazily.

    Each cut starts and ends where the trim stage decided; a recording of several windows is as many cuts; `cut.custom` holds gain_db, pad, window_s, group, splits,
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
    cuts = CutSet(Windows(CutSet.from_shar(fields=fields)))
    return cuts.filter(lambda cut: cut.custom["used"]) if used_only else cuts
