"""What a microphone or a file gives is whole, in order and at the front's rate; what is lost is counted."""

import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from bundles import RATE_HZ, write_bundle
from stand_in_devices import Devices
from tones import low_then_high, plain_tone

from audioprep.edge import microphone
from audioprep.edge.front import Front
from audioprep.edge.microphone import Microphone, Playback
from audioprep.edge.predict import Predictor
from audioprep.edge.stream import hear
from audioprep.errors import DeviceError
from audioprep.io.bundle import read_bundle


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(read_bundle(write_bundle(tmp_path_factory.mktemp("bundle"))))


@pytest.fixture
def front(predictor: Predictor) -> Front:
    return predictor.front


def recorded(monkeypatch: pytest.MonkeyPatch, front: Front, devices: Devices) -> tuple[Microphone, np.ndarray]:
    """Return a microphone that was stopped before anybody took what it recorded, and all that it then gave."""
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    source = Microphone(front)
    source._stream._thread.join()
    source.stop()
    blocks = list(source.blocks())
    assert devices.num_open == 0
    return source, np.concatenate(blocks)


def test_a_microphone_gives_what_it_records(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    devices = Devices(RATE_HZ, 48000, wave_T=low_then_high())
    source, wave_T = recorded(monkeypatch, front, devices)
    np.testing.assert_array_equal(wave_T, low_then_high())
    assert (devices.opened_hz, source.lost_s) == ([RATE_HZ], 0.0)


def test_a_microphone_of_another_rate_is_brought_to_the_fronts(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    devices = Devices(44100, wave_T=low_then_high(44100))
    _, wave_T = recorded(monkeypatch, front, devices)
    np.testing.assert_allclose(wave_T, front.at_rate(low_then_high(44100), 44100), atol=1e-5)
    assert devices.opened_hz == [44100]


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("duration_s", [0.03, 1.3])
def test_pieces_come_out_as_the_whole_would(front: Front, rate_hz: int, duration_s: float) -> None:
    random = np.random.default_rng(rate_hz)
    wave_T = random.uniform(-0.5, 0.5, round(duration_s * rate_hz)).astype(np.float32)
    cuts = np.sort(random.integers(0, len(wave_T), 12))
    pieces = list(front.stream(np.split(wave_T, cuts), rate_hz))
    np.testing.assert_allclose(np.concatenate(pieces), front.at_rate(wave_T, rate_hz), atol=2e-5)
    assert all(len(piece) for piece in pieces)


def test_sound_at_the_fronts_rate_is_left_alone(front: Front) -> None:
    blocks = [plain_tone(300.0, 0.1), plain_tone(500.0, 0.2)]
    assert list(front.stream(blocks, RATE_HZ)) == blocks


def test_what_nobody_takes_in_time_is_counted(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    devices = Devices(RATE_HZ, wave_T=np.arange(13 * RATE_HZ) / RATE_HZ)
    source, wave_T = recorded(monkeypatch, front, devices)
    np.testing.assert_array_equal(wave_T, devices.wave_T[: 10 * RATE_HZ])
    assert source.lost_s == pytest.approx(3.0)


def test_what_is_lost_before_it_comes_here_is_counted_too(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    source, _ = recorded(monkeypatch, front, Devices(RATE_HZ, wave_T=plain_tone(300.0, 0.5), overflows=True))
    assert source.lost_s == pytest.approx(0.5)


def test_a_microphone_that_falls_silent_for_good_is_one_line(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    devices = Devices(RATE_HZ, wave_T=plain_tone(300.0, 0.5))
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    monkeypatch.setattr(microphone, "_PATIENCE_S", 0.2)
    blocks = Microphone(front).blocks()
    next(blocks)
    with pytest.raises(DeviceError, match=r"^microphone: expected sound, got none for 0.4 s; see whether it is still"):
        list(blocks)
    assert devices.num_open == 0


def test_a_file_as_fast_as_possible_comes_in_tenths_of_a_second() -> None:
    blocks = list(Playback(low_then_high(), RATE_HZ, real_time=False).blocks())
    np.testing.assert_array_equal(np.concatenate(blocks), low_then_high())
    assert {len(block) for block in blocks} == {RATE_HZ // 10}


def test_a_file_in_real_time_takes_its_time() -> None:
    begun_s = time.monotonic()
    blocks = list(Playback(plain_tone(300.0, 0.45), RATE_HZ).blocks())
    assert time.monotonic() - begun_s >= 0.45
    np.testing.assert_array_equal(np.concatenate(blocks), plain_tone(300.0, 0.45))


def test_a_file_ends_when_it_is_stopped() -> None:
    source = Playback(low_then_high(), RATE_HZ, real_time=False)
    blocks = source.blocks()
    next(blocks)
    source.stop()
    assert list(blocks) == []


def in_blocks(*durations_s: float) -> Iterator[np.ndarray]:
    stops = np.rint(np.cumsum(durations_s) * RATE_HZ).astype(int)
    yield from np.split(low_then_high(), stops)[:-1]


def test_live_windows_end_with_the_newest_block_and_begin_short(predictor: Predictor) -> None:
    heard = list(hear(predictor, in_blocks(*[0.1] * 50), 0.5, live=True))
    assert [round(window.stop_s, 3) for window in heard] == [0.5 * number for number in range(1, 11)]
    assert [round(window.stop_s - window.start_s, 3) for window in heard] == [0.5] + [1.0] * 9
    best = [window.probability_L is not None and predictor.ranked(window.probability_L)[0][0] for window in heard]
    assert (best[:4], best[5:8], best[9]) == (["low"] * 4, ["high"] * 3, False)


def test_live_windows_are_heard_as_files_of_their_length(predictor: Predictor) -> None:
    heard = list(hear(predictor, in_blocks(*[0.1] * 20), 0.5, live=True))
    expected_L = predictor.probability_of(low_then_high()[RATE_HZ // 2 : RATE_HZ * 3 // 2])
    np.testing.assert_array_equal(heard[2].probability_L, expected_L)


def test_windows_that_would_be_late_are_left_out(predictor: Predictor) -> None:
    heard = list(hear(predictor, in_blocks(0.5, 3.2, 0.1, 0.2, 0.9), 0.5, live=True))
    assert [round(window.stop_s, 3) for window in heard] == [0.5, 3.7, 4.0, 4.9]
    assert all(later.stop_s > earlier.stop_s for earlier, later in pairwise(heard))
