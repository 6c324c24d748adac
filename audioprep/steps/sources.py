"""Where a corpus is read from: a folder, archives that the user placed, or published ones that are fetched."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audioprep.config.data import RecipeRule
from audioprep.console import say
from audioprep.datasets.recipe import Archive, Recipe, Variant
from audioprep.errors import FetchError
from audioprep.io.fetch import Wanted, fetch, verify

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def find_sources(recipe: Recipe, variant: Variant, rule: RecipeRule, store: Path) -> list[dict[str, Any]]:
    """Return where the corpus is read from, as entries of the ledger; what can be fetched is fetched.

    Args:
        recipe: The corpus.
        variant: Its variant, which may not need every archive.
        rule: The folder or the user-placed archive, if there is one.
        store: Folder of the corpus's archives.

    Returns:
        For each source: `files` (name, bytes, sha256; empty for a folder), `in_root` (in the user's folder, otherwise in
        the store), `folder` (where its files lie in the corpus), `origin`, `published` (a hash of it is), `verified` (it
        has that hash) and `sha256` of the whole.

    Raises:
        FetchError: Something cannot be had, or is not what it should be.
    """
    published = archives_of(recipe, variant)
    if rule.root:
        root = Path(rule.root).expanduser()
        metadata = [archive for archive in published if archive.is_metadata]
        beside = [archive for archive in metadata if not (root / (archive.unpacked or archive.name)).exists()]
        return [*_in_root(recipe, root), *_published(recipe, beside, store)]
    if not published:
        raise FetchError(f"{recipe.name}: expected a folder, got none; give it with --root PATH")
    if rule.archive:
        own = next(archive for archive in published if not archive.is_metadata)
        others = [archive for archive in published if archive is not own]
        return [_user_placed(recipe, own, store / rule.archive), *_published(recipe, others, store)]
    return _published(recipe, published, store)


def archives_of(recipe: Recipe, variant: Variant) -> list[Archive]:
    """Return the archives that a variant needs."""
    return [archive for archive in recipe.archives if not archive.variants or variant.name in archive.variants]


def files_of(archive: Archive, store: Path) -> list[Archive]:
    """Return the files of an archive: its pieces, or itself where it has none or the user has joined them."""
    if not archive.pieces:
        return [archive]
    joined = store / archive.name
    others = [piece for piece in archive.pieces if piece.name != archive.name]
    if joined.exists() and not any((store / piece.name).exists() for piece in others):
        last = archive.pieces[-1]
        if last.name != archive.name or not is_published(last, joined):
            return [replace(archive, pieces=())]
    return list(archive.pieces)


def _in_root(recipe: Recipe, root: Path) -> list[dict[str, Any]]:
    if not root.is_dir():
        raise FetchError(f"{root}: expected a folder, found none; give the folder with the recordings with --root PATH")
    sources = [_source(origin="folder", in_root=True)]
    folder_of = {archive.name: archive.folder for archive in recipe.archives}
    packed = sorted(path for path in root.iterdir() if path.name.endswith(ARCHIVE_SUFFIXES)) if recipe.archives else []
    for path in packed:
        files = [_file(path, verify(Wanted(path)))]
        sources.append(_source(files, origin="folder", in_root=True, folder=folder_of.get(path.name, "")))
    return sources


def _published(recipe: Recipe, archives: Sequence[Archive], store: Path) -> list[dict[str, Any]]:
    store.mkdir(parents=True, exist_ok=True)
    files = {archive.name: files_of(archive, store) for archive in archives}
    for archive in archives:
        if archive.make is not None:
            archive.make(store / archive.name)  # anew: one that is there may be of an earlier version of the synthesis
    every = [file for archive in archives for file in files[archive.name]]
    missing = [file for file in every if not (store / file.name).exists()]
    closed = [file for file in missing if file.url is None]
    if closed:
        raise FetchError(_ask(recipe, closed, store))
    if missing:
        say(f"{recipe.name}: downloading {', '.join(file.name for file in missing[:5])}{_more(missing)}")
    fetch([_wanted(file, store) for file in missing])
    sources = []
    for archive in archives:
        entries = [_file(store / file.name, verify(_wanted(file, store))) for file in files[archive.name]]
        known = all(_hash(file) for file in files[archive.name])
        origin = (
            "generated" if archive.make else archive.url or archive.pieces[0].url if archive.pieces else archive.url
        )
        sources.append(
            _source(entries, origin=origin or "user-placed", verified=known, published=known, folder=archive.folder)
        )
    return sources


def _user_placed(recipe: Recipe, archive: Archive, path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FetchError(f"{path}: expected the user-placed archive, found none; give it again with --archive PATH")
    known = is_published(archive, path)
    sha256 = verify(Wanted(path))
    if not known:
        said = f"published {_hash(archive)[:12]}…" if _hash(archive) else "none is published"
        say(
            f"{recipe.name}: {path.name} is not the published archive (sha256 {sha256[:12]}…, {said}); it is used as it is"
        )
    published = bool(_hash(archive))
    return _source(
        [_file(path, sha256)], origin="user-placed", verified=known, published=published, folder=archive.folder
    )


def is_published(archive: Archive, path: Path) -> bool:
    """Tell whether a file has the published hash of an archive."""
    if not _hash(archive):
        return False
    try:
        verify(Wanted(path, sha256=archive.sha256, md5=archive.md5))
    except FetchError:
        return False
    return True


def _source(
    files: Sequence[dict[str, Any]] = (),
    *,
    origin: str,
    in_root: bool = False,
    verified: bool = False,
    published: bool = False,
    folder: str = "",
) -> dict[str, Any]:
    hashes = [file["sha256"] for file in files]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else ""
    return {
        "files": list(files),
        "folder": folder,
        "in_root": in_root,
        "origin": origin,
        "published": published,
        "sha256": whole,
        "verified": verified,
    }


def _file(path: Path, sha256: str) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256}


def _wanted(file: Archive, store: Path) -> Wanted:
    urls = () if file.url is None else (file.url, *file.mirrors)
    return Wanted(store / file.name, urls, file.num_bytes, file.sha256, file.md5)


def _ask(recipe: Recipe, closed: Sequence[Archive], store: Path) -> str:
    hashes = [f"{file.name} ({_kind(file)})" for file in closed[:5]]
    where = f"ask for them at {recipe.ask}" if recipe.ask else recipe.get
    return (
        f"{recipe.name}: expected {', '.join(hashes)}{_more(closed)} in {store}, found none; {where}, then place them there, "
        "or give their folder with --archive PATH"
    )


def _hash(file: Archive) -> str:
    """Return the published hash, or nothing."""
    return file.sha256 or file.md5 or ""


def _kind(file: Archive) -> str:
    return f"{'sha256' if file.sha256 else 'md5'} {_hash(file)}" if _hash(file) else "no hash is published"


def _more(files: Sequence[Archive]) -> str:
    return f" and {len(files) - 5} more" if len(files) > 5 else ""
