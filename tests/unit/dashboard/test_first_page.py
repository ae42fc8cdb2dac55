"""How much a browser requests before it shows the first page, counted in files: seconds depend on the machine."""

from __future__ import annotations

from html.parser import HTMLParser

from dashboard.spa import STATIC


class Head(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.preloaded: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "script":
            self.scripts.append(known["src"] or "")
        elif known.get("rel") == "modulepreload":
            self.scripts.append(known["href"] or "")
        elif known.get("rel") == "stylesheet":
            self.styles.append(known["href"] or "")
        elif known.get("rel") == "preload":
            self.preloaded.append(known)


def first_page() -> Head:
    head = Head()
    head.feed((STATIC / "index.html").read_text(encoding="utf-8"))
    return head


def test_the_first_page_needs_few_files():
    head = first_page()
    assert 1 <= len(head.scripts) <= 3 and len(head.styles) == 1
    for address in (*head.scripts, *head.styles):
        assert (STATIC / address.lstrip("/")).is_file()


def test_what_the_scripts_ask_for_first_is_requested_with_them():
    (request,) = first_page().preloaded
    # A browser uses it for `fetch` only if these three fit.
    assert (request["href"], request["as"]) == ("/api/hub", "fetch") and "crossorigin" in request
