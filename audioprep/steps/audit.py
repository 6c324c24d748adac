"""The audit: what would make a test score untrue. Shared groups, identical files, identical audio, missing classes."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

ROLES = ("train", "valid", "test")


def audit_split(
    dataset: str,
    split: str,
    clips: list[dict[str, Any]],
    roles: dict[str, list[str]],
    facts: list[dict[str, Any]],
    known_leaks: dict[str, str],
) -> dict[str, Any]:
    """Return everything that is suspicious about a split, as plain values.

    Args:
        dataset: The corpus.
        split: The split's name.
        clips: `id`, `labels` and `group` of every used clip.
        roles: Role of every used clip in every fold.
        facts: `id`, `file_sha256` and `pcm_sha256` of every decodable recording, used or not.
        known_leaks: Groups that the published split is known to divide, with why.

    Returns:
        `folds` (clips per role), `findings` (kind, scope, known, what, ids), and counts. Scope `across` is a leak between
        train, valid and test; `inside` is not; `left_out` concerns clips of which all but one are left out anyway.
    """
    role_of = {clip["id"]: tuple(roles[column][number] for column in roles) for number, clip in enumerate(clips)}
    by_group = _buckets((clip["group"], clip["id"]) for clip in clips)
    by_file = _buckets((fact["file_sha256"], fact["id"]) for fact in facts)
    by_pcm = _buckets((fact["pcm_sha256"], fact["id"]) for fact in facts)
    findings = []
    for group, ids in by_group.items():
        if _scope(ids, role_of) == "across":
            why = known_leaks.get(group, "")
            findings.append(_finding("shared_group", f"group {group}", ids, role_of, known=why))
    for sha256, ids in by_file.items():
        findings.append(_finding("identical_file", f"sha256 {sha256[:16]}", ids, role_of))
    same_file = {tuple(ids) for ids in by_file.values()}
    for sha256, ids in by_pcm.items():
        if tuple(ids) not in same_file:
            findings.append(_finding("identical_audio", f"samples {sha256[:16]}", ids, role_of))
    findings += _missing_classes(clips, roles)
    findings.sort(key=lambda found: (found["kind"], found["ids"], found["what"]))
    return {
        "dataset": dataset,
        "split": split,
        "num_clips": len(clips),
        "num_groups": len({clip["group"] for clip in clips}),
        "num_classes": len({label for clip in clips for label in clip["labels"]}),
        "folds": {column: dict(sorted(Counter(values).items())) for column, values in roles.items()},
        "findings": findings,
    }


def leaks_message(audit: dict[str, Any]) -> str:
    """Return one line on leaks that the recipe does not declare, or nothing."""
    leaks = [found for found in audit["findings"] if found["scope"] == "across" and not found["known"]]
    if not leaks:
        return ""
    first = "; ".join(f"{found['kind']} {found['what']}: {', '.join(found['ids'][:3])}" for found in leaks[:5])
    more = f"; and {len(leaks) - 5} more" if len(leaks) > 5 else ""
    return (
        f"{audit['dataset']}/{audit['split']}: expected train, valid and test without anything in common, got "
        f"{len(leaks)} leaks: {first}{more}; use a grouped split, take the clips out, or set split.on_leak: warn"
    )


def to_markdown(audit: dict[str, Any]) -> str:
    """Return the audit as a page for people."""
    columns = [role for role in (*ROLES, "unused") if any(role in counts for counts in audit["folds"].values())]
    lines = [
        f"# Audit of {audit['dataset']}/{audit['split']}",
        "",
        f"{audit['num_clips']} clips, {audit['num_groups']} groups, {audit['num_classes']} classes.",
        "",
        "| tested | " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for fold, counts in audit["folds"].items():
        lines.append(f"| {fold} | " + " | ".join(str(counts.get(role, 0)) for role in columns) + " |")
    lines += ["", "## Findings", ""]
    if not audit["findings"]:
        lines.append("None.")
    for found in audit["findings"]:
        known = f" Known: {found['known']}." if found["known"] else ""
        lines.append(f"- **{found['scope']}** {found['kind']}, {found['what']}: {', '.join(found['ids'])}.{known}")
    return "\n".join(lines) + "\n"


def summary_lines(audit: dict[str, Any]) -> list[str]:
    """Return the audit in a few lines for a terminal."""
    kinds = Counter((found["scope"], found["kind"], bool(found["known"])) for found in audit["findings"])
    head = f"{audit['dataset']}/{audit['split']}: {audit['num_clips']} clips, {audit['num_groups']} groups"
    if not kinds:
        return [f"{head}; nothing found"]
    return [head] + [
        f"  {count} {kind.replace('_', ' ')} {scope.replace('_', ' ')}{' (known, declared by the recipe)' if known else ''}"
        for (scope, kind, known), count in sorted(kinds.items())
    ]


def _buckets(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the ids that share a key, for keys with more than one, all sorted."""
    buckets: dict[str, list[str]] = defaultdict(list)
    for key, clip_id in pairs:
        buckets[key].append(clip_id)
    return {key: sorted(ids) for key, ids in sorted(buckets.items()) if len(ids) > 1}


def _scope(ids: list[str], role_of: dict[str, tuple[str, ...]]) -> str:
    used = [role_of[clip_id] for clip_id in ids if clip_id in role_of]
    if len(used) < 2:
        return "left_out"
    for roles in zip(*used, strict=True):
        if len(set(roles) & set(ROLES)) > 1:
            return "across"
    return "inside"


def _finding(
    kind: str, what: str, ids: list[str], role_of: dict[str, tuple[str, ...]], known: str = ""
) -> dict[str, Any]:
    return {"kind": kind, "what": what, "ids": ids, "scope": _scope(ids, role_of), "known": known}


def _missing_classes(clips: list[dict[str, Any]], roles: dict[str, list[str]]) -> list[dict[str, Any]]:
    classes = {label for clip in clips for label in clip["labels"]}
    findings = []
    for column, values in roles.items():
        for role in ROLES:
            held = {
                label for clip, value in zip(clips, values, strict=True) if value == role for label in clip["labels"]
            }
            if held and held != classes:
                what = f"{column} {role} lacks {', '.join(sorted(classes - held))}"
                findings.append({"kind": "missing_class", "what": what, "ids": [], "scope": "inside", "known": ""})
    return findings
