"""Results that one team made and another takes: DVC's commands for it, with what has to be right around them.

What is shared are the stages' outputs, which DVC keeps by their hash on a remote, and DVC's run cache, which knows the
outputs of a stage by its inputs. What names them are files in git: dvc.lock, dvc.yaml, params.yaml and the code.
"""

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from audioprep.config.data import load_data_params
from audioprep.console import say, size_text
from audioprep.errors import DvcError, ShareError, unknown_name
from audioprep.io.sections import split_sections
from audioprep.steps.merging import install_drivers
from audioprep.steps.project import PARAMS, dvc
from audioprep.steps.sharing_objects import SharedFile, not_here, send_lost

LOCK = Path("dvc.lock")
_MAX_NAMES = 5
# What DVC says of a file that is merely not here.
_ABSENT = {"deleted", "not in cache"}


@dataclass(frozen=True)
class Remote:
    """A DVC remote."""

    name: str
    url: str

    @property
    def has_run_cache(self) -> bool:
        """Whether DVC can keep its run cache there."""
        return not self.url.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Out:
    """An output of a stage, as dvc.lock has it."""

    path: str
    num_files: int
    num_bytes: int


@dataclass(frozen=True)
class Stages:
    """The stages of some corpora.

    Attributes:
        outs: What dvc.lock holds of each stage that has run.
        never_run: The stages of which it holds nothing.
        targets: What limits a DVC command to the stages that have run; nothing where it need not be limited.
    """

    outs: Mapping[str, Sequence[Out]]
    never_run: Sequence[str]
    targets: Sequence[str]

    def summary(self) -> str:
        """Return their count and size."""
        outs = [out for stage in self.outs.values() for out in stage]
        num_files, num_bytes = sum(out.num_files for out in outs), sum(out.num_bytes for out in outs)
        return f"{len(self.outs)} stages, {num_files} files, {size_text(num_bytes)}"


def share(names: Sequence[str], remote_name: str | None) -> None:
    """Push what dvc.lock names of some corpora, and say what else others need; the current folder is the project's.

    Args:
        names: The corpora; none: all of params.yaml.
        remote_name: The remote; None: DVC's default one.

    Raises:
        ShareError: There is no remote, nothing to share, DVC failed, or something is not on the remote afterwards.
    """
    remote = _remote(remote_name)
    stages = _stages(names, ())
    install_drivers()
    _warn_of_changes(stages, "what is shared is what dvc.lock names; for what is here: dvc repro, then share again")
    if stages.never_run:
        say(f"never run, so not shared: {_some(stages.never_run)}; dvc repro makes them")
    at = ["--remote", remote.name] if remote_name else []
    # DVC's own count takes in the run cache, all of which it sends every time.
    dvc("push", *(["--run-cache"] if remote.has_run_cache else []), *at, *stages.targets, shows_output=False)
    say(f"asking {remote.name} for each file")
    sent, nowhere = send_lost(stages.outs, remote.name)
    if sent:
        say(f"sent again, as {remote.name} had lost it: {_some(sent)}")
    if nowhere:
        raise ShareError(
            f"remote {remote.name}: expected all that dvc.lock names, got no {_some(nowhere)}, and it is not "
            "here either; run audioprep share where it was made, or make it here: dvc repro"
        )
    say(f"on {remote.name} ({remote.url}): {stages.summary()}")
    if not remote.has_run_cache:
        say("a remote over HTTP holds no run cache: others get what the dvc.lock in git names, and nothing else")
    for line in _advice_on_git():
        say(line)


def restore(names: Sequence[str], wanted: Sequence[str], remote_name: str | None) -> None:
    """Fetch what dvc.lock names of some corpora and run no stage; the current folder is the project's.

    Args:
        names: The corpora; none: all of params.yaml.
        wanted: Stages such as `features` or `features@esc50-logmel`; none: all.
        remote_name: The remote; None: DVC's default one.

    Raises:
        ShareError: There is no remote, dvc.lock names nothing of it, DVC failed, or something is not on the remote.
    """
    remote = _remote(remote_name)
    stages = _stages(names, wanted)
    install_drivers()
    at = ["--remote", remote.name] if remote_name else []
    if stages.never_run:
        say(f"not in dvc.lock, so not restored: {_some(stages.never_run)}; dvc repro --pull takes or makes them")
    failure = _pull(at, stages.targets)
    try:
        on_remote, nowhere = not_here(stages.outs, remote.name)
    except ShareError as error:
        raise failure or error from None
    if failure and not nowhere:
        raise failure
    if nowhere:
        raise ShareError(_lacking_text(remote, stages, nowhere, on_remote))
    # Allowed to miss something, DVC does not say either what it could not write.
    unwritten = [out.path for outs in stages.outs.values() for out in outs if not Path(out.path).exists()]
    if unwritten:
        why = shlex.join(["dvc", "checkout", *unwritten[:_MAX_NAMES]])
        raise ShareError(f"{Path.cwd()}: expected {_some(unwritten)} after the pull, got nothing there; {why} says why")
    say(f"restored from {remote.name} ({remote.url}): {stages.summary()}; no stage was run")
    _warn_of_changes(stages, "dvc repro --pull takes from the remote what it knows of that, and makes the rest")


def _pull(at: Sequence[str], targets: Sequence[str]) -> DvcError | None:
    """Fetch what there is, and return what DVC says is wrong."""
    try:
        # Each target costs DVC as much as reading the whole project, so nothing is named where nothing narrower is asked
        # for; then it meets stages that have never run, which it must be allowed to miss.
        dvc("pull", "--allow-missing", *at, *targets)
    except DvcError as error:
        # DVC puts nothing in its place when one file fails; what there is is of use.
        with suppress(DvcError):
            dvc("checkout", "--allow-missing", *targets)
        return error
    return None


