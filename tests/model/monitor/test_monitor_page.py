import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model.monitor.test_tally import line
from model.pages import check_alone

from audioprep.errors import ModelError
from audioprep.io.bundle import FORMAT, read_bundle
from audioprep.model.bundle import write_about
from audioprep.model.monitor.page import monitor

LABELS = [f"class{number:02d}" for number in range(30)]
LEVELS = {
    "rms_db": {"num_clips": 500, "deciles": np.linspace(-45.0, -5.0, 11).tolist()},
    "loudness_lufs": {"num_clips": 480, "deciles": np.linspace(-42.0, -8.0, 11).tolist()},
    "silent": 0.0,
    "over_full_scale": 0.05,
}
FACTS = {
    "num_clips": 500,
    "class_shares": dict.fromkeys(LABELS, 1 / 30),
    "without_label": 0.0,
    "confidence": {"num_clips": 300, "deciles": np.linspace(0.3, 1.0, 11).tolist()},
    **LEVELS,
}


def write_bundle(folder: Path, facts: dict[str, Any] | None = FACTS) -> Path:
    about = {"format": FORMAT, "dataset": "yard", "labels": LABELS, "files": {}, "features": {}, "decision": {}}
    about |= {"audio": {"window_s": 5.0, "loudness": {"mode": "lufs", "max_gain_db": 40.0}}}
    folder.mkdir(parents=True, exist_ok=True)
    write_about(folder, about | ({} if facts is None else {"training_facts": facts}))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def lines(bundle: Path, num_lines: int = 600, louder_db: float = 0.0, **change: Any) -> list[dict[str, Any]]:
    """Return a record of what is as in training, or louder."""
    rng = np.random.default_rng(0)
    told = []
    for number in range(num_lines):
        level_db = rng.uniform(-45.0, -5.0) + louder_db
        told.append(
            line(
                30.0 * number,
                labels=[LABELS[number % 30]],
                probability=rng.uniform(0.3, 1.0),
                rms_db=level_db,
                loudness_lufs=rng.uniform(-42.0, -8.0) + louder_db,
                true_peak_db=1.0 if number % 20 == 0 else -3.0,
                bundle=read_bundle(bundle).id,
                **change,
            )
        )
    return told


def write_log(path: Path, told: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in told))
    return path


