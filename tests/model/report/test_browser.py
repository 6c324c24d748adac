"""The page in a real browser: it is loaded by headless Chromium, and a script in it plays a clip and sorts a table."""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed")
WAIT_S = 60
# Runs before the page's own script, so that it sees all that goes wrong.
RECORD = """<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message ?? event.target.outerHTML.slice(0, 200))), true);
for (const name of ["error", "warn"]) console[name] = (...what) => problems.push(what.join(" "));
</script>"""
PHONE_PX = 360
# A frame has the width that media queries see; the window of a headless browser has a least one.
HARNESS = """<!doctype html><meta charset="utf-8"><title>harness</title>
<iframe id="wide" src="/report" width="1200" height="900" allow="autoplay"></iframe>
<iframe id="phone" src="/report" width="{phone}" height="900"></iframe>
<script>
const column = (table, number) => [...table.tBodies[0].rows].map((row) => row.cells[number].innerText);
async function verdict() {{
  const wide = document.getElementById("wide"), page = wide.contentDocument, found = {{}};
  const table = page.querySelector("#classes table.sortable"), heads = [...table.tHead.rows[0].cells];
  found.heads = heads.map((head) => head.innerText.trim());
  found.before = column(table, 0);
  const recall = heads.findIndex((head) => head.innerText.startsWith("recall")), press = heads[recall].querySelector("button");
  press.focus();
  found.isFocused = page.activeElement === press;
  press.click();
  found.falling = [heads[recall].ariaSort, column(table, recall)];
  press.click();
  found.rising = [heads[recall].ariaSort, column(table, recall)];
  heads[0].querySelector("button").click();
  found.byName = column(table, 0);
  const pick = page.querySelector("select.pick");
  pick.selectedIndex = 1;
  pick.dispatchEvent(new Event("change"));
  found.chosen = [pick.value, [...page.querySelectorAll("polyline[data-key].second")].map((line) => line.dataset.key)];
  const players = [...page.querySelectorAll("figure audio")];
  found.numPlayers = players.length;
  for (const player of players)
    if (player.readyState < 1) await new Promise((done) => player.addEventListener("loadedmetadata", done));
  found.lengths = players.map((player) => player.duration);
  players[0].muted = true;
  await players[0].play();
  await new Promise((done) => players[0].addEventListener("ended", done));
  found.playedTo = players[0].currentTime;
  await players[0].play();
  await players[1].play();
  found.isAlone = players[0].paused;
  found.pictures = [...page.querySelectorAll("img")].map((image) => image.naturalWidth);
  found.unnamed = [...page.querySelectorAll("img, svg, audio")].filter(
    (one) => !(one.getAttribute("alt") || one.getAttribute("aria-label"))).map((one) => one.outerHTML.slice(0, 80));
  const small = document.getElementById("phone").contentDocument.documentElement;
  found.overflow = [wide.contentDocument.documentElement, small].map((root) => root.scrollWidth - root.clientWidth);
  found.problems = [...wide.contentWindow.problems, ...document.getElementById("phone").contentWindow.problems];
  return found;
}}
addEventListener("load", () => verdict().catch((error) => ({{ failed: String(error) }})).then((found) =>
  fetch("/verdict", {{ method: "POST", body: JSON.stringify(found) }})));
</script>"""


@pytest.fixture
def verdict(noisy_report: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the browser has seen."""
    page = (noisy_report / "report.html").read_text().replace("<head>", f"<head>{RECORD}", 1)
    texts = {"/": HARNESS.format(phone=PHONE_PX), "/report": page}
    verdicts: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(texts.get(self.path, ""))

        def do_POST(self) -> None:
            verdicts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer("")

        def _answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    command = [str(CHROMIUM), *options, f"--user-data-dir={tmp_path}", "--remote-debugging-port=0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    browser = subprocess.Popen([*command, f"http://127.0.0.1:{server.server_port}/"], **quiet)  # type: ignore[call-overload]
    try:
        yield verdicts.get(timeout=WAIT_S)
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        server.server_close()


def test_the_page_works_in_a_browser(verdict: dict[str, Any]) -> None:
    assert "failed" not in verdict, verdict["failed"]
    assert verdict["problems"] == []
    assert verdict["before"] == ["bell", "drum", "siren"]
    assert verdict["isFocused"]
    for direction, order in (("falling", "descending"), ("rising", "ascending")):
        sort, texts = verdict[direction]
        numbers = [float(text.split()[0]) for text in texts]
        assert sort == order
        assert numbers == sorted(numbers, reverse=direction == "falling")
        assert len(set(numbers)) > 1
    assert verdict["byName"] == ["bell", "drum", "siren"]
    chosen, lines = verdict["chosen"]
    assert lines == [chosen, chosen]
    assert verdict["numPlayers"] >= 2
    assert verdict["lengths"] == pytest.approx([0.4] * verdict["numPlayers"], abs=0.12)  # MP3 has frames of 36 ms
    assert verdict["playedTo"] == pytest.approx(verdict["lengths"][0], abs=0.01)
    assert verdict["isAlone"]
    assert verdict["pictures"]
    assert all(width > 0 for width in verdict["pictures"])
    assert verdict["unnamed"] == []
    assert verdict["overflow"] == [0, 0]
