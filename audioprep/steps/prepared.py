"""What was prepared, said at the end of the run: how much it is, and where it lies."""

import statistics
from collections.abc import Iterator, Sequence

from audioprep.console import counted
from audioprep.datasets import load_recipe
from audioprep.engine import read_index
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_about
from audioprep.io.tables import read_table
from audioprep.steps.audit import audit
from audioprep.steps.audit.report import headline
from audioprep.steps.project import PARAMS
from audioprep.steps.splits.clips import NO_GROUPS

# Recordings that are longer than the window by less than this lose nothing that matters.
_TOLERANCE_S, _TOLERANCE = 0.05, 0.01
# The window that is advised holds this share of the recordings.
_FITTING = 0.95


def prepared_lines(layout: Layout, split_name: str, kinds: Sequence[str]) -> Iterator[str]:
    """Yield what a corpus is, line by line.

    Args:
        layout: Where it lies.
        split_name: Its split.
        kinds: Its features.

    Raises:
        ShardError: A stage has not run.
    """
    audio, made = read_index(layout.audio), read_index(layout.features(kinds[0]))
    durations_s = read_table(layout.audio / "facts.parquet", ["duration_s"])["duration_s"].to_pylist()
    clips, shards = sum(shard["rows"] for shard in made["shards"]), len(made["shards"])
    window_s, hop_s = made["window_s"], read_index(layout.cuts)["rule"].get("hop_s")
    in_project = layout.data == Layout.in_project(layout.dataset).data
    yield (
        f"{layout.dataset}: {counted(clips, 'window' if hop_s else 'clip')} of {window_s:g} s in {counted(shards, 'shard')}, from "
        f"{duration_text(sum(durations_s))} of audio"
    )
    yield "  lengths   " + _lengths(durations_s, window_s, hop_s)
    if read_about(layout)["recipe"] == "folder":
        heard_s = [min(duration_s, window_s) for duration_s in durations_s] if hop_s else durations_s
        yield from _window_hint(layout.dataset, split_name, window_s, heard_s, in_project=in_project)
    yield f"  audio     {layout.audio} ({audio['rule']['rate_hz']} Hz FLAC, lhotse Shar in {layout.shar})"
    yield f"  features  {', '.join(str(layout.features(kind)) for kind in kinds)} (Parquet)"
    yield f"  split     {layout.splits / split_name}.parquet, audit in {layout.splits / 'audit.md'}"
    yield f"  card      {layout.data / 'card.md'}"
    found = audit(layout)
    yield from (f"  {note.replace(': ', '    ', 1)}" for note in found["notes"] if note.startswith(NO_GROUPS))
    where = "" if in_project else f" --data {layout.data}"
    yield f"  audit     {headline(found)}; see `audioprep audit {layout.dataset}{where}`"


def duration_text(duration_s: float) -> str:
    """Return a duration for people: `18.0 s`, `7.9 min`, `2.8 hours`."""
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    return f"{duration_s / 60:.1f} min" if duration_s < 3600 else f"{duration_s / 3600:,.1f} hours"


def _lengths(durations_s: Sequence[float], window_s: float, hop_s: float | None) -> str:
    """Return how long recordings are, and how many of them are cut."""
    shortest, median, longest = min(durations_s), statistics.median(durations_s), max(durations_s)
    if f"{shortest:.1f}" == f"{longest:.1f}":
        text = f"all {median:.1f} s"
    else:
        text = f"{shortest:.1f} to {longest:.1f} s, median {median:.1f} s"
    num_cut = 0 if hop_s else sum(duration_s > _tolerated(window_s) for duration_s in durations_s)
    return text + (f"; {num_cut} of {len(durations_s)} are longer than the window" if num_cut else "")


def _tolerated(window_s: float) -> float:
    return window_s + max(_TOLERANCE_S, _TOLERANCE * window_s)


def _window_hint(
    name: str, split: str, window_s: float, durations_s: Sequence[float], *, in_project: bool
) -> Iterator[str]:
    """Say where the recipe's window does not suit a user's recordings, of which nobody else knows how long they are."""
    median_s = statistics.median(durations_s)
    # Nearly all recordings fit into this, and one that was left running does not decide.
    fitting_s = float(f"{sorted(durations_s)[int(_FITTING * (len(durations_s) - 1))]:.2g}")
    has_chosen = window_s != load_recipe("folder").window_s
    is_long = median_s > _tolerated(window_s)
    is_short = median_s < window_s / 2 and fitting_s < window_s
    if has_chosen or fitting_s == window_s or not (is_long or is_short):
        return
    what = "longer than the window, and cut to it" if is_long else "under half the window, the rest is padding"
    rule = f"{name}: {{recipe: folder, window_s: {fitting_s:g}, split: {split}}}"
    if in_project:
        how = f"set recipes.{name}.window_s to {fitting_s:g} in params.yaml"
        how += ", or window.hop_s for windows all along them" if is_long else ""
    elif PARAMS.exists():
        how = f"put into ./params.yaml under recipes: {rule}"
    else:
        how = f"write a ./params.yaml with recipes: {{{rule}}}"
    yield f"  window    {window_s:g} s; most recordings are {what}: {how}, and run this again"
