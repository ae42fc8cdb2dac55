"""What all pages share: style sheet, icon, and the frame with header and navigation."""

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
from dashboard.language import language_of, texts

STATIC: Final = Path(__file__).parent / "static"
WEB: Final = Path(__file__).parent / "web"
FAVICON: Final = STATIC / "favicon.svg"

_pages: list[tuple[str, str]] = []


def install(pages: Iterable[tuple[str, str]]) -> None:
    """Register scripts, styles and the navigation (path and name). Called once, before the first page."""
    _pages[:] = pages
    # Browsers cache scripts for a year under this address, so that it has to change with their content.
    files = sorted(WEB.glob("*.js"))
    register_esm("roomtone", WEB, max_time=max(file.stat().st_mtime for file in files))
    style = hashlib.sha256((STATIC / "theme.css").read_bytes()).hexdigest()[:12]
    ui.add_head_html(
        f'<link rel="stylesheet" href="/assets/theme.css?v={style}">'
        '<meta name="theme-color" media="(prefers-color-scheme: light)" content="#f6f5f2">'
        '<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#14161a">',
        shared=True,
    )


def _add_user(identity: Identity, text: Mapping[str, str]) -> None:
    """Add the name of the user and the logout button."""
    if not identity.session or identity.label:
        return
    with html.form(method="post", action="/logout").classes("rt-user"):
        html.span(identity.name)
        html.button(text["logout"], type="submit").classes("rt-button")


@contextmanager
def frame(path: str) -> Iterator[None]:
    """Build the frame of the page with that path; elements created inside become its content."""
    request = ui.context.client.request
    text = texts(language_of(request))
    html.a(text["skip"], href="#main").classes("rt-skip")
    with html.header().classes("rt-header"):
        with html.a(href="/", **{"aria-label": text["home"]}).classes("rt-brand"):
            html.img(src="/assets/favicon.svg", alt="", width=28, height=28)
            html.span("Roomtone")
        if len(_pages) > 1:
            with html.nav(**{"aria-label": text["pages"]}).classes("rt-nav"):
                for address, name in _pages:
                    link = html.a(text[name], href=address)
                    if address == path:
                        link.props('aria-current="page"')
        with html.div().classes("rt-tools"):
            html.button(text["language"], type="button", lang=text["language_code"]).props(
                f'data-rt="{text["language_code"]}"'
            ).classes("rt-tool")
            html.button("◐", type="button", title=text["theme"], **{"aria-label": text["theme"]}).props(
                'data-rt="theme"'
            ).classes("rt-tool")
            _add_user(identity_of(request), text)
    # NiceGUI has already wrapped everything in a `main` element.
    with html.div(id="main", tabindex=-1).classes("rt-main"):
        yield
