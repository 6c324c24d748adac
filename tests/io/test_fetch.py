"""Downloads from a real server on this machine: whole and verified under their name, or not there."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from audioprep.errors import FetchError
from audioprep.io.fetch import fetch

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/none.zip":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:500_000] if self.path == "/cut.zip" else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_good_file_arrives_whole(tmp_path, server, sha256):
    fetch(f"{server}/a.zip", tmp_path / "new" / "a.zip", sha256)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.zip"]
    assert (tmp_path / "new" / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        (
            "/a.zip",
            "0" * 64,
            r"/a\.zip: expected sha256 0{64}, got other bytes \(.+"
            + SHA256
            + r".+\); the published file has changed or the "
            r"download was cut short: try again, or give a good copy with --archive$",
        ),
        (
            "/none.zip",
            SHA256,
            (
                r"/none\.zip: expected the archive, got HTTPError \(404 .+\); try again, or download it by other means and give it "
                r"with --archive$"
            ),
        ),
        (
            "/cut.zip",
            SHA256,
            r"/cut\.zip: expected the archive, got \w+Error \(.+\); try again, or download it by other",
        ),
        ("/cut.zip", None, r"/cut\.zip: expected the archive, got \w+Error \(.+\); try again, or download it by other"),
    ],
)
def test_anything_else_leaves_nothing_behind(tmp_path, server, path, sha256, message):
    with pytest.raises(FetchError, match=message) as error:
        fetch(server + path, tmp_path / path[1:], sha256)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path):
    with pytest.raises(FetchError, match=r"^http://127\.0\.0\.1:9/a\.zip: expected the archive, got ConnectionError"):
        fetch("http://127.0.0.1:9/a.zip", tmp_path / "a.zip", SHA256)
    assert list(tmp_path.iterdir()) == []
