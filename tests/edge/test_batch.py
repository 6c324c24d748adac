"""Many files at once: what cannot be used, what they are called, and where their table goes."""

import csv
import os
import threading
from pathlib import Path

import pytest
import soundfile
from bundles import tone, write_bundle

from audioprep.edge.batch import for_each, table
from audioprep.edge.classify import main
from audioprep.edge.record import Record
from audioprep.errors import AudioError, DatasetError

NO_RECORD = Record(None, "", 16000)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("batch") / "bundle")


def names_in(*paths: Path) -> list[str]:
    found: list[str] = []
    for_each(paths, lambda path: found.append(path.name), NO_RECORD)
    return found


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    for name in ("b.wav", "a/c.FLAC", "a/notes.txt", "d.wav/e.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.wav")
    assert names_in(tmp_path, tmp_path / "a/notes.txt") == ["c.FLAC", "b.wav", "e.mp3", "notes.txt"]


def test_what_is_wrong_with_a_folder_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.wav").touch()
    found: list[Path] = []

    def work(path: Path) -> None:
        found.append(path)
        raise AudioError("empty", f"{path}: the file has 0 bytes.")

    with pytest.raises(
        DatasetError, match=r"^files: expected audio, got 2 without, see above; give files that hold audio$"
    ):
        for_each([tmp_path / "empty", tmp_path / "full"], work, NO_RECORD)
    assert found == [tmp_path / "full/a.wav"]
    assert capsys.readouterr().err.splitlines() == [
        f"empty: {tmp_path}/empty: no audio files in the folder",
        f"empty: {tmp_path}/full/a.wav: the file has 0 bytes",
    ]


def test_folders_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").touch()
    real = os.scandir

    def refuse(path: str | Path) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match=r"^unreadable: .*/closed: Permission denied; give files that hold audio$"):
        names_in(tmp_path)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))


def test_names_that_are_no_text_keep_their_bytes(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9.wav"))
    soundfile.write(tmp_path / "a.wav", tone(300.0, 0.4), 44100)
    (tmp_path / "a.wav").rename(name)
    main(["--model", str(bundle), str(name), "--csv", str(tmp_path / "t.csv")])
    assert os.fsencode(rows_of(tmp_path / "t.csv")[1][0]) == os.fsencode(name)
    assert capsys.readouterr().out.startswith(f"{tmp_path}/latin\\udce9.wav: low ")


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/t.csv").write_text("of before")
    (tmp_path / "t.csv").symlink_to(tmp_path / "there/t.csv")
    with table(tmp_path / "t.csv", ("a", "b"), []) as write:
        write((1, 2))
    assert (tmp_path / "t.csv").is_symlink()
    assert rows_of(tmp_path / "there/t.csv") == [["a", "b"], ["1", "2"]]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    with table(tmp_path / "pipe", ("a",), []) as write:
        write((1,))
    reader.join(timeout=10.0)
    assert (read, (tmp_path / "pipe").is_fifo()) == (["a\n1\n"], True)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_a_full_disk_says_whose_table(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "a.wav", tone(300.0, 0.4), 44100)
    record = Record(tmp_path / "log", "b", 16000)
    (tmp_path / "log").unlink()
    (tmp_path / "log").symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/log'"):
        record.add("a.wav", status="missing")
    with pytest.raises(SystemExit):
        main(["--model", str(bundle), str(tmp_path / "a.wav"), "--csv", "/dev/full"])
    assert capsys.readouterr().err == (
        "error: /dev/full: expected to read or write it, got No space left on device; check path, permissions and free "
        "space\n"
    )


def test_a_table_and_a_record_are_two_files(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--model", str(bundle), "x.wav", "--csv", "t", "--log", "./t"])
    assert capsys.readouterr().err == (
        "error: expected a table and a record in two files, got t for both; name another; see classify.py --help\n"
    )


def test_what_is_longer_than_the_window_is_said_once(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, tone(300.0, 1.7), 44100)
    main(["--model", str(bundle), str(tmp_path / "a.wav")])
    assert capsys.readouterr().err == (
        f"{tmp_path}/a.wav: longer than the window, 1 s is judged, from where sound begins; --events judges all\n"
    )
    main(["--model", str(bundle), str(tmp_path)])
    assert (
        capsys.readouterr().err
        == "2 files: longer than the window, 1 s is judged, from where sound begins; --events judges all\n"
    )


def test_devices_that_never_end_are_not_read(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/zero").is_char_device():
        pytest.skip("no /dev/zero")
    with pytest.raises(SystemExit):
        main(["--model", str(bundle), "/dev/zero"])
    assert capsys.readouterr().err == "error: empty: /dev/zero: the file has 0 bytes; give files that hold audio\n"
