"""Decoding by ffmpeg: what libsndfile cannot read, the same on every machine; and one clear word where it is not there."""

import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audioprep.errors import AudioError
from audioprep.io.audio import decode, duration_s
from audioprep.io.ffmpeg import foreign_container, has_ffmpeg

RATE_HZ = 16000
SECONDS_T = np.arange(2 * RATE_HZ) / RATE_HZ
TONE_T = (0.5 * np.sin(2 * np.pi * 440 * SECONDS_T)).astype(np.float32)

needs_ffmpeg = pytest.mark.skipif(not has_ffmpeg(), reason="needs the program ffmpeg")

# The first bytes of each kind of file, and what it is called.
HEADS = {
    "MP4": b"\0\0\0\x1cftypM4A \0\0\x02\0",
    "WEBM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm",
    "ASF": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "ADTS": b"\xff\xf1\x60\x40",
    "AMR": b"#!AMR\n",
    "WAVPACK": b"wvpk\0\0",
}
SUFFIX_OF = {"MP4": ".m4a", "WEBM": ".webm", "ASF": ".wma", "ADTS": ".aac", "WAVPACK": ".wv"}


def encoded(folder, suffix, wave=TONE_T, rate_hz=RATE_HZ, options=()):
    """Return a wave as the bytes of a file that ffmpeg has written."""
    soundfile.write(folder / "in.wav", wave, rate_hz, subtype="FLOAT")
    command = ["ffmpeg", "-v", "error", "-y", "-i", "in.wav", *options, "-bitexact", f"out{suffix}"]
    subprocess.run(command, cwd=folder, check=True)
    return (folder / f"out{suffix}").read_bytes()


def fake(folder, monkeypatch, body):
    """Put a program in the place of ffmpeg."""
    program = folder / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.parametrize("name", HEADS)
def test_kinds_are_told_by_their_first_bytes(name):
    container = foreign_container(HEADS[name] + bytes(100))
    assert container is not None
    assert container.name == name


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb\x90", b"\xff\xf3", b"\xff", b"\x1a\x45\xdf\xa3matroska"]
)
def test_what_libsndfile_reads_or_nobody_knows_stays_with_libsndfile(data):
    assert foreign_container(data + b"\0" * 8 if len(data) > 1 else data) is None


@pytest.mark.parametrize("name", HEADS)
def test_without_ffmpeg_the_reason_says_how_to_get_it(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = (
        rf"^decode_error: expected the program ffmpeg for {name} audio, found none; install it \(apt install ffmpeg, "
        r"brew install ffmpeg, conda install ffmpeg\) and run again$"
    )
    assert not has_ffmpeg()
    for function in (decode, duration_s):
        with pytest.raises(AudioError, match=message):
            function(HEADS[name] + bytes(100))


@needs_ffmpeg
@pytest.mark.parametrize("name", SUFFIX_OF)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_rate_channels_and_level_are_kept(tmp_path, name, num_channels):
    rate_hz = 48000 if name == "WEBM" else RATE_HZ  # Opus knows few rates
    tone_T = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate_hz) / rate_hz)).astype(np.float32)
    decoded = decode(encoded(tmp_path, SUFFIX_OF[name], np.stack([tone_T] * num_channels, axis=1), rate_hz))
    assert decoded.rate_hz == rate_hz
    assert decoded.container == f"{name}/ffmpeg"
    assert decoded.wave_TC.dtype == np.float32
    assert decoded.wave_TC.shape[1] == num_channels
    assert len(decoded.wave_TC) / rate_hz == pytest.approx(2.0, abs=0.15)
    assert np.sqrt(np.mean(decoded.wave_TC**2)) == pytest.approx(np.sqrt(0.125), rel=0.05)


@needs_ffmpeg
def test_lossless_files_are_decoded_exactly(tmp_path):
    steps_T = np.random.default_rng(0).integers(-32768, 32768, 5000)
    data = encoded(
        tmp_path, ".m4a", (steps_T / 32768).astype(np.float32), options=["-c:a", "alac", "-sample_fmt", "s16p"]
    )
    np.testing.assert_array_equal(decode(data).wave_TC[:, 0] * 32768, steps_T)


@needs_ffmpeg
def test_a_phone_recording_of_any_bits_is_decoded():
    frame = b"\x3c" + bytes(range(31))  # AMR at 12.2 kbit/s, 20 ms
    decoded = decode(b"#!AMR\n" + frame * 50)
    assert (decoded.rate_hz, decoded.wave_TC.shape, decoded.container) == (8000, (8000, 1), "AMR/ffmpeg")


