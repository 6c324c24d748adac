"""Downloads from a real server that misbehaves: whole and verified under their name, or not there; see also test_fetch_*."""

import hashlib
import json
import resource
import shutil
from random import Random

import pytest
from hostile_server import Trouble

from audioprep.errors import FetchError
from audioprep.io.fetch import Wanted, fetch, request

CONTENT = Random(0).randbytes(1_000_000)
OTHER = Random(1).randbytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
BY_HAND = r"download it by other means and place it as .+/a\.zip$"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def wanted(tmp_path, *urls, num_bytes=1_000_000, sha256=SHA256, md5=None):
    return Wanted(tmp_path / "a.zip", urls, num_bytes, sha256, md5)


def leave_part(tmp_path, server, num_bytes=400_000, **headers):
    """Leave what a broken download leaves, and return the address; from then on it has the file without troubles."""
    troubles = (Trouble(drop_after=num_bytes), Trouble(status=404))
    url = server.publish("/a.zip", CONTENT, *troubles, **headers)
    with pytest.raises(FetchError, match=r"run again to go on after 400\.0 kB in a\.zip\.part, or " + BY_HAND):
        fetch([wanted(tmp_path, url)])
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
    server.requests.clear()
    return url


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"sha256": SHA256.upper()},
        {"sha256": None, "md5": MD5},
        {"sha256": None},
        {"sha256": None, "num_bytes": None},
        {"sha256": SHA256, "md5": "sha256 counts"},
    ],
)
@pytest.mark.parametrize("trouble", [Trouble(), Trouble(is_unannounced=True), Trouble(is_chunked=True)])
def test_a_good_file_arrives_whole(tmp_path, server, waits, known, trouble):
    url = server.publish("/files/a.zip?download=1", CONTENT, trouble)
    fetch([wanted(tmp_path / "new", url, **known)])
    assert names(tmp_path / "new") == [".hashes.json", "a.zip"]
    assert (tmp_path / "new" / "a.zip").read_bytes() == CONTENT
    assert [request.encoding for request in server.requests] == ["identity"] * len(server.requests)
    assert waits == []


def test_what_is_there_is_left_alone(tmp_path, server):
    (tmp_path / "a.zip").write_bytes(b"mine")
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT))])
    fetch([])
    assert (tmp_path / "a.zip").read_bytes() == b"mine"
    assert server.requests == []


def test_an_empty_file_is_a_file(tmp_path, server):
    fetch([wanted(tmp_path, server.publish("/a.zip", b""), num_bytes=0, sha256=hashlib.sha256(b"").hexdigest())])
    assert (tmp_path / "a.zip").read_bytes() == b""
    assert names(tmp_path) == [".hashes.json", "a.zip"]


