"""Decoding: every format that libsndfile reads, and an honest word for every file that cannot be used."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import AudioError
from audioprep.io.audio import decode, decode_stored, duration_s, encode_flac, encode_for_ears

RATE_HZ = 16000
RNG = np.random.default_rng(0)
WAVE_T = RNG.uniform(-0.5, 0.5, RATE_HZ).astype(np.float32)
WAVE_TC = np.stack([WAVE_T, -0.5 * WAVE_T], axis=1)


def encoded(wave=WAVE_T, rate_hz=RATE_HZ, **format_):
    """Return a wave as the bytes of a file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate_hz, **format_)
    return buffer.getvalue()


LOSSLESS = [
    ({"format": "WAV", "subtype": "PCM_16"}, 2**-15),
    ({"format": "WAV", "subtype": "PCM_24"}, 2**-23),
    ({"format": "WAV", "subtype": "PCM_32"}, 2**-23),
    ({"format": "WAV", "subtype": "PCM_U8"}, 2**-7),
    ({"format": "WAV", "subtype": "FLOAT"}, 0),
    ({"format": "WAV", "subtype": "DOUBLE"}, 0),
    ({"format": "WAV", "subtype": "PCM_16", "endian": "BIG"}, 2**-15),  # RIFX
    ({"format": "WAVEX", "subtype": "PCM_16"}, 2**-15),
    ({"format": "RF64", "subtype": "PCM_16"}, 2**-15),
    ({"format": "W64", "subtype": "PCM_16"}, 2**-15),
    ({"format": "AIFF", "subtype": "PCM_16"}, 2**-15),
    ({"format": "AU", "subtype": "PCM_16"}, 2**-15),
    ({"format": "FLAC", "subtype": "PCM_16"}, 2**-15),
    ({"format": "FLAC", "subtype": "PCM_24"}, 2**-23),
]
LOSSY = [
    {"format": "OGG", "subtype": "VORBIS"},
    {"format": "OGG", "subtype": "OPUS"},
    {"format": "MP3", "subtype": "MPEG_LAYER_III"},
]


def _name(value):
    return "-".join(map(str, value.values())) if isinstance(value, dict) else ""


@pytest.mark.parametrize(("format_", "step"), LOSSLESS, ids=_name)
@pytest.mark.parametrize("wave", [WAVE_T, WAVE_TC], ids=["mono", "stereo"])
def test_lossless_formats_decode_exactly(format_, step, wave):
    decoded = decode(encoded(wave, **format_))
    assert decoded.rate_hz == RATE_HZ
    assert decoded.container == f"{format_['format']}/{format_['subtype']}"
    assert decoded.wave_TC.dtype == np.float32
    assert decoded.wave_TC.shape == (RATE_HZ, wave.ndim)
    np.testing.assert_allclose(decoded.wave_TC, wave.reshape(RATE_HZ, -1), atol=step)


@pytest.mark.parametrize("format_", LOSSY, ids=_name)
def test_lossy_formats_decode_to_their_length(format_):
    tone_T = np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32) / 2
    decoded = decode(encoded(tone_T, **format_))
    assert decoded.wave_TC.shape == (RATE_HZ, 1)
    assert np.sqrt(np.mean(decoded.wave_TC**2)) == pytest.approx(np.sqrt(np.mean(tone_T**2)), rel=0.05)


@pytest.mark.parametrize("format_", [LOSSLESS[0][0], LOSSLESS[-2][0], LOSSY[0]], ids=_name)
@pytest.mark.parametrize(
    ("start_s", "end_s", "start", "stop"),
    [
        (None, None, 0, 16000),
        (0.25, None, 4000, 16000),
        (None, 0.5, 0, 8000),
        (0.25, 0.5, 4000, 8000),
        (0.5, 9.0, 8000, 16000),
    ],
)
def test_a_part_is_that_slice_of_the_whole(format_, start_s, end_s, start, stop):
    data = encoded(**format_)
    np.testing.assert_array_equal(decode(data, start_s, end_s).wave_TC, decode(data).wave_TC[start:stop])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=16, max_size=5000))
