"""The audit in words: a page, lines for a terminal, and one line that says why a split is refused."""

from typing import Any

from audioprep.console import say, show_table
from audioprep.steps.splits.roles import ROLES

_MAX_SAID = 5
_REMEDIES = {
    "fail": "use a grouped split, take the clips out, or set split.on_leak to drop or warn",
    "drop": "use a grouped split, take the clips out, or set split.on_leak to warn: drop takes clips from train alone",
    "warn": "use a grouped split, or take the clips out",
}
_COPIES = ("identical_file", "identical_audio", "near_duplicate")
_COLUMNS = (*ROLES[1:], ROLES[0])


def new_leaks(audit: dict[str, Any]) -> int:
    """Return how many leaks there are that the split is not known to have."""
    return _num_leaks(audit, known=False)


def leaks_message(audit: dict[str, Any], on_leak: str = "fail") -> str:
    """Return one line on leaks that the split is not known to have, or nothing.

    Args:
        audit: What was found.
        on_leak: What they lead to, which decides what can be done.
    """
    num_leaks = new_leaks(audit)
    if not num_leaks:
        return ""
    leaks = [found for found in audit["findings"] if found["severity"] == "leak" and not found["known"]]
    first = "; ".join(f"{found['kind']} {found['what']}: {', '.join(found['ids'][:3])}" for found in leaks[:_MAX_SAID])
    more = f"; and {num_leaks - _MAX_SAID:,} more, see `audioprep audit`" if num_leaks > _MAX_SAID else ""
    parts = "valid and test, and train after what was dropped," if audit["dropped"] else "train, valid and test"
    return (
        f"{audit['dataset']}/{audit['split']}: expected {parts} without anything in common, got {num_leaks:,} "
        f"{'leak' if num_leaks == 1 else 'leaks'}: {first}{more}; {_REMEDIES[on_leak]}"
    )


def headline(audit: dict[str, Any]) -> str:
    """Return what was found in a few words: leaks, then copies and whatever else is a warning."""
    known = _num_leaks(audit, known=True)
    leaks = f"{new_leaks(audit) or 'no'} new leaks" + (f", {known:,} known" if known else "")
    kinds: dict[str, int] = {}
    for count in audit["counts"]:
        if count["severity"] == "warning" or count["kind"] in _COPIES:
            kinds[count["kind"]] = kinds.get(count["kind"], 0) + count["num_findings"]
    return "; ".join([leaks, *(f"{_words(kind)}: {number:,}" for kind, number in kinds.items())])


def to_markdown(audit: dict[str, Any]) -> str:
    """Return the audit as a page for people."""
    columns = _roles_of(audit)
    lines = [f"# Audit of {audit['dataset']}/{audit['split']}", ""]
    lines += [f"{_about(audit)}", ""] if _about(audit) else []
    lines += [f"{_totals(audit)}.{_basis(audit)}", ""]
    lines += [f"- {note}" for note in audit["notes"]] + [""] * bool(audit["notes"])
    lines += ["| tested | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for fold, counts in audit["folds"].items():
        lines.append(f"| {fold} | " + " | ".join(f"{counts.get(role, 0):,}" for role in columns) + " |")
    for fold, dropped in audit["dropped"].items():
        lines += ["", f"Dropped from train in {fold}: {_ids(dropped)}."]
    lines += ["", "## Findings", ""]
    if not audit["findings"]:
        lines.append("None.")
    for found in audit["findings"]:
        about = f": {_ids(found)}" if found["ids"] else ""
        labels = f" ({' | '.join(', '.join(names) for names in found['labels'])})" if "labels" in found else ""
        known = f" Known: {found['known']}." if found["known"] else ""
        scope = f"{found['severity']}, {_words(found['scope'])}"
        lines.append(f"- **{scope}**: {_words(found['kind'])}, {found['what']}{about}{labels}.{known}")
    if audit["suspects"]:
        lines += ["", "## Worth listening to", ""]
    for pair in audit["suspects"]:
        labels = " | ".join(", ".join(names) for names in pair["labels"])
        lines.append(f"- {' and '.join(pair['ids'])}: {_words(pair['kind'])}, {_words(pair['scope'])}; {labels}")
    return "\n".join(lines) + "\n"


def show(audit: dict[str, Any]) -> None:
    """Print the audit for people: the split, what was found of each kind, and the gravest findings."""
    say(f"{audit['dataset']}/{audit['split']}: {_totals(audit)}")
    for line in filter(None, (_about(audit), *audit["notes"], _basis(audit).strip())):
        say(f"  {line}")
    columns = _roles_of(audit)
    rows = [(fold, *(f"{counts.get(role, 0):,}" for role in columns)) for fold, counts in audit["folds"].items()]
    show_table("Clips", ("tested", *columns), rows)
    for fold, dropped in audit["dropped"].items():
        say(f"  dropped from train in {fold}: {_ids(dropped, 3)}")
    if not audit["counts"]:
        say("Nothing found.")
        return
    counts = [
        (
            f"{count['severity']}{', known' if count['known'] else ''}",
            _words(count["kind"]),
            _words(count["scope"]),
            f"{count['num_findings']:,}",
            f"{count['num_ids']:,}" if count["num_ids"] else "-",
        )
        for count in audit["counts"]
    ]
    show_table("Found", ("severity", "kind", "scope", "findings", "clips"), counts)
    for found in audit["findings"][:_MAX_SAID]:
        about = f": {_ids(found, 3)}" if found["ids"] else ""
        known = f" (known: {found['known']})" if found["known"] else ""
        say(f"  {found['severity']}: {_words(found['kind'])}, {found['what']}{about}{known}")
    if len(audit["findings"]) > _MAX_SAID:
        say(f"  and {len(audit['findings']) - _MAX_SAID:,} more")


def _num_leaks(audit: dict[str, Any], *, known: bool) -> int:
    leaks = (count for count in audit["counts"] if count["severity"] == "leak" and count["known"] == known)
    return sum(count["num_findings"] for count in leaks)


def _roles_of(audit: dict[str, Any]) -> list[str]:
    return [role for role in _COLUMNS if any(role in counts for counts in audit["folds"].values())]


def _totals(audit: dict[str, Any]) -> str:
    return f"{audit['num_clips']:,} clips, {audit['num_groups']:,} groups, {audit['num_classes']:,} classes"


def _about(audit: dict[str, Any]) -> str:
    valid = f"valid: {audit['valid']}" if audit["valid"] else ""
    return "; ".join(filter(None, (audit["about"], valid)))


def _basis(audit: dict[str, Any]) -> str:
    return " From the metadata alone: no audio was looked at." if audit["basis"] == "metadata" else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _ids(found: dict[str, Any], most: int = 20) -> str:
    listed = found["ids"][:most]
    more = f" and {found['num_ids'] - len(listed):,} more" if found["num_ids"] > len(listed) else ""
    return ", ".join(listed) + more
