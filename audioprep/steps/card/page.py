"""Stage card: describe a corpus for people, in numbers, tables and pictures.

Reads    raw/, audio/facts.parquet and status.parquet, cuts/_used.parquet, splits/
Writes   card.md                 the dataset card, which GitHub and the Hugging Face Hub can show
         card/*.svg              its pictures
         card/classes.csv        clips and hours of every class
         card/attribution.csv    whom to name for each clip, where that is published
         card/summary.json       the numbers, also for the report
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.engine import checked_file, fresh_folder, write_atomically
from audioprep.errors import ShardError
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_about, read_ledger
from audioprep.io.tables import read_table
from audioprep.steps.card.licenses import front_matter, license_counts, write_attribution
from audioprep.steps.card.summary import count_values, summarise_clips, summarise_split
from audioprep.steps.splits.clips import NO_GROUPS, read_clips

_TEMPLATE = "card.md.j2"
_MAX_ROWS, _MAX_CLASSES, _MAX_OF_SORT, _MAX_EXAMPLES, _MAX_IDS = 20, 50, 5, 3, 5
_ABOUT = ("title", "variant", "about", "is_multi_label", "license", "homepage", "cite", "notice", "defects")
_ORIGINS = {"generated": "synthesised", "user-placed": "placed by the user", "folder": "a folder of the user"}
_KIB = 1024
# What means something in Markdown or HTML, wherever it stands; an underscore only at the edge of a word.
_SPECIAL = re.compile(r"[\\`*\[\]<>|#~$&]|(?<![^\W_])_|_(?![^\W_])")


def card(layout: Layout) -> None:
    """Write the dataset card of a corpus.

    Args:
        layout: Where the corpus lies.

    Raises:
        ShardError: A stage before this one has not run.
    """
    audit = _read_audit(layout)
    declared = read_table(layout.raw / "clips.parquet", ["id", "group", "attributes"])
    summary = _summary(layout, audit, declared["attributes"])
    folder = fresh_folder(layout.data / "card")
    has_attribution = write_attribution(folder / "attribution.csv", declared, summary["license"])
    _write_classes(folder / "classes.csv", summary["classes"])
    _draw(folder, summary)
    write_atomically(layout.data / "card.md", _markdown(summary, audit, has_attribution=has_attribution))
    write_atomically(folder / "summary.json", json.dumps(summary, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _summary(layout: Layout, audit: dict[str, Any], attributes: pa.ChunkedArray) -> dict[str, Any]:
    about, ledger = read_about(layout), read_ledger(layout)
    clips = read_clips(layout, measured=True)
    status = read_table(checked_file(layout.audio, "status.parquet"))
    containers = count_values(read_table(checked_file(layout.audio, "facts.parquet"), ["container"])["container"])
    roles = summarise_split(clips, read_table(layout.splits / f"{audit['split']}.parquet"))
    summary = summarise_clips(clips)
    for row in summary["statuses"]:
        row["examples"] = [] if row["status"] == "ok" else _examples(status, row["status"])
    return {
        "dataset": layout.dataset,
        **{key: about[key] for key in _ABOUT},
        # A folder of the user's has a name of its own, the recipe's title is that of all such folders.
        "title": about["title"] if layout.dataset == about["recipe"] else f"{layout.dataset}: {about['title']}",
        **summary,
        "coverage": (summary["counts"]["declared"] - summary["counts"]["missing"])
        / max(summary["counts"]["declared"], about["num_clips"] or 0),
        "published_clips": about["num_clips"],
        "containers": [{"container": name, "clips": count} for name, count in containers],
        "licenses": license_counts(attributes, about["license"]),
        "sources": _sources(ledger["sources"]),
        "split": {
            "name": audit["split"],
            "about": _about_split(audit),
            "num_folds": len({row["fold"] for row in roles}),
            "roles": roles,
        },
    }


def _read_audit(layout: Layout) -> dict[str, Any]:
    path = layout.splits / "audit.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ShardError(f"{path}: expected the audit of a split, got none; run the split stage") from None


def _about_split(audit: dict[str, Any]) -> list[str]:
    """Return what is to be said of a split, everything once."""
    notes, valid = audit.get("notes", []), audit.get("valid", "")
    is_said = not valid or any(valid in note for note in notes)
    return [line for line in (audit.get("about", ""), "" if is_said else f"valid: {valid}", *notes) if line]


def _examples(status: pa.Table, name: str) -> list[dict[str, str]]:
    rows = status.filter(pc.equal(status["status"], name)).slice(0, _MAX_EXAMPLES)
    return list(rows.select(["member", "reason"]).to_pylist())


def _sources(sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every file that the corpus was read from; a folder is one without a name of its own."""
    return [
        {
            "name": file.get("name", "a folder"),
            "bytes": file.get("bytes"),
            "sha256": file.get("sha256", ""),
            "verified": _verified(source),
            "origin": _ORIGINS.get(source["origin"], source["origin"]),
        }
        for source in sources
        for file in source["files"] or [{}]
    ]


