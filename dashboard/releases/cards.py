"""A model card as HTML: CommonMark and tables. HTML in it is shown as text, and nothing in it leads elsewhere."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

BELOW: Final = 2
"""The page has headings of its own above those of a card."""


@functools.cache
def _parser() -> MarkdownIt:
    # Loaded with the first card: 1 MB.
    from markdown_it import MarkdownIt

    parser = (
        MarkdownIt("commonmark", {"html": False})
        .enable("table")
        .disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
    )
    parser.add_render_rule("table_open", lambda *_: '<div class="rt-table" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def html(card: str) -> str:
    """Render a model card (Markdown) as safe HTML: tags of text and tables only, without attributes."""
    parser = _parser()
    tokens = parser.parse(card)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + BELOW)}"
    for opening, content, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.type == "th_open" and not content.content:
            opening.tag = closing.tag = "td"  # An empty header cell has no meaning to a screen reader.
    rendered: str = parser.renderer.render(tokens, parser.options, {})
    return rendered