def test_several_files_come_at_once(tmp_path, server, capsys):
    server.release_at = 4
    urls = [server.publish(f"/{name}", CONTENT, Trouble(stall_after=1000)) for name in "abcdef"]
    files = [Wanted(tmp_path / url[-1], (url,), len(CONTENT), SHA256) for url in urls]
    fetch([files[0], *files])  # the one that is named twice is downloaded once
    assert names(tmp_path) == [".hashes.json", *"abcdef"]
    assert [*json.loads((tmp_path / ".hashes.json").read_text())] == [*"abcdef"]
    assert len(server.gets()) == 6
    assert server.num_forgotten == 0
    assert "waiting" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("troubles", "waited", "ranges"),
    [
        ([Trouble(drop_after=300_000)], [1], [300_000]),
        ([Trouble(drop_after=50_000)] * 10, [1] * 10, [50_000 * n for n in range(1, 11)]),
        ([Trouble(drop_after=0)] * 2, [1, 2], [0, 0]),
        ([Trouble(drop_after=300_000, is_chunked=True)], [1], [300_000]),
        ([Trouble(drop_after=300_000, is_unannounced=True)], [1], [300_000]),
        ([Trouble(drop_after=300_000), Trouble(ignores_range=True)], [1], [300_000]),
        ([Trouble(drop_after=300_000), Trouble(shifted_by=7)], [1, 0], [300_000, 0]),
        ([Trouble(drop_after=300_000), Trouble(status=416)], [1, 0], [300_000, 0]),
        ([Trouble(drop_after=300_000), Trouble(status=206)], [1, 0], [300_000, 0]),
        ([Trouble(status=503)] * 3, [1, 2, 4], [0, 0, 0]),
        ([Trouble(status=500), Trouble(status=502), Trouble(status=504)], [1, 2, 4], [0, 0, 0]),
        ([Trouble(status=429, headers={"Retry-After": "7"})], [7], [0]),
        ([Trouble(status=503, headers={"Retry-After": "86400"})], [120], [0]),
        ([Trouble(status=429, headers={"Retry-After": "0"})], [1], [0]),
        ([Trouble(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})], [1], [0]),
        ([Trouble(status=429, headers={"Retry-After": "soon"})], [1], [0]),
        ([Trouble(status=429, headers={"Retry-After": "9" * 5000})], [1], [0]),
    ],
)
def test_what_passes_is_survived(tmp_path, server, waits, troubles, waited, ranges):
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT, *troubles, ETag='"1"'))])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert names(tmp_path) == [".hashes.json", "a.zip"]
    assert waits == [wait_s for wait_s in waited if wait_s]
    assert [request.range for request in server.gets()] == [None, *(f"bytes={n}-" if n else None for n in ranges)]


def test_a_reset_connection_loses_only_what_was_on_its_way(tmp_path, server, waits):
    url = server.publish("/a.zip", CONTENT, Trouble(drop_after=900_000, with_reset=True))
    fetch([wanted(tmp_path, url)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert waits == [1]


def test_a_connection_that_stalls_is_given_up(tmp_path, server, waits, monkeypatch):
    monkeypatch.setattr(request, "_TIMEOUT_S", (10.0, 0.3))
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT, Trouble(stall_after=300_000)))])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()][:2] == [None, "bytes=300000-"]


def test_long_waits_are_announced(tmp_path, server, capsys):
    url = server.publish("/a.zip", CONTENT, Trouble(status=429, headers={"Retry-After": "7"}))
    fetch([wanted(tmp_path, url)])
    assert f"{url}: 429 (Too Many Requests); trying again in 7 s\n" in capsys.readouterr().out


def test_a_server_that_answers_nothing_is_given_up(tmp_path, server, waits, monkeypatch):
    monkeypatch.setattr(request, "_TIMEOUT_S", (10.0, 0.1))
    url = server.publish("/a.zip", CONTENT)
    server.always["/a.zip"] = Trouble(is_silent=True)
    with pytest.raises(FetchError, match=r"got no answer from 127\.0\.0\.1 \(timed out\) in 3 tries from"):
        fetch([wanted(tmp_path, url)])
    assert waits == [1, 2]


@pytest.mark.parametrize(
    ("trouble", "got"),
    [
        (Trouble(hangs_up=True), r"no answer from 127\.0\.0\.1 \(Remote end closed connection without response\)"),
        (Trouble(status=302, headers={"Location": "/a.zip"}), r"TooManyRedirects: Exceeded 30 redirects\."),
    ],
)
def test_an_address_that_leads_nowhere_is_given_up(tmp_path, server, waits, trouble, got):
    url = server.publish("/a.zip", CONTENT)
    server.always["/a.zip"] = trouble
    with pytest.raises(FetchError, match=rf"got {got} in 3 tries from {url}; try again later"):
        fetch([wanted(tmp_path, url)])
    assert waits == [1, 2]


def test_no_progress_is_given_up(tmp_path, server, waits):
    url = server.publish("/a.zip", CONTENT)
    server.always["/a.zip"] = Trouble(status=503)
    with pytest.raises(
        FetchError,
        match=rf"^.+/a\.zip: expected 1000000 bytes with sha256 {SHA256}, got 503 \(Service Unavailable\) in 8 tries from "
        rf"{url}; try again later, or {BY_HAND}",
    ):
        fetch([wanted(tmp_path, url)])
    assert waits == [1, 2, 4, 8, 16, 32, 60]
    assert names(tmp_path) == []


