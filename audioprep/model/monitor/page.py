"""`audioprep monitor`: one HTML page that needs nothing else, from a record and the bundle that wrote it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from audioprep.edge.record import last_bundle, read_record
from audioprep.errors import ModelError
from audioprep.io.bundle import Bundle, read_bundle
from audioprep.model import report
from audioprep.model.monitor.charts import HIGH, LOW, MIDDLE, course_chart, share_chart, spread_chart
from audioprep.model.monitor.drift import LITTLE_PSI, MIN_LINES, MUCH_PSI, Drift, drifts, edges
from audioprep.model.monitor.tally import SCALES, Tally, add_up

_TITLES = {
    "rms_db": "Input level",
    "loudness_lufs": "Loudness",
    "confidence": "Confidence",
    "classes": "Class mix",
    "silent": "Silence",
    "over_full_scale": "Over full scale",
    "failed": "Not readable",
}
_UNITS = {"rms_db": "dBFS", "loudness_lufs": "LUFS", "confidence": ""}
_AXES = {
    "rms_db": "RMS before any gain, dBFS",
    "loudness_lufs": "integrated loudness before any gain, LUFS",
    "confidence": "probability of the likeliest class",
}
_UNKNOWN = "–"  # noqa: RUF001 - a dash for eyes
# What a shift may come from.
_CAUSES = {
    "rms_db": "another microphone, gain or distance than in training",
    "loudness_lufs": "another microphone, gain or distance than in training",
    "confidence": (
        "less sure: sounds, noise or rooms that training lacks; surer: sounds that it was trained on, or a few easy ones"
    ),
    "classes": "sounds in other numbers than in the corpus, or one class that takes what the network does not know",
    "silent": "a microphone that hears little, or is off",
    "over_full_scale": "a gain that is too high, if there is more of it: clipped sound is another sound",
    "failed": "files that cannot be read, see the reasons below",
}
# Of many classes these are shown, which differ most.
_MAX_CLASSES = 20


def monitor(log: Path, folder: Path | None, out: Path) -> list[str]:
    """Write the page, and return the verdict on each aspect, a line each.

    Args:
        log: What `classify.py --log` wrote.
        folder: The bundle; None is the one of this project whose hash the last line has.
        out: The HTML file.

    Raises:
        ModelError: There is no log, or it is of another bundle, or the bundle does not say what it was trained on.
    """
    lines = read_record(log)
    bundle = read_bundle(folder) if folder else _of_project(log)
    facts = bundle.about.get("training_facts")
    if facts is None:
        raise ModelError(f"{bundle.folder}: expected a bundle with training_facts, got an older one; export it again")
    wanted = {name: edges(facts[name]) for name in SCALES if name in facts}
    heard, bundles = add_up(lines, bundle.id, wanted, float(bundle.about["audio"]["window_s"]))
    _check(log, bundle, heard, bundles)
    if out.resolve() == log.resolve():
        raise ModelError(f"{out}: expected a file for the page, got the log itself; name another one")
    found = drifts(heard, facts)
    out.write_text(_page(log, bundle, facts, heard, found), encoding="utf-8")
    return [f"{title}: {_verdict_text(found[name])}" for name, title in _TITLES.items()]


def _of_project(log: Path) -> Bundle:
    """Return the bundle of this project that wrote the last line of a log."""
    wanted = last_bundle(log)
    if wanted is None:
        raise _no_log(log)
    for path in sorted(Path("models").glob("*/bundle/bundle.json")):
        with suppress(ModelError):  # an older one
            bundle = read_bundle(path.parent)
            if bundle.id == wanted:
                return bundle
    raise ModelError(
        f"{log}: expected bundle {wanted}, which wrote it, in models/*/bundle, found none; say where it is: --bundle DIR"
    )


def _check(log: Path, bundle: Bundle, heard: Tally, bundles: dict[str, int]) -> None:
    if heard.num_lines:
        return
    if not bundles:
        raise _no_log(log)
    others = ", ".join(f"{name} ({count:,})" for name, count in sorted(bundles.items()))
    raise ModelError(
        f"{log}: expected lines of bundle {bundle.id} in {bundle.folder}, got those of {others}; give the bundle that wrote it"
    )


def _no_log(log: Path) -> ModelError:
    found = "something else" if log.stat().st_size else "an empty file"
    return ModelError(
        f"{log}: expected a log of predictions, got {found}; write one: audioprep predict FILES --log FILE"
    )


def _page(log: Path, bundle: Bundle, facts: dict[str, Any], heard: Tally, found: dict[str, Drift]) -> str:
    folders = [Path(__file__).parent, Path(report.__file__).parent]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    classes, num_more = _classes(heard, facts)
    return environment.get_template("monitor.html.j2").render(
        log=log.name,
        about=bundle.about,
        bundle_id=bundle.id,
        facts=facts,
        heard=heard,
        when=_when(heard.first_s, heard.last_s),
        aspects=[_aspect(name, found[name], heard, facts) for name in _TITLES],
        courses=_courses(heard, facts),
        class_chart=share_chart(classes, title="Share of each class"),
        num_more_classes=num_more,
        causes=_CAUSES,
        problems=heard.problems.most_common(),
        little=LITTLE_PSI,
        much=MUCH_PSI,
        min_lines=MIN_LINES,
    )


def _aspect(name: str, found: Drift, heard: Tally, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says of an aspect: its verdict, and what is usual now and in training."""
    now, usual = _UNKNOWN, _UNKNOWN
    if name in SCALES:
        counts, scale = heard.counts[name], SCALES[name]
        if any(counts):
            now = _usual(name, [scale.quantile(counts, share) for share in (LOW, MIDDLE, HIGH)])
        if name in facts:
            usual = _usual(name, [facts[name]["deciles"][number] for number in (1, 5, 9)])
    elif name == "classes":
        counted = [(label, count) for label, count in heard.labels.most_common(1) if count]
        now = "".join(f"most often {label}, {count / heard.num_labels:.0%}" for label, count in counted) or _UNKNOWN
        label, share = max(facts["class_shares"].items(), key=lambda item: item[1])
        usual = f"{label}, {share:.0%}" if share > min(facts["class_shares"].values()) else f"each {share:.0%}"
    else:
        count, total = {
            "silent": (heard.num_silent, heard.num_lines),
            "failed": (heard.num_failed, heard.num_lines),
            "over_full_scale": (heard.num_over, heard.num_peaks),
        }[name]
        now = f"{count / total:.1%} of {total:,}" if total else _UNKNOWN
        usual = f"{facts[name]:.1%}" if name in facts else "none" if name == "failed" else _UNKNOWN
    return {"name": name, "title": _TITLES[name], "drift": found, "now": now, "usual": usual}


