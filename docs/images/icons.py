"""Draws the icons of the pages from `favicon.svg`: `python docs/images/icons.py`, then `./run frontend`.

iOS and most launchers take no SVG. Needs Playwright and a Chromium.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("ROOMTONE_CHROMIUM", "/usr/bin/chromium")
PUBLIC = Path(__file__).parents[2] / "dashboard" / "frontend" / "public"
PAPER = "#f6f5f2"
PAGE = """<style>html, body {{ margin: 0; background: transparent }}
body {{ display: grid; place-items: center; width: {size}px; height: {size}px; background: {paper};
        border-radius: {corner}% }}
svg {{ width: {share}%; height: {share}% }}</style>{drawing}"""


class Icon(NamedTuple):
    """One file. `share`: of its width that the drawing takes, `corner`: radius, both in per cent."""

    name: str
    size: int
    share: int
    corner: int


ICONS = (
    # iOS rounds it itself, and makes what is transparent black.
    Icon("apple-touch-icon.png", 180, 72, 0),
    Icon("icon-192.png", 192, 72, 22),
    Icon("icon-512.png", 512, 72, 22),
    # A launcher cuts a shape of its own out of it: what is outside of a circle of 80 % may be lost.
    Icon("icon-maskable-512.png", 512, 56, 0),
)


def main() -> int:
    """Writes all icons into the front end's folder of files that are served as they are."""
    drawing = (PUBLIC / "favicon.svg").read_text(encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for icon in ICONS:
            page = browser.new_page(viewport={"width": icon.size, "height": icon.size})
            page.set_content(
                PAGE.format(
                    size=icon.size, share=icon.share, corner=icon.corner, paper=PAPER, drawing=drawing
                )
            )
            page.screenshot(path=PUBLIC / icon.name, omit_background=True)
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