def test_a_body_that_always_ends_at_the_same_place_is_given_up(tmp_path, server, waits):
    url = server.publish("/a.zip", CONTENT)
    server.always["/a.zip"] = Trouble(drop_after=1000, ignores_range=True)
    with pytest.raises(
        FetchError,
        match=r"got only a part: connection broke off after 1000 bytes in 8 tries from .+; run again to go on after 1\.0 kB",
    ):
        fetch([wanted(tmp_path, url)])
    assert len(waits) == 7


def test_nobody_answers(tmp_path, waits):
    with pytest.raises(
        FetchError,
        match=r"got nothing: could not reach 127\.0\.0\.1 \(Connection refused\) in 3 tries from http://127\.0\.0\.1:9/a",
    ):
        fetch([wanted(tmp_path, "http://127.0.0.1:9/a.zip", num_bytes=None)])
    assert waits == [1, 2]
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ((), "got no address; try again later"),
        (("ftp://somewhere/a.zip",), r"got an unusable address \(InvalidSchema: No connection .+\) from ftp:"),
        (("a.zip",), r"got an unusable address \(MissingSchema: Invalid URL .+\) from a\.zip"),
    ],
)
def test_addresses_that_are_none(tmp_path, waits, urls, message):
    with pytest.raises(FetchError, match=message):
        fetch([wanted(tmp_path, *urls)])
    assert waits == []


def test_a_name_that_nobody_knows(tmp_path, server, waits):
    url = server.publish("/a.zip", CONTENT)
    server.always["/a.zip"] = Trouble(status=302, headers={"Location": "http://nobody.invalid/a.zip"})
    with pytest.raises(
        FetchError, match=rf"got nothing: could not reach nobody\.invalid \([^()]+\) in 3 tries from {url}; try"
    ):
        fetch([wanted(tmp_path, url)])
    assert waits == [1, 2]