def _verified(source: dict[str, Any]) -> str:
    if source["verified"]:
        return "its published hash"
    if source["published"]:
        return "nothing: it is not the published archive"
    return "nothing; each file's sha256 is in facts.parquet" if not source["files"] else "nothing: no hash is published"


def _write_classes(path: Path, classes: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["label", "clips", "hours"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(classes)


def _draw(folder: Path, summary: dict[str, Any]) -> None:
    # Imported here: half a second that only a picture needs.
    from audioprep.steps.card.pictures import draw_classes, draw_histogram

    draw_classes(folder / "classes.svg", summary["classes"])
    if durations := summary["durations"]:
        draw_histogram(folder / "durations.svg", durations["edges_s"], durations["clips"], "duration, s")
    if loudness := summary["loudness"]:
        draw_histogram(folder / "loudness.svg", loudness["edges_lufs"], loudness["clips"], "integrated loudness, LUFS")


def _markdown(summary: dict[str, Any], audit: dict[str, Any], *, has_attribution: bool) -> str:
    findings = audit.get("findings", [])
    leaks = [row for row in audit.get("counts", []) if row["severity"] == "leak"]
    return (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            summary=summary,
            audit=audit,
            front=_front(summary),
            has_attribution=has_attribution,
            has_groups=not any(note.startswith(NO_GROUPS) for note in audit.get("notes", [])),
            num_new_leaks=sum(row["num_findings"] for row in leaks if not row["known"]),
            num_known_leaks=sum(row["num_findings"] for row in leaks if row["known"]),
            new_findings=_first([found for found in findings if not found["known"]]),
            known_findings=_first([found for found in findings if found["known"]]),
            max_rows=_MAX_ROWS,
            max_classes=_MAX_CLASSES,
        )
    )


def _first(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first few findings of each sort, so that no sort hides the others."""
    seen: Counter[tuple[str, ...]] = Counter()
    first = []
    for found in findings:
        sort = (found["severity"], found["kind"], found["scope"])
        seen[sort] += 1
        if seen[sort] <= _MAX_OF_SORT:
            first.append(found)
    return first


def _front(summary: dict[str, Any]) -> dict[str, Any]:
    licenses = [row["license"] for row in summary["licenses"]] or [summary["license"]]
    return {
        "pretty_name": summary["title"],
        **front_matter(licenses),
        "task_categories": ["audio-classification"],
        "size_categories": [size_category(summary["counts"]["used"])],
    }


def size_category(num_clips: int) -> str:
    """Return how many clips there are, in the words of the Hugging Face Hub."""
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    if num_clips < 1000:
        return "n<1K"
    power = len(str(num_clips)) - 4
    return f"{bounds[power]}<n<{bounds[power + 1]}"


def _environment() -> jinja2.Environment:
    # Markdown, not HTML: the filters escape what it gives a meaning to.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "text": _text,
        "code": _code,
        "link": lambda text: f"<{text}>" if text.startswith("http") else _text(text),
        "count": lambda number: f"{number:,}",
        "size": _size,
        "span": lambda hours: f"{hours:,.2f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes",
        "seconds": lambda seconds: f"{seconds:.4g} s",
        "words": lambda name: name.replace("_", " "),
        "clips": _clips,
        "rates": lambda rows: _counted([(f"{row['rate_hz']:,} Hz", row["clips"]) for row in rows]),
        "containers": lambda rows: _counted([(_text(row["container"]), row["clips"]) for row in rows]),
    }
    return environment


def _text(text: str) -> str:
    """Return text as one line of Markdown that shows just that text."""
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", " ".join(str(text).split()))


def _code(text: str) -> str:
    """Return a name in fixed width, also where it stands in a table."""
    plain = " ".join(str(text).split()).replace("|", r"\|")
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return ""
    power = min(max(num_bytes.bit_length() - 1, 0) // 10, 4)
    number = num_bytes / _KIB**power
    return f"{number:,.0f} bytes" if not power else f"{number:,.1f} {('KiB', 'MiB', 'GiB', 'TiB')[power - 1]}"


def _clips(found: dict[str, Any]) -> str:
    """Return the clips of a finding, as it goes on after what was found."""
    ids = found.get("ids", [])[:_MAX_IDS]
    num_more = found.get("num_ids", len(ids)) - len(ids)
    more = f" and {num_more:,} more" if num_more else ""
    return f": {', '.join(map(_code, ids))}{more}" if ids else ""


def _counted(pairs: Sequence[tuple[str, int]]) -> str:
    """Return what there is, with how often where there is more than one."""
    if len(pairs) == 1:
        return pairs[0][0]
    said = [f"{name} ({count:,})" for name, count in pairs[:_MAX_IDS]]
    more = [f"and {len(pairs) - _MAX_IDS} more"] if len(pairs) > _MAX_IDS else []
    return ", ".join([*said, *more])
