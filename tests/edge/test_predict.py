"""What the device makes of sound: ranks, windows, shifts, temperature, thresholds; and nothing of the training side."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from bundles import LABELS, change, tone, write_bundle

from audioprep.edge.predict import Predictor
from audioprep.errors import AudioError, ModelError
from audioprep.io.bundle import hash_of, read_bundle


def predictor_of(folder: Path) -> Predictor:
    return Predictor(read_bundle(folder))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_files_are_classified_likeliest_first(bundle: Path, tmp_path: Path, suffix: str) -> None:
    predictor = predictor_of(bundle)
    for frequency_hz, label in ((300.0, "low"), (5000.0, "high")):
        soundfile.write(tmp_path / f"x{suffix}", np.stack([tone(frequency_hz, 0.7)] * 2, axis=1), 44100)
        best = predictor.predict(tmp_path / f"x{suffix}")
        assert best[0][0] == label
        assert sorted(name for name, _ in best) == sorted(LABELS)
        assert sum(probability for _, probability in best) == pytest.approx(1.0)
        assert best[0][1] >= best[1][1]


def test_a_long_file_is_judged_by_all_its_windows_where_the_pipeline_made_them(bundle: Path) -> None:
    half = np.concatenate([tone(300.0, 1.0, 16000)[8000:], tone(5000.0, 2.0, 16000)[8000:]])
    predictor = predictor_of(bundle)
    assert predictor.ranked(predictor.probabilities(predictor.front.windows(half)))[0][0] == "low"
    predictor = predictor_of(change(bundle, "audio", hop_s=0.5))
    windows = list(predictor.front.windows(half))
    mean_L = np.mean([predictor.probabilities([values_NM]) for values_NM in windows], axis=0)
    best_L = predictor.probabilities(windows)
    np.testing.assert_allclose(best_L, mean_L, rtol=1e-6)
    assert predictor.ranked(best_L)[0][0] == "high"


def test_silence_is_named_with_its_file(bundle: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000, np.float32), 8000)
    with pytest.raises(
        AudioError,
        match=r"^silent: .*silence\.wav: as one channel, no sample above -80 dB; the network was trained without",
    ):
        predictor_of(bundle).predict(tmp_path / "silence.wav")


def test_shifts_are_averaged_as_in_the_evaluation(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = changed(bundle, num_shifts=3)
    given: list[npt.NDArray[np.float32]] = []

    class Session:
        def run(self, _names: None, inputs: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
            given.append(inputs["features"][0])
            return [np.float32([[len(given) / 10, 1 - len(given) / 10]])]

    monkeypatch.setattr(predictor, "_session", Session())
    values_NM = np.arange(20, dtype=np.float32).reshape(10, 2)
    np.testing.assert_allclose(predictor.probabilities([values_NM]), [0.2, 0.8], rtol=1e-6)
    shifts = [torch.from_numpy(values_NM).roll(index * 10 // 3, 0).numpy() for index in range(3)]
    np.testing.assert_array_equal(given, shifts)


def changed(bundle: Path, **decision: Any) -> Predictor:
    return predictor_of(change(bundle, "decision", **decision))


def test_a_temperature_makes_probabilities_less_sure_and_changes_no_order(bundle: Path) -> None:
    wave_T = tone(300.0, 0.7, 16000)
    sure = predictor_of(bundle).probability_of(wave_T)
    unsure = changed(bundle, temperature=2.0).probability_of(wave_T)
    assert sure is not None
    assert unsure is not None
    assert unsure[0] / unsure[1] == pytest.approx((sure[0] / sure[1]) ** 0.5, rel=1e-4)


def test_labels_are_given_from_their_thresholds_on(bundle: Path) -> None:
    ranked = [("low", 0.6), ("high", 0.4)]
    assert predictor_of(bundle).given(ranked) == ["low"]
    assert changed(bundle, thresholds={"low": 0.7, "high": 0.4}).given(ranked) == ["high"]
    assert changed(bundle, thresholds={"low": 0.7, "high": 0.5}).given(ranked) == []


def test_a_bundle_that_lacks_a_rule_is_one_line(bundle: Path) -> None:
    about = json.loads((bundle / "bundle.json").read_text())
    del about["audio"]["rate_hz"]
    (bundle / "bundle.json").write_text(json.dumps(about | {"sha256": hash_of(about)}))
    with pytest.raises(
        ModelError, match=r"bundle: expected the bundle as it was exported, got KeyError 'rate_hz'; export it"
    ):
        predictor_of(bundle)


def test_unusable_files_are_named(bundle: Path, tmp_path: Path) -> None:
    predictor = predictor_of(bundle)
    with pytest.raises(AudioError, match=r"missing: .*no.wav: No such file or directory"):
        predictor.predict(tmp_path / "no.wav")
    (tmp_path / "text.wav").write_text("this is no audio")
    with pytest.raises(AudioError, match=r"decode_error: .*text.wav: "):
        predictor.predict(tmp_path / "text.wav")


def test_nothing_of_the_training_side_is_imported() -> None:
    code = (
        "import sys, audioprep.edge.classify; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'lhotse', 'pyarrow', 'pandas', 'rich', 'pydantic', 'scipy', 'soxr', 'tkinter'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
