"""What holds of every page that is made."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img"}
ADDRESS = re.compile(r"""(?:src|href)=["']?([^"' >]*)""")


class Balanced(HTMLParser):
    """Fails on a tag that is closed but not open, or the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<line/>` opens and closes itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_alone(page: str) -> None:
    """See to it that a page is well formed and needs neither files nor network."""
    assert not re.findall(r"url\(|@import|https?://", page)
    assert all(address.startswith(("#", "data:")) for address in ADDRESS.findall(page))
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
