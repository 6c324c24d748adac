"""One address: asked for the rest of a file again and again, as long as that leads to something."""

import re
from collections.abc import Callable, Mapping
from http.client import HTTPException
from urllib.parse import urlsplit

import requests
import urllib3

from audioprep.console import ByteProgress, say
from audioprep.errors import reason_of
from audioprep.io.fetch.part import Part
from audioprep.io.fetch.wanted import Wanted

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = (10.0, 60.0)  # to connect; between two arrivals of bytes
_PASSING_STATUSES = (408, 429, 500, 502, 503, 504)
_MAX_TRIES = 8  # in a row without a new byte
_MAX_TRIES_UNANSWERED = 3  # of an address that has not answered at all
_MAX_BACK_OFF_S = 60.0
_MAX_RETRY_AFTER_S = 120.0
_SAID_WAIT_S = 4.0  # shorter waits are not worth a line
_MAX_DIGITS = 18  # of a length; more are nonsense, and from 4300 on not even a number to Python
# Raw bytes, as their hash is published; and a name, as some servers refuse nameless scripts.
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "audioprep"}
_NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)


class AddressError(Exception):
    """An address does not have the file, or does not give it."""


class _PassingError(Exception):
    """One try failed; the next one may not."""

    def __init__(self, reason: str, *, is_answer: bool = True, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.is_answer = is_answer
        self.wait_s = wait_s


def receive(wanted: Wanted, url: str, part: Part, progress: ByteProgress, pause: Callable[[float], None]) -> None:
    """Let a file grow until it is whole.

    Args:
        wanted: The file.
        url: The address to ask.
        part: What is there of it.
        progress: Is told what comes.
        pause: Waits so many seconds; raises where the user wants to stop.

    Raises:
        AddressError: The address has another file or none, or there is no more progress.
    """
    num_tries, furthest, has_answered = 0, part.num_bytes, False
    while not _is_whole(wanted, part):
        try:
            _ask(wanted, url, part, progress, pause)
        except _PassingError as error:
            if part.num_bytes > furthest:
                num_tries, furthest, has_answered = 0, part.num_bytes, True
            num_tries += 1
            has_answered |= error.is_answer
            if num_tries == (_MAX_TRIES if has_answered else _MAX_TRIES_UNANSWERED):
                raise AddressError(f"{error} in {num_tries} tries") from None
            wait_s = min(2.0 ** (num_tries - 1), _MAX_BACK_OFF_S) if error.wait_s is None else error.wait_s
            if wait_s > _SAID_WAIT_S:
                say(f"{url}: {error}; trying again in {wait_s:.0f} s")
            pause(wait_s)


def announced_bytes(url: str) -> int | None:
    """Return how long the file at an address is; None where it does not say."""
    try:
        with requests.head(url, headers=_HEADERS, timeout=_TIMEOUT_S, allow_redirects=True) as response:
            return _span(response)[1] if response.status_code == 200 else None
    except (*_NETWORK_ERRORS, ValueError, AddressError):
        return None  # what is wrong, the download itself will say


def _is_whole(wanted: Wanted, part: Part) -> bool:
    num_bytes = _whole_bytes(wanted, part)
    if num_bytes is not None and part.num_bytes > num_bytes:
        part.restart()
    return part.num_bytes == num_bytes


def _whole_bytes(wanted: Wanted, part: Part) -> int | None:
    return part.num_bytes_whole if wanted.num_bytes is None else wanted.num_bytes


def _ask(wanted: Wanted, url: str, part: Part, progress: ByteProgress, pause: Callable[[float], None]) -> None:
    """Make one request for what is missing, and take what comes."""
    headers = _HEADERS | _range_headers(wanted, url, part)
    try:
        with _answer(url, headers) as response:
            _check_answer(wanted, response)
            _place(wanted, url, part, response, is_conditional="If-Range" in headers)
            num_bytes = _whole_bytes(wanted, part)
            progress.begin(wanted.path, part.num_bytes, num_bytes)
            # Not `iter_content`, which decodes, and loses what has come of a chunk when the connection breaks.
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
                pause(0)
                part.append(chunk)
                progress.advance(wanted.path, len(chunk))
                if num_bytes is not None and part.num_bytes > num_bytes:
                    part.restart()
                    raise AddressError(f"more than {num_bytes} bytes")
    except _NETWORK_ERRORS as error:
        raise _PassingError(_printable(_plainly(error, url, part)), is_answer=False) from None
    if num_bytes is None:  # nobody has said how long it is: what has come is all
        part.num_bytes_whole = part.num_bytes
    elif part.num_bytes < num_bytes:
        raise _PassingError(f"{part.num_bytes} of {num_bytes} bytes")


def _answer(url: str, headers: Mapping[str, str]) -> requests.Response:
    try:
        return requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    except ValueError as error:  # this address is none, or the one that the server sends us on to
        raise AddressError(f"an unusable address ({_printable(reason_of(error))})") from None


def _range_headers(wanted: Wanted, url: str, part: Part) -> dict[str, str]:
    if part.num_bytes and not (wanted.published_hash or (part.url == url and part.validator)):
        part.restart()  # nothing would tell whether the halves belong together
    if not part.num_bytes:
        return {}
    condition = {"If-Range": part.validator} if part.url == url and part.validator else {}
    return {"Range": f"bytes={part.num_bytes}-", **condition}


def _check_answer(wanted: Wanted, response: requests.Response) -> None:
    status = f"{response.status_code} ({_printable(response.reason)})"
    if response.status_code in _PASSING_STATUSES:
        raise _PassingError(status, wait_s=_retry_after_s(response.headers))
    if response.status_code not in (200, 206, 416):
        raise AddressError(status)
    if wanted.published_hash or response.status_code == 416:
        return
    # Where no hash would tell, neither a page that says `please log in` nor packed bytes must become the file. Where one
    # does, it decides: some servers call a .tar.gz an encoded .tar.
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise AddressError("a web page")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() not in ("", "identity"):
        raise AddressError(f"bytes encoded as {_printable(encoding)}, which was not asked for")


def _place(wanted: Wanted, url: str, part: Part, response: requests.Response, *, is_conditional: bool) -> None:
    """Decide where the body of an answer belongs: at the end of what is there, or in its place."""
    if response.status_code == 206 and not part.num_bytes:
        raise AddressError("a part, although the whole was asked for")
    start, num_bytes = _span(response)
    if num_bytes is not None and wanted.num_bytes not in (None, num_bytes):
        raise AddressError(f"{num_bytes} bytes")
    validator = _validator(response.headers)
    if response.status_code == 200:
        part.restart()
    elif (
        start != part.num_bytes
        or num_bytes is _whole_bytes(wanted, part) is None  # nothing would tell whether its end is the end
        or _differs(num_bytes, part.num_bytes_whole)
        or (is_conditional and _differs(validator, part.validator))
    ):
        part.restart()
        raise _PassingError("another range or version than asked for", wait_s=0.0)
    elif not is_conditional:
        part.is_joined = True
    part.note(url, validator or part.validator, num_bytes or part.num_bytes_whole)


def _differs(one: object, other: object) -> bool:
    return None not in (one, other) and one != other


def _span(response: requests.Response) -> tuple[int | None, int | None]:
    """Return where in the file a body starts, and how long the file is; None where that cannot be said."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, _count(length) if length.isdecimal() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if found is None:
        return None, None
    return _count(found[1]), None if found[2] == "*" else _count(found[2])


def _count(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise AddressError(f"a length of {len(digits)} digits")
    return int(digits)


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what names the version of a file; a weak ETag does not promise the same bytes."""
    etag = headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    try:
        wait_s = urllib3.Retry().parse_retry_after(headers["Retry-After"])
    except (KeyError, ValueError, OverflowError, urllib3.exceptions.InvalidHeader):
        return None
    return min(max(wait_s, 1.0), _MAX_RETRY_AFTER_S)


def _plainly(error: Exception, url: str, part: Part) -> str:
    """Return what is wrong with the network, as what was got."""
    if isinstance(error, urllib3.exceptions.HTTPError):  # what breaks off a body; before that, it is one of requests
        return f"only a part: connection broke off after {part.num_bytes} bytes"
    root, asked = _root_of(error), getattr(error, "request", None)
    host = urlsplit(asked.url if asked else url).hostname  # a server may have sent us on
    reason = getattr(root, "strerror", None) or str(root)
    if isinstance(error, requests.ReadTimeout) or isinstance(root, (ConnectionResetError, HTTPException)):
        return f"no answer from {host} ({reason})"
    if isinstance(error, requests.ConnectionError):
        return f"nothing: could not reach {host} ({reason})"
    return reason_of(root)


def _printable(text: str) -> str:
    """Return what a server says, fit for a terminal."""
    return re.sub(r"[^ -~]", "?", text[:200])


def _root_of(error: BaseException) -> BaseException:
    """Return what the network said, below what libraries made of it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
