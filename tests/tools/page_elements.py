"""What a page of HTML consists of."""

from html.parser import HTMLParser


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """Every element of *page*, by its tag, with its attributes."""
    parser = _Elements()
    parser.feed(page)
    return parser.found


def inline_code(page: str) -> list[str]:
    """The tags in *page* that hold a script or a style themselves, or a handler or a style as an attribute."""
    return [
        tag
        for tag, attributes in elements(page)
        if tag == "style"
        or (tag == "script" and not attributes.get("src"))
        or any(name.startswith("on") or name == "style" for name in attributes)
    ]