def test_flac_keeps_every_16_bit_step(steps):
    wave_T = np.asarray(steps, np.float32) / 32768
    np.testing.assert_array_equal(decode_stored(encode_flac(wave_T, RATE_HZ)), wave_T)


def test_flac_of_the_same_samples_is_the_same_bytes():
    assert encode_flac(WAVE_T, RATE_HZ) == encode_flac(WAVE_T.copy(), RATE_HZ)


def _cut(data, share=2 / 3):
    return data[: int(len(data) * share)]


WITH_NAN = WAVE_T.copy()
WITH_NAN[[3, 5]] = np.nan, np.inf


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"", "empty", r"the file has 0 bytes"),
        (bytes(1000), "decode_error", r"all 1000 bytes are zero"),
        (b"this is text\n" * 50, "decode_error", r"Format not recognised\."),
        (encoded(WAVE_T[:0], format="WAV"), "empty", r"no samples"),
        (_cut(encoded(format="WAV")), "truncated", r"the header declares 10682 bytes of samples more than there are"),
        (_cut(encoded(format="WAV", endian="BIG")), "truncated", r"the header declares \d+ bytes of samples more .*"),
        (_cut(encoded(format="RF64")), "truncated", r"the header declares \d+ bytes of samples more than there are"),
        (_cut(encoded(format="AIFF")), "truncated", r"the header declares \d+ bytes of samples more than there are"),
        (_cut(encoded(format="FLAC")), "decode_error", r"flac decoder lost sync\."),
        (_cut(encoded(format="OGG")), "truncated", r"the stream has no end"),
        (_cut(encoded(format="MP3")), "truncated", r"the header declares 16000 frames, \d+ can be read"),
        (encoded(format="WAV")[:20], "decode_error", r".+"),
        (
            encoded(WITH_NAN, format="WAV", subtype="FLOAT"),
            "non_finite",
            r"NaN or infinite samples, the first at 0\.0001875 s",
        ),
        (
            encoded(np.full(800, 3e38), format="WAV", subtype="FLOAT"),
            "out_of_range",
            r"the loudest sample is 3\.0e\+38 times full scale",
        ),
        (encoded(rate_hz=2_000_000, format="WAV"), "decode_error", r"expected a rate of 1 to 1000000 Hz, got 2000000"),
    ],
)
def test_unusable_files_have_an_honest_status(data, status, reason):
    with pytest.raises(AudioError, match=rf"^{status}: {reason}$"):
        decode(data)


@pytest.mark.parametrize(
    ("start_s", "end_s", "message"),
    [
        (2.0, None, r"^out_of_range: the part starts at 2\.0 s, the file ends at 1 s$"),
        (1.0, 2.0, r"^out_of_range: the part starts at 1\.0 s, the file ends at 1 s$"),
        (0.5, 0.5, r"^empty: no samples$"),
    ],
)
def test_a_part_outside_the_file_is_said(start_s, end_s, message):
    with pytest.raises(AudioError, match=message):
        decode(encoded(format="WAV"), start_s, end_s)


def test_a_stream_of_unknown_length_is_read_to_its_end():
    data = bytearray(encoded(format="WAV"))
    data[40:44] = b"\xff" * 4  # what a recorder writes that cannot go back: the data chunk's size is not known
    assert len(decode(bytes(data)).wave_TC) == RATE_HZ