def text_of(page: str) -> str:
    """Return what a reader sees."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_a_page_says_that_all_is_as_in_training(bundle: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", lines(bundle))
    verdicts = monitor(log, bundle, tmp_path / "page.html")
    assert len(verdicts) == 7
    assert all("as in training (PSI 0.0" in verdict and "600 lines" in verdict for verdict in verdicts)
    page = (tmp_path / "page.html").read_text()
    assert re.search(r"<h2>As in training</h2>", page)
    assert page.count("<svg") == 7
    text = text_of(page)
    assert "600 lines of bundle" in text
    assert "1 Mar 2026, 12:00 to 16:59 UTC" in text
    assert "10 classes that differ less are left out" in text
    assert "up by at most 40 dB" in text


def test_the_page_needs_nothing_else(bundle: Path, tmp_path: Path) -> None:
    monitor(write_log(tmp_path / "log", lines(bundle)), bundle, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    check_alone(page)
    monitor(tmp_path / "log", bundle, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


def test_what_is_shifted_is_named_and_a_cause_is_said(bundle: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", lines(bundle, louder_db=-20.0))
    verdicts = monitor(log, bundle, tmp_path / "page.html")
    assert [verdict.split(" (")[0] for verdict in verdicts[:3]] == [
        "Input level: shifted",
        "Loudness: shifted",
        "Confidence: as in training",
    ]
    text = text_of((tmp_path / "page.html").read_text())
    assert "Not as in training: input level, loudness" in text
    assert "Input level another microphone, gain or distance than in training" in text
    assert re.search(r"Input level shifted \d\.\d\d −4[45]\.\d dBFS \(−6\d\.\d to −2[89]\.\d\) −25\.0 dBFS", text)  # noqa: RUF001


@pytest.mark.parametrize("num_lines", [1, 10])
def test_few_lines_make_a_page_that_says_so(bundle: Path, tmp_path: Path, num_lines: int) -> None:
    log = write_log(tmp_path / "log", lines(bundle, num_lines))
    log.write_bytes(log.read_bytes() + b'{"time": "20')
    assert all(": too few (" in verdict for verdict in monitor(log, bundle, tmp_path / "page.html"))
    text = text_of((tmp_path / "page.html").read_text())
    assert "Too little is known to say" in text
    assert "1 broken left out" in text


def test_lines_that_are_not_judged_make_a_page_too(bundle: Path, tmp_path: Path) -> None:
    nothing = dict.fromkeys(("labels", "probability", "rms_db", "loudness_lufs", "true_peak_db"))
    told = [
        line(float(number), status="silent" if number % 4 else "decode_error", bundle=read_bundle(bundle).id, **nothing)
        for number in range(100)
    ]
    verdicts = monitor(write_log(tmp_path / "log", told), bundle, tmp_path / "page.html")
    assert "Input level: too few (0 lines against 500 clips)" in verdicts
    assert any(verdict.startswith("Silence: shifted (") for verdict in verdicts)
    text = text_of((tmp_path / "page.html").read_text())
    assert "silent 75 75.0%" in text
    assert "decode error 25 25.0%" in text
    assert "Nothing was measured." in text


def test_a_bundle_without_measured_audio_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {name: FACTS[name] for name in FACTS if name not in LEVELS})
    verdicts = monitor(write_log(tmp_path / "log", lines(bundle)), bundle, tmp_path / "page.html")
    assert verdicts[:2] == ["Input level: not compared", "Loudness: not compared"]
    text = text_of((tmp_path / "page.html").read_text())
    assert "it does not know levels and loudness of its training" in text
    assert "As in training, as far as is known" in text


def test_lines_of_other_bundles_are_left_out(bundle: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [*lines(bundle), *lines(bundle, 50) * 2])
    other = [each | {"bundle": "123456789abc"} for each in lines(bundle, 40, louder_db=-40.0)]
    write_log(log, [*lines(bundle), *other])
    assert "600 lines" in monitor(log, bundle, tmp_path / "page.html")[0]
    assert "40 of other bundles left out" in text_of((tmp_path / "page.html").read_text())
    write_log(log, other)
    with pytest.raises(
        ModelError,
        match=r"log: expected lines of bundle \w{12} in .*, got those of 123456789abc \(40\); give the bundle",
    ):
        monitor(log, bundle, tmp_path / "page.html")


def test_what_was_rotated_away_counts(bundle: Path, tmp_path: Path) -> None:
    told = lines(bundle)
    write_log(tmp_path / "log.1", told[:400])
    log = write_log(tmp_path / "log", told[400:])
    assert "600 lines" in monitor(log, bundle, tmp_path / "page.html")[0]


def test_the_bundle_of_the_project_is_found_by_the_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "models/a/bundle", FACTS | {"num_clips": 7})
    bundle = write_bundle(tmp_path / "models/b/bundle")
    log = write_log(tmp_path / "log", lines(bundle, 50))
    assert "50 lines" in monitor(log, None, tmp_path / "page.html")[0]
    (tmp_path / "models/a/bundle/bundle.json").write_text("{}")  # of an older version
    assert "50 lines" in monitor(log, None, tmp_path / "page.html")[0]
    (bundle / "bundle.json").unlink()
    with pytest.raises(
        ModelError, match=r"log: expected bundle \w{12}, which wrote it, in models/\*/bundle, found none"
    ):
        monitor(log, None, tmp_path / "page.html")


def test_what_is_no_log_is_said(bundle: Path, tmp_path: Path) -> None:
    log, page = tmp_path / "log", tmp_path / "page.html"
    with pytest.raises(ModelError, match=r"log: expected a log of predictions, found no file"):
        monitor(log, bundle, page)
    log.touch()
    for folder in (bundle, None):
        with pytest.raises(ModelError, match=r"log: expected a log of predictions, got an empty file; write one"):
            monitor(log, folder, page)
    log.write_bytes(np.random.default_rng(0).bytes(300_000))
    for folder in (bundle, None):
        with pytest.raises(ModelError, match=r"log: expected a log of predictions, got something else; write one"):
            monitor(log, folder, page)
    assert not page.exists()


def test_the_page_does_not_replace_the_log(bundle: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", lines(bundle, 40))
    before = hashlib.sha256(log.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=r"log: expected a file for the page, got the log itself; name another one"):
        monitor(log, bundle, log)
    assert hashlib.sha256(log.read_bytes()).hexdigest() == before


def test_a_bundle_that_knows_nothing_of_its_training_is_said(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", None)
    log = write_log(tmp_path / "log", lines(bundle, 40))
    with pytest.raises(ModelError, match=r"bundle: expected a bundle with training_facts, got an older one; export it"):
        monitor(log, bundle, tmp_path / "page.html")


def test_names_are_text_and_not_html(bundle: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "a<b>", lines(bundle, 40))
    monitor(log, bundle, tmp_path / "page.html")
    assert "a&lt;b&gt;" in (tmp_path / "page.html").read_text()


def test_the_page_is_made_without_torch() -> None:
    code = "import sys, audioprep.model.monitor.page; print({'torch', 'matplotlib', 'pyarrow', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
