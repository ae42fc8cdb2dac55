"""What all pages share: the style sheet, the icon, and the frame with the name and the navigation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nicegui import html, ui
from nicegui.dependencies import register_esm

from dashboard.auth.accounts import Identity
from dashboard.auth.middleware import identity_of
from dashboard.language import language_of, words

STATIC: Final = Path(__file__).parent / "static"
WEB: Final = Path(__file__).parent / "web"
FAVICON: Final = STATIC / "favicon.svg"

_pages: list[tuple[str, str]] = []


def install(pages: Iterable[tuple[str, str]]) -> None:
    """Once, before the first page: scripts and styles for all, and the navigation (address and name)."""
    _pages[:] = pages
    # Browsers keep scripts for a year under this address, so it has to change with their content, not only their names.
    files = sorted(WEB.glob("*.js"))
    register_esm("roomtone", WEB, max_time=max(file.stat().st_mtime for file in files))
    style = hashlib.sha256((STATIC / "theme.css").read_bytes()).hexdigest()[:12]
    ui.add_head_html(
        f'<link rel="stylesheet" href="/assets/theme.css?v={style}">'
        '<meta name="theme-color" media="(prefers-color-scheme: light)" content="#f6f5f2">'
        '<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#14161a">',
        shared=True,
    )


def _own(identity: Identity, text: Mapping[str, str]) -> None:
    """Who has logged in, and the way out."""
    if not identity.session or identity.label:
        return
    with html.form(method="post", action="/logout").classes("rt-own"):
        html.span(identity.name)
        html.button(text["logout"], type="submit").classes("rt-button")


@contextmanager
def frame(here: str) -> Iterator[None]:
    """The frame of a page; `here` is its address. What is made inside becomes the page's content."""
    request = ui.context.client.request
    text = words(language_of(request))
    html.a(text["skip"], href="#main").classes("rt-skip")
    with html.header().classes("rt-header"):
        with html.a(href="/", **{"aria-label": text["home"]}).classes("rt-brand"):
            html.img(src="/assets/favicon.svg", alt="", width=28, height=28)
            html.span("Roomtone")
        if len(_pages) > 1:
            with html.nav(**{"aria-label": text["pages"]}).classes("rt-nav"):
                for address, name in _pages:
                    link = html.a(text[name], href=address)
                    if address == here:
                        link.props('aria-current="page"')
        with html.div().classes("rt-tools"):
            html.button(text["language"], type="button", lang=text["language_code"]).props(
                f'data-rt="{text["language_code"]}"'
            ).classes("rt-tool")
            html.button("◐", type="button", title=text["theme"], **{"aria-label": text["theme"]}).props(
                'data-rt="theme"'
            ).classes("rt-tool")
            _own(identity_of(request), text)
    # NiceGUI has put all of it into a `main` already.
    with html.div(id="main", tabindex=-1).classes("rt-main"):
        yield