def test_a_flac_of_unknown_length_is_read_to_its_end():
    wave_TC = np.tile(WAVE_TC, (9, 1))
    data = bytearray(encoded(wave_TC, format="FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # what a program writes into a pipe: 0 samples
    np.testing.assert_array_equal(decode(bytes(data)).wave_TC, decode(encoded(wave_TC, format="FLAC")).wave_TC)


@pytest.mark.parametrize("format_", [*[values for values, _ in LOSSLESS], *LOSSY], ids=_name)
def test_long_files_are_decoded_as_in_one_go(format_):
    data = encoded(np.tile(WAVE_T, 14), **format_)
    whole_TC, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    np.testing.assert_allclose(decode(data).wave_TC, whole_TC, atol=1e-6)


def test_bytes_after_the_samples_do_no_harm():
    assert len(decode(encoded(format="WAV") + b"LIST\x04\0\0\0abcd").wave_TC) == RATE_HZ


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["WAV", "FLAC", "OGG", "AIFF", "MP3"]), st.data())
def test_damaged_files_are_decoded_or_refused_and_never_crash(format_, data):
    good = bytearray(encoded(WAVE_T[:2000], format=format_))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(good[: data.draw(st.integers(0, len(good)))]))
    except AudioError as error:
        status, reason = error.status, error.reason
    else:
        status, reason = "ok", ""
        assert np.isfinite(decoded.wave_TC).all()
    assert status in {"ok", "empty", "decode_error", "truncated", "non_finite", "out_of_range"}
    assert "0x" not in reason, "no address of this process gets into the status table"


@pytest.mark.parametrize("format_", [values for values, _ in LOSSLESS] + LOSSY, ids=_name)
def test_the_length_is_that_of_the_decoded_samples(format_):
    data = encoded(WAVE_TC[:12345], **format_)
    assert duration_s(data) == pytest.approx(len(decode(data).wave_TC) / RATE_HZ)


def test_a_header_that_lies_is_not_believed():
    unknown = bytearray(encoded(format="WAV"))
    unknown[40:44] = b"\xff" * 4
    assert duration_s(bytes(unknown)) == 1.0
    flac = bytearray(encoded(format="FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)  # 0 samples: the length is not known
    assert duration_s(bytes(flac)) == 1.0
    assert (
        duration_s(encoded(format="WAV", subtype="IMA_ADPCM"))
        == len(decode(encoded(format="WAV", subtype="IMA_ADPCM")).wave_TC) / RATE_HZ
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^empty: the file has 0 bytes$"),
        (b"no sound", r"^decode_error: Format not recognised\.$"),
        (_cut(encoded(format="WAV")), r"^truncated: the header declares 10682 bytes of samples more than there are$"),
        (encoded(WAVE_T[:0], format="WAV"), r"^empty: no samples$"),
        (encoded(rate_hz=2_000_000, format="WAV"), r"^decode_error: expected a rate of 1 to 1000000 Hz, got 2000000$"),
    ],
)
def test_the_length_of_an_unusable_file_is_not_told(data, message):
    with pytest.raises(AudioError, match=message):
        duration_s(data)


@pytest.mark.parametrize(("rate_hz", "container"), [(16000, "MP3/MPEG_LAYER_III"), (10000, "FLAC/PCM_16")])
def test_what_is_for_ears_is_the_same_each_time_and_as_long_and_loud(rate_hz, container):
    tone_T = (0.1 * np.sin(np.arange(2 * rate_hz) / 10)).astype(np.float32)
    sound, media_type = encode_for_ears(tone_T, rate_hz)
    assert encode_for_ears(tone_T, rate_hz) == (sound, media_type)
    assert media_type == ("audio/mpeg" if container.startswith("MP3") else "audio/flac")
    heard = decode(sound)
    assert (heard.container, heard.rate_hz) == (container, rate_hz)
    assert len(heard.wave_TC) == pytest.approx(len(tone_T), abs=0.15 * rate_hz)
    assert heard.wave_TC[rate_hz // 2 : rate_hz].std() == pytest.approx(tone_T.std(), rel=0.05)


def test_what_is_for_ears_is_cut_at_full_scale():
    sound, _ = encode_for_ears(np.full(16000, 4.0, np.float32), 16000)
    assert np.abs(decode(sound).wave_TC).max() < 2.0