def _usual(name: str, values: Sequence[float]) -> str:
    low, middle, high = (f"{value:.0%}" if name == "confidence" else f"{value:.1f}" for value in values)
    return f"{middle} {_UNITS[name]}".strip().replace("-", "−") + f" ({low} to {high})".replace("-", "−")  # noqa: RUF001 - a minus for eyes


def _courses(heard: Tally, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the charts of what is measured: over time, and as a distribution."""
    stretches = heard.timeline.stretches()
    courses = []
    for name, scale in SCALES.items():
        title, deciles = _TITLES[name], facts[name]["deciles"] if name in facts else None
        courses.append(
            {
                "name": name,
                "title": title,
                "axis": _AXES[name],
                "course": course_chart(
                    stretches,
                    heard.timeline.width_s,
                    name,
                    scale,
                    deciles,
                    title=f"{title} over time",
                    is_share=name == "confidence",
                ),
                "spread": spread_chart(
                    heard.counts[name], scale, deciles, x_label=_AXES[name], title=f"Distribution: {title}"
                ),
                "is_known": deciles is not None,
            }
        )
    return courses


def _classes(heard: Tally, facts: dict[str, Any]) -> tuple[list[tuple[str, float, float]], int]:
    """Return the shares of the classes that differ most, the most frequent first, and how many more there are."""
    total = heard.num_labels
    if not total:
        return [], 0
    rows = [(label, heard.labels[label] / total, share) for label, share in facts["class_shares"].items()]
    furthest = sorted(rows, key=lambda row: -abs(row[1] - row[2]))[:_MAX_CLASSES]
    return sorted(furthest, key=lambda row: (-row[1], -row[2], row[0])), len(rows) - len(furthest)


def _when(first_s: float, last_s: float) -> str:
    first, last = (datetime.fromtimestamp(time_s, UTC) for time_s in (first_s, last_s))
    start, stop = (f"{moment.day} {moment:%b %Y, %H:%M}" for moment in (first, last))
    end = "" if start == stop else f" to {last:%H:%M}" if first.date() == last.date() else f" to {stop}"
    return f"{start}{end} UTC"


def _verdict_text(found: Drift) -> str:
    if found.verdict == "not compared":
        return found.verdict
    psi = "" if found.psi is None else f"PSI {found.psi:.2f}, "
    return f"{found.verdict} ({psi}{_counted(found.num_lines, 'line')} against {_counted(found.num_expected, 'clip')})"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