@needs_ffmpeg
def test_a_part_is_that_slice_of_the_whole(tmp_path):
    data = encoded(tmp_path, ".m4a")
    whole_TC = decode(data).wave_TC
    np.testing.assert_array_equal(decode(data, 0.25, 0.5).wave_TC, whole_TC[4000:8000])
    assert duration_s(data) == len(whole_TC) / RATE_HZ
    with pytest.raises(AudioError, match=r"^out_of_range: the part starts at 9\.0 s, the file ends at \S+ s$"):
        decode(data, 9.0)


@needs_ffmpeg
def test_the_same_bytes_decode_to_the_same_samples(tmp_path):
    data = encoded(tmp_path, ".m4a")
    assert decode(data).wave_TC.tobytes() == decode(data).wave_TC.tobytes()


@needs_ffmpeg
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".m4a", []),
        (".m4a", ["-movflags", "faststart"]),
        (".webm", ["-ar", "48000"]),
        (".wma", []),
        (".aac", []),
        (".wv", []),
    ],
    ids=["m4a", "m4a-faststart", "webm", "wma", "aac", "wv"],
)
def test_a_file_that_is_cut_off_is_said(tmp_path, suffix, options, share):
    noise_T = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE_HZ)
    data = encoded(tmp_path, suffix, noise_T, options=options)
    with pytest.raises(
        AudioError,
        match=r"^(truncated: (ffmpeg finds the stream cut off|the header declares [0-9]+ bytes more than there are)|decode_error: ffmpeg: .+)$",
    ) as error:
        decode(data[: int(len(data) * share)])
    assert "0x" not in error.value.reason, "no address of this process gets into the status table"
    assert str(tmp_path.parent) not in error.value.reason
    assert "input" not in error.value.reason.split(":")[0]
    if suffix in (".m4a", ".webm", ".wma"):
        assert error.value.status == "truncated"


@needs_ffmpeg
@pytest.mark.parametrize("name", HEADS)
def test_other_bytes_behind_a_good_start_are_said(name):
    noise = np.random.default_rng(0).integers(0, 256, 4000, np.uint8).tobytes()
    with pytest.raises(AudioError, match=r"^(decode_error|truncated): [^\n]+$") as error:
        decode(HEADS[name] + noise)
    assert "0x" not in error.value.reason


@needs_ffmpeg
def test_a_film_without_sound_is_said(tmp_path):
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=size=16x16:rate=5:duration=1", "out.mp4"]
    subprocess.run(command, cwd=tmp_path, check=True)
    with pytest.raises(AudioError, match=r"^decode_error: ffmpeg: .*matches no streams.*$"):
        decode((tmp_path / "out.mp4").read_bytes())


def test_a_program_that_does_not_end_is_stopped(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, "time.sleep(60)")
    with pytest.raises(AudioError, match=r"^timeout: ffmpeg has not ended in 0 s$"):
        decode(HEADS["MP4"], limit_s=0.2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", r"^decode_error: ffmpeg: exit status 3$"),
        ("sys.exit('[mov,mp4 @ 0x55f]  moov\\nmore')", r"^decode_error: ffmpeg: moov$"),
        ("sys.exit('file:input: bad')", r"^decode_error: ffmpeg: bad$"),
        ("sys.exit('x' * 999)", r"^decode_error: ffmpeg: x{200}$"),
        (
            "print('[mov @ 0x5] stream 0, offset 0x1: partial file', file=sys.stderr)",
            r"^truncated: ffmpeg finds the stream cut",
        ),
        ("print('no audio')", r"^decode_error: Format not recognised\.$"),
        ("pass", r"^decode_error: .+$"),
    ],
)
def test_what_ffmpeg_says_is_one_line(tmp_path, monkeypatch, body, message):
    fake(tmp_path, monkeypatch, body)
    with pytest.raises(AudioError, match=message):
        decode(HEADS["MP4"])


def test_a_program_that_cannot_be_run_is_said(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_bytes(b"\x7fELF no program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"^decode_error: ffmpeg cannot be run: .+$"):
        decode(HEADS["MP4"])


def test_words_of_a_program_that_succeeds_do_no_harm(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "good.wav", TONE_T, RATE_HZ, subtype="FLOAT")
    body = f"sys.stderr.write('chapter track not found'); sys.stdout.buffer.write(open({str(tmp_path / 'good.wav')!r}, 'rb').read())"
    fake(tmp_path, monkeypatch, body)
    np.testing.assert_array_equal(decode(HEADS["MP4"]).wave_TC[:, 0], TONE_T)


def test_no_file_of_ours_stays_behind(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, "sys.exit(1)")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(AudioError, match=r"^decode_error: ffmpeg: exit status 1$"):
        decode(HEADS["MP4"])
    assert sorted(tmp_path.iterdir()) == before
    assert shutil.which("ffmpeg") is not None
