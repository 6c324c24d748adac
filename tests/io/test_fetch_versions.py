"""Which bytes belong together: parts of earlier runs, files that change, mirrors, wrong bytes, and files that are there."""

import hashlib
import json
import os

import pytest
from hostile_server import Published, Trouble
from test_fetch import BY_HAND, CONTENT, MD5, OTHER, SHA256, leave_part, names, wanted

from audioprep.errors import FetchError
from audioprep.io.fetch import Wanted, fetch, verify
from audioprep.io.fetch import wanted as wanted_module

OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()
UNKNOWN = {"num_bytes": None, "sha256": None}


@pytest.mark.parametrize("known", [{}, {"sha256": None}, UNKNOWN])
@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"1"'},
        {"Last_Modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"ETag": 'W/"1"', "Last_Modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_the_next_run_goes_on(tmp_path, server, known, headers):
    url = leave_part(tmp_path, server, **headers)
    fetch([wanted(tmp_path, url, **known)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert names(tmp_path) == [".hashes.json", "a.zip"]
    (get,) = server.gets()
    assert (get.range, get.if_range, get.num_sent) == ("bytes=400000-", [*headers.values()][-1], 600_000)


@pytest.mark.parametrize(
    ("known", "asked"), [({}, "bytes=400000-"), ({"sha256": None, "md5": MD5}, "bytes=400000-"), (UNKNOWN, None)]
)
def test_without_a_version_only_a_hash_allows_to_go_on(tmp_path, server, known, asked):
    url = leave_part(tmp_path, server, ETag='W/"1"')
    fetch([wanted(tmp_path, url, **known)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [(get.range, get.if_range) for get in server.gets()] == [(asked, None)]


@pytest.mark.parametrize("damage", ["", "[]", "{"])
def test_without_its_notes_a_part_goes_on_by_hash(tmp_path, server, damage):
    url = leave_part(tmp_path, server, ETag='"1"')
    (tmp_path / "a.zip.part.json").write_text(damage)
    fetch([wanted(tmp_path, url)])
    assert [(get.range, get.if_range) for get in server.gets()] == [("bytes=400000-", None)]


@pytest.mark.parametrize(
    ("new", "trouble", "ranges"),
    [
        ({"ETag": '"2"'}, Trouble(), ["bytes=400000-"]),
        ({"ETag": '"2"'}, Trouble(ignores_version=True), ["bytes=400000-", None]),
        ({}, Trouble(), ["bytes=400000-"]),
    ],
)
def test_a_file_that_changed_is_never_joined_with_its_old_half(tmp_path, server, new, trouble, ranges):
    url = leave_part(tmp_path, server, ETag='"1"')
    server.files["/a.zip"] = Published(OTHER, new)
    server.troubles["/a.zip"] = [trouble]
    fetch([wanted(tmp_path, url, **UNKNOWN)])
    assert (tmp_path / "a.zip").read_bytes() == OTHER
    assert [get.range for get in server.gets()] == ranges


def test_a_change_of_length_is_noticed_without_a_version(tmp_path, server, capsys):
    url = leave_part(tmp_path, server)
    server.files["/a.zip"] = Published(OTHER[:900_000])
    fetch([wanted(tmp_path, url, num_bytes=None, sha256=hashlib.sha256(OTHER[:900_000]).hexdigest())])
    assert (tmp_path / "a.zip").read_bytes() == OTHER[:900_000]
    assert [get.range for get in server.gets()] == ["bytes=400000-", None]
    assert "anew" not in capsys.readouterr().out  # before the wrong half was downloaded


def test_halves_that_do_not_fit_are_downloaded_anew_once(tmp_path, server, capsys):
    url = leave_part(tmp_path, server)
    server.files["/a.zip"] = Published(OTHER)
    fetch([wanted(tmp_path, url, sha256=OTHER_SHA256)])
    assert (tmp_path / "a.zip").read_bytes() == OTHER
    assert [get.range for get in server.gets()] == ["bytes=400000-", None]
    assert "after going on with an earlier part; downloading it anew\n" in capsys.readouterr().out


def test_a_part_that_was_damaged_meanwhile_is_downloaded_anew(tmp_path, server):
    url = leave_part(tmp_path, server, ETag='"1"')
    (tmp_path / "a.zip.part").write_bytes(bytes(400_000))
    fetch([wanted(tmp_path, url)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()] == ["bytes=400000-", None]


def test_halves_of_different_mirrors_that_do_not_fit_are_downloaded_anew(tmp_path, server):
    first = server.publish("/1/a.zip", OTHER, Trouble(drop_after=400_000), Trouble(status=404), ETag='"1"')
    second = server.publish("/2/a.zip", CONTENT, ETag='"1"')
    fetch([wanted(tmp_path, first, second)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets("/2/a.zip")] == ["bytes=400000-", None]


def test_a_file_that_changes_between_two_tries_is_downloaded_anew(tmp_path, server):
    url = server.publish("/a.zip", CONTENT, Trouble(content=OTHER, drop_after=400_000))
    fetch([wanted(tmp_path, url)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()] == [None, "bytes=400000-", None]


@pytest.mark.parametrize("num_bytes_there", [1_000_000, 1_000_001])
def test_a_part_that_is_whole_or_more_than_whole(tmp_path, server, num_bytes_there):
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"?" * (num_bytes_there - 1_000_000))
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT))])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()] == [None] * (num_bytes_there - 1_000_000)


@pytest.mark.parametrize("num_bytes_there", [1_000_000, 1_000_004])
def test_a_part_that_reaches_the_end_or_past_it(tmp_path, server, waits, num_bytes_there):
    (tmp_path / "a.zip.part").write_bytes((OTHER + b"more")[:num_bytes_there])
    url = server.publish("/a.zip", CONTENT)
    server.always["/a.zip"] = Trouble(is_unannounced=True)  # nobody says how long it is
    fetch([wanted(tmp_path, url, num_bytes=None)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets()] == [f"bytes={num_bytes_there}-", None]
    assert waits == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_mirror_is_asked_at_once(tmp_path, server, waits, capsys, status):
    first = server.publish("/1/a.zip", CONTENT, Trouble(status=status))
    second = server.publish("/2/a.zip", CONTENT)
    fetch([wanted(tmp_path, first, second)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert waits == []
    assert f"a.zip: got {status} (" in (out := capsys.readouterr().out)
    assert f") from {first}; trying {second}\n" in out


def test_a_mirror_goes_on_where_the_first_address_ended(tmp_path, server):
    first = server.publish("/1/a.zip", CONTENT, Trouble(drop_after=400_000), Trouble(status=404), ETag='"1"')
    second = server.publish("/2/a.zip", CONTENT, ETag='"2"')
    fetch([wanted(tmp_path, first, second)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [(get.range, get.if_range) for get in server.gets("/2/a.zip")] == [("bytes=400000-", None)]


def test_a_mirror_starts_anew_where_no_hash_is_known(tmp_path, server):
    first = server.publish("/1/a.zip", OTHER, Trouble(drop_after=400_000), Trouble(status=404), ETag='"1"')
    second = server.publish("/2/a.zip", CONTENT, ETag='"1"')
    fetch([wanted(tmp_path, first, second, sha256=None)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [get.range for get in server.gets("/2/a.zip")] == [None]


def test_a_mirror_helps_against_wrong_bytes(tmp_path, server, capsys):
    urls = [server.publish("/1/a.zip", OTHER), server.publish("/2/a.zip", CONTENT)]
    fetch([wanted(tmp_path, *urls)])
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert names(tmp_path) == [".hashes.json", "a.zip"]
    said = f"got sha256 {OTHER_SHA256} (1000000 bytes, kept as a.zip.bad) from {urls[0]}; trying {urls[1]}\n"
    assert said in capsys.readouterr().out


def test_wrong_bytes_are_kept_apart(tmp_path, server):
    urls = [server.publish("/1/a.zip", OTHER), f"{server.url}/2/a.zip"]
    with pytest.raises(
        FetchError,
        match=rf"^{tmp_path}/a\.zip: expected 1000000 bytes with sha256 {SHA256}, got sha256 {OTHER_SHA256} \(1000000 bytes, "
        rf"kept as a\.zip\.bad\) from {urls[0]}, then 404 \(Not Found\) from {urls[1]}; the published file may have changed: "
        rf"look at a\.zip\.bad, or {BY_HAND}",
    ):
        fetch([wanted(tmp_path, *urls)])
    assert (tmp_path / "a.zip.bad").read_bytes() == OTHER
    assert names(tmp_path) == [".hashes.json", "a.zip.bad"]


def test_wrong_bytes_by_md5(tmp_path, server):
    message = rf"expected md5 {MD5}, got md5 {hashlib.md5(OTHER).hexdigest()} \(1000000 bytes, kept as a\.zip\.bad\)"
    with pytest.raises(FetchError, match=message):
        fetch([wanted(tmp_path, server.publish("/a.zip", OTHER), num_bytes=None, sha256=None, md5=MD5)])


@pytest.mark.parametrize(
    ("trouble", "got"),
    [
        (Trouble(content=CONTENT[:900_000]), "900000 bytes"),
        (Trouble(content=CONTENT + b"?"), "1000001 bytes"),
        (Trouble(content=CONTENT + b"?", is_chunked=True), "more than 1000000 bytes"),
        (Trouble(announced=999_999), "999999 bytes"),
    ],
)
def test_another_length_is_another_file(tmp_path, server, waits, trouble, got):
    url = server.publish("/a.zip", CONTENT, trouble)
    with pytest.raises(
        FetchError, match=rf"expected 1000000 bytes with sha256 {SHA256}, got {got} from {url}; try again"
    ):
        fetch([wanted(tmp_path, url)])
    assert waits == []
    assert names(tmp_path) == []


def test_a_web_page_is_no_archive(tmp_path, server):
    url = server.publish("/a.zip", b"<p>please log in", Content_Type="text/html; charset=utf-8")
    with pytest.raises(
        FetchError, match=r"expected the published file, got a web page from .+/a\.zip; try again later"
    ):
        fetch([wanted(tmp_path, url, **UNKNOWN)])
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "known", [{}, {"md5": MD5}, {"sha256": SHA256}, {"sha256": SHA256.upper(), "num_bytes": 1_000_000}]
)
def test_a_file_that_is_there_is_read_once(tmp_path, monkeypatch, known):
    path = tmp_path / "a.zip"
    path.write_bytes(CONTENT)
    assert verify(Wanted(path, **known)) == SHA256
    monkeypatch.setattr(wanted_module, "_compute", lambda *_: pytest.fail("it is read again"))
    assert verify(Wanted(path, **known)) == SHA256
    assert verify(Wanted(path)) == SHA256


def test_what_was_downloaded_need_not_be_read_again(tmp_path, server, monkeypatch):
    fetch([wanted(tmp_path, server.publish("/a.zip", CONTENT))])
    monkeypatch.setattr(wanted_module, "_compute", lambda *_: pytest.fail("it is read again"))
    assert verify(wanted(tmp_path)) == SHA256


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(CONTENT)
    assert verify(Wanted(path)) == SHA256
    path.write_bytes(OTHER)
    os.utime(path, ns=(0, 0))
    assert verify(Wanted(path)) == OTHER_SHA256
    assert json.loads((tmp_path / ".hashes.json").read_text()) == {
        "a.zip": {"mtime_ns": 0, "num_bytes": 1_000_000, "sha256": OTHER_SHA256}
    }


@pytest.mark.parametrize("memory", ["", "[]", '{"a.zip": 1}', '{"a.zip": {}}', '{"a.zip": {"sha256": "x"}, "b": 2}'])
def test_a_damaged_memory_is_as_good_as_none(tmp_path, memory):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    (tmp_path / ".hashes.json").write_text(memory)
    assert verify(Wanted(tmp_path / "a.zip")) == SHA256


def test_a_memory_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    (tmp_path / ".hashes.json").mkdir()
    assert verify(Wanted(tmp_path / "a.zip")) == SHA256


KEPT = r"; the file is kept: delete it to download it again, or use it as it is with --archive .+/a\.zip$"


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"sha256": OTHER_SHA256}, rf"expected sha256 {OTHER_SHA256}, got sha256 {SHA256} \(1000000 bytes\)" + KEPT),
        ({"md5": "0" * 32}, rf"expected md5 0{{32}}, got md5 {MD5} \(1000000 bytes\)" + KEPT),
        ({"num_bytes": 5}, "expected 5 bytes, got 1000000 bytes" + KEPT),
        ({"num_bytes": 5, "sha256": SHA256}, rf"expected 5 bytes with sha256 {SHA256}, got 1000000 bytes" + KEPT),
    ],
)
def test_a_file_that_is_not_what_was_published(tmp_path, known, message):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    for _ in range(2):  # the second time from memory
        with pytest.raises(FetchError, match=rf"^{tmp_path}/a\.zip: {message}"):
            verify(Wanted(tmp_path / "a.zip", **known))
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FetchError, match=r"a\.zip: expected a file, found none; download it again$"):
        verify(Wanted(tmp_path / "a.zip"))