def test_encoded_bytes_are_refused_where_no_hash_would_tell(tmp_path, server):
    url = server.publish("/a.zip", CONTENT, Content_Encoding="gzip")
    with pytest.raises(FetchError, match=r"got bytes encoded as gzip, which was not asked for from"):
        fetch([wanted(tmp_path, url, num_bytes=None, sha256=None)])
    fetch([wanted(tmp_path, url)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT, "some servers call a .tar.gz an encoded .tar"


@pytest.mark.parametrize("known", [{}, {"num_bytes": None, "sha256": None}])
@pytest.mark.parametrize(
    ("trouble", "got"),
    [
        (
            Trouble(status=302, headers={"Location": "http://[::bad/"}),
            r"an unusable address \(ValueError: Invalid IPv6 URL\)",
        ),
        (Trouble(headers={"Content-Length": "9" * 5000}), "a length of 5000 digits"),
        (Trouble(headers={"Content-Length": "9" * 400}), "a length of 400 digits"),
        (Trouble(is_partial=True, headers={"Content-Range": "bytes 0-10/*"}, content=CONTENT[:11]), "a part, although"),
        (
            Trouble(is_partial=True, headers={"Content-Range": "bytes 0-999999/1000000"}),
            "a part, although the whole was asked",
        ),
        (Trouble(status=404, reason="\x1b[31mGone\xe9\x07"), r"404 \(\?\[31mGone\?\?\)"),
    ],
)
def test_an_answer_that_is_none_sends_to_the_next_mirror(tmp_path, server, waits, capsys, known, trouble, got):
    bad, good = server.publish("/bad", CONTENT), server.publish("/good", CONTENT)
    server.always["/bad"] = trouble
    with pytest.raises(
        FetchError, match=rf"/a\.zip: expected .+, got {got}.* from {bad}; try again later, or {BY_HAND}"
    ):
        fetch([wanted(tmp_path, bad, **known)])
    assert names(tmp_path) == []
    fetch([wanted(tmp_path, bad, good, **known)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert waits == []
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "last"),
    [(Trouble(drop_after=300_000, is_chunked=True), None), (Trouble(drop_after=300_000), "bytes=300011-")],
)
def test_a_range_of_unknown_total_is_never_the_end(tmp_path, server, first, last):
    short = Trouble(headers={"Content-Range": "bytes 300000-300010/*"}, content=CONTENT[:300_011])
    url = server.publish("/a.zip", CONTENT, first, short, ETag='"1"')
    fetch([wanted(tmp_path, url, num_bytes=None, sha256=None)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()] == [None, "bytes=300000-", last]


@pytest.mark.parametrize("total", ["9" * 5000, f"{'9' * 5000}-"])
def test_a_range_of_a_nonsensical_length(tmp_path, server, total):
    url = leave_part(tmp_path, server)
    span = f"bytes 400000-999999/{total}" if total.isdecimal() else f"bytes {total}999999/1000000"
    server.always["/a.zip"] = Trouble(headers={"Content-Range": span})
    with pytest.raises(FetchError, match=r"got a length of 5000 digits from .+; run again to go on after 400\.0 kB"):
        fetch([wanted(tmp_path, url)])


def test_several_failures_are_reported_once(tmp_path, server):
    good = Wanted(tmp_path / "good", (server.publish("/good", CONTENT),), len(CONTENT), SHA256)
    gone = [Wanted(tmp_path / name, (f"{server.url}/{name}",), 10) for name in "ab"]
    with pytest.raises(
        FetchError,
        match=rf"^{tmp_path}: 2 failed: {tmp_path}/a: expected 10 bytes, got 404 \(Not Found\) from .+/a; {tmp_path}/b: "
        r"expected 10 bytes, got .+/b; run again to go on, or download them by other means and place them there$",
    ):
        fetch([gone[0], good, gone[1]])
    assert names(tmp_path) == [".hashes.json", "good"]


def test_there_must_be_room(tmp_path, server, monkeypatch):
    url = server.publish("/a.zip", CONTENT)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=400_000))
    for num_bytes in (len(CONTENT), None):  # the server is asked
        with pytest.raises(
            FetchError,
            match=rf"^{tmp_path}: expected 1\.0 MB of free space, got 400\.0 kB; free some, or name a folder with more in "
            r"AUDIOPREP_ARCHIVES$",
        ):
            fetch([wanted(tmp_path, url, num_bytes=num_bytes)])
    assert server.gets() == []


def test_room_is_needed_only_for_what_is_missing(tmp_path, server, monkeypatch, capsys):
    url = leave_part(tmp_path, server, ETag='"1"')
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=600_000))
    capsys.readouterr()
    fetch([wanted(tmp_path, url)])
    assert capsys.readouterr().out == f"{tmp_path}: 600.0 kB to download, 600.0 kB free\n"


def test_sizes_that_nobody_knows(tmp_path, server, capsys):
    url = server.publish("/a.zip", CONTENT)
    server.always["/a.zip"] = Trouble(is_unannounced=True)
    fetch([wanted(tmp_path, url, num_bytes=None)])
    assert capsys.readouterr().out.startswith(f"{tmp_path}: at least 0 bytes to download, ")


def test_a_disk_that_is_full_all_the_same(tmp_path, server):
    url = server.publish("/a.zip", CONTENT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(
            FetchError,
            match=r"a\.zip\.part: expected room for more than 300\.0 kB, got File too large; free some space and run again, it "
            r"goes on from there$",
        ):
            fetch([wanted(tmp_path, url)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    fetch([wanted(tmp_path, url)])
    assert [request.range for request in server.gets()] == [None, "bytes=300000-"]


def test_a_folder_that_cannot_be_written(tmp_path, server, monkeypatch):
    (tmp_path / "a.zip.part").mkdir()
    with pytest.raises(IsADirectoryError):  # the command line makes one line of what the system says
        fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT))])