def _lacking_text(
    remote: Remote, stages: Stages, nowhere: Sequence[SharedFile], on_remote: Sequence[SharedFile]
) -> str:
    makers = [stage for stage in stages.outs if stage in {file.stage for file in nowhere}]
    rest = "the rest is restored; "
    if on_remote:
        rest = f"not fetched though it is there: {_some(on_remote)}; "
    elif len(makers) == len(stages.outs):
        rest = f"look whether {remote.url} is the place; "
    return (
        f"remote {remote.name}: expected all that dvc.lock names, got no {_some(nowhere)}; {rest}run audioprep "
        f"share where it was made, or make it here: dvc repro {shlex.join(makers)}"
    )


def _remote(name: str | None) -> Remote:
    lines = dvc("remote", "list", quiet=True).splitlines()
    # name, tab, url, and "(default)" behind one of them.
    remotes = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if len(line.split()) > 1}
    if not remotes:
        raise ShareError("remote: expected a place to share, got none; dvc remote add -d team s3://bucket/path")
    default = [remote for remote, url in remotes.items() if url.endswith("(default)")]
    if name is None and not default:
        raise ShareError(f"remote: expected a default one of {', '.join(remotes)}, got none; dvc remote default NAME")
    chosen = name or default[0]
    if chosen not in remotes:
        raise ShareError(unknown_name("remote", chosen, remotes))
    return Remote(chosen, remotes[chosen].removesuffix("(default)").strip())


def _stages(names: Sequence[str], wanted: Sequence[str]) -> Stages:
    """Find the stages of the corpora that are asked for, and what dvc.lock has of them."""
    datasets = load_data_params(PARAMS).datasets
    for name in names:
        if name not in datasets:
            raise ShareError(unknown_name("corpus in params.yaml", name, datasets))
    listed = dvc("stage", "list", "--name-only", quiet=True).split()
    kinds = {stage.split("@")[0] for stage in listed}
    for stage in wanted:
        if stage not in {*kinds, *listed}:
            raise ShareError(unknown_name("stage", stage, kinds))
    chosen = [stage for stage in listed if not names or _corpus_of(stage) in names]
    chosen = [stage for stage in chosen if not wanted or {stage, stage.split("@")[0]} & set(wanted)]
    locked = _locked_outs(chosen)
    if not locked:
        raise ShareError(
            f"{LOCK}: expected the outputs of {_some(chosen or wanted)}, got none; dvc repro makes them, dvc repro --pull "
            "takes those that the remote knows; or get the dvc.lock of who has made them (git pull)"
        )
    return Stages(
        outs=locked,
        never_run=[stage for stage in chosen if stage not in locked],
        targets=list(locked) if names or wanted else [],
    )


def _corpus_of(stage: str) -> str:
    """Return the corpus in the address of a stage, such as `features@esc50-logmel`."""
    return stage.partition("@")[2].split("-")[0]


def _locked_outs(stages: Sequence[str]) -> dict[str, list[Out]]:
    sections = split_sections(LOCK.read_text(encoding="utf-8"), "stages") if LOCK.is_file() else None
    if sections is None:
        return {}
    return {stage: _outs_of(sections.blocks[stage]) for stage in stages if stage in sections.blocks}


def _outs_of(block: str) -> list[Out]:
    """Read the outputs from a stage's part of dvc.lock; its deps are many more lines, which nobody needs here."""
    _, _, outs = block.partition("\n    outs:\n")
    rows = YAML(typ="safe").load(outs) or []
    return [Out(row["path"], row.get("nfiles", 1), row.get("size", 0)) for row in rows]


def _warn_of_changes(stages: Stages, remedy: str) -> None:
    """Say which stages are not as params.yaml, code and data are here; files that are merely absent are no change."""
    status = json.loads(dvc("status", "--json", quiet=True) or "{}")
    changed = {stage: list(_changes(entries)) for stage, entries in status.items() if stage in stages.outs}
    said = [f"{stage} ({_some(changes, 3)})" for stage, changes in changed.items() if changes]
    if said:
        say(f"not up to date: {_some(said)}, and what follows from them; {remedy}")


def _changes(entries: Sequence[Any]) -> Iterator[str]:
    for entry in entries:
        if not isinstance(entry, dict):  # "changed command"
            yield str(entry)
            continue
        for change in entry.values():
            for path, what in change.items():
                if isinstance(what, dict):
                    yield from (f"{path}: {key}" for key in what)
                elif what not in _ABSENT:
                    yield path


def _advice_on_git() -> Iterator[str]:
    """Say what stands between this machine and another one that wants to restore."""
    changed = _git("status", "--porcelain")
    if changed is None:
        yield "git: this folder is in no repository; others need its dvc.lock, dvc.yaml, params.yaml and code as they are here"
        return
    files = [line[3:] for line in changed.splitlines()]
    if files:
        yield f"git: others need what is not committed: {_some(files)}; git add --all && git commit"
    if not _git("remote"):
        yield "git: others need this repository, which is on no server: git remote add origin URL && git push -u origin HEAD"
        return
    unpushed = _git("rev-list", "--count", "@{upstream}..HEAD")
    if unpushed is None:
        yield "git: others need this branch, which is on no server: git push -u origin HEAD"
    elif unpushed.strip() != "0":
        yield f"git: others need what is committed and not pushed (commits: {unpushed.strip()}): git push"
    elif not files:
        yield "git: all is pushed; elsewhere: git pull && audioprep restore"


def _git(*arguments: str) -> str | None:
    """Return what a git command that changes nothing prints, or None if it fails."""
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None


def _some(names: Sequence[object], most: int = _MAX_NAMES) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
