import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from model.corpora import SPLIT
from PIL import Image

from audioprep.io.audio import decode
from audioprep.io.predictions import Predictions, read_predictions
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.report import listen as module
from audioprep.model.report.listen import listen


@pytest.fixture(scope="module")
def corpus(noisy_run: tuple[Path, Path]) -> Corpus:
    return load_corpus(noisy_run[0], "logmel", SPLIT)


def predicted(corpus: Corpus, decided: list[int], scores: list[list[float]]) -> Predictions:
    """Return predictions of the first clips, whose classes are 0, 1, 2, 0, …"""
    rows = np.arange(len(decided))
    return Predictions(
        ids=[corpus.ids[row] for row in rows],
        folds_K=np.ones(len(rows), np.int64),
        groups=[corpus.ids[row] for row in rows],
        truth_KL=corpus.truth(rows),
        decided_KL=np.eye(3, dtype=bool)[decided],
        scores_KL=np.array(scores, np.float32),
        classes=corpus.classes,
        is_multi_label=False,
    )


def test_the_surest_error_comes_first_beside_the_clip_most_like_it(
    noisy_run: tuple[Path, Path], corpus: Corpus
) -> None:
    scores = [[0.3, 0.6, 0.1], [0.1, 0.9, 0.0], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0], [0.3, 0.6, 0.1]]
    found = listen(noisy_run[0], corpus, predicted(corpus, [1, 1, 1, 0, 1], scores))
    pairs = [(pair["wrong"]["id"], pair["label"], pair["like"]["id"]) for pair in found["pairs"]]
    # Clips 0 and 2 are wrong, 1 and 4 rightly drums: 2 is scored like 1, and 0 exactly like 4.
    assert pairs == [("002-clip", "drum", "001-clip"), ("000-clip", "drum", "004-clip")]
    assert found["pairs"][0]["score"] == pytest.approx(0.8)
    assert found["pairs"][0]["wrong"]["labels"] == ["siren"]


def test_a_class_that_nobody_got_right_has_nothing_beside_it(noisy_run: tuple[Path, Path], corpus: Corpus) -> None:
    found = listen(noisy_run[0], corpus, predicted(corpus, [2], [[0.1, 0.2, 0.7]]))
    assert found["pairs"][0]["like"] is None


def test_a_run_without_errors_has_no_clips(noisy_run: tuple[Path, Path], corpus: Corpus) -> None:
    assert listen(noisy_run[0], corpus, predicted(corpus, [0], [[0.9, 0.1, 0.0]]))["pairs"] == []


def test_the_sound_is_the_window_at_its_level(noisy_run: tuple[Path, Path], corpus: Corpus) -> None:
    pair = listen(noisy_run[0], corpus, predicted(corpus, [1], [[0.1, 0.9, 0.0]]))["pairs"][0]
    heard = decode(base64.b64decode(pair["wrong"]["audio"].partition("base64,")[2]))
    assert heard.container == "MP3/MPEG_LAYER_III"
    assert heard.rate_hz == 16000
    assert len(heard.wave_TC) / 16000 == pytest.approx(0.4, abs=0.12)
    # A tone of 300 Hz and amplitude 0.1, 6 dB louder.
    spectrum = np.abs(np.fft.rfft(heard.wave_TC[1600:4800, 0]))
    assert spectrum.argmax() * 5 == 300
    assert spectrum.max() / 1600 == pytest.approx(0.2, rel=0.05)


def test_the_picture_has_time_to_the_right_and_bins_upwards(noisy_run: tuple[Path, Path], corpus: Corpus) -> None:
    pair = listen(noisy_run[0], corpus, predicted(corpus, [1], [[0.1, 0.9, 0.0]]))["pairs"][0]
    image = Image.open(io.BytesIO(base64.b64decode(pair["wrong"]["picture"].partition("base64,")[2])))
    assert image.size == (41, 16)
    levels = np.asarray(image)
    assert levels[-5:].mean() > levels[:-5].mean()  # a bell is the lowest band


def test_the_page_does_not_grow_with_the_errors(
    noisy_report: Path, noisy_run: tuple[Path, Path], corpus: Corpus
) -> None:
    predictions = read_predictions(noisy_report)
    assert (~predictions.is_right_K).sum() > module._NUM_WRONG
    assert len(listen(noisy_run[0], corpus, predictions)["pairs"]) == module._NUM_WRONG


@pytest.mark.parametrize("lost", ["audio", "cuts/cuts.000000.jsonl", "audio/shar/recording.000000.tar"])
def test_lost_sound_is_said_and_pictures_stay(
    lost: str, noisy_run: tuple[Path, Path], corpus: Corpus, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(noisy_run[0], tmp_path / "toy"))
    shutil.rmtree(data / lost) if (data / lost).is_dir() else (data / lost).unlink()
    found = listen(data, corpus, predicted(corpus, [1], [[0.1, 0.9, 0.0]]))
    assert "Their sound is not on this machine" in found["why_silent"]
    assert found["pairs"][0]["wrong"]["audio"] == ""
    assert found["pairs"][0]["wrong"]["picture"].startswith("data:image/png")
