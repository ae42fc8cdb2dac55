"""Takes the README's picture from a running dashboard: `python docs/images/take.py http://127.0.0.1:8080 rooms.png`.

Desktop and phone side by side, as one PNG below 300 kB; needs Playwright and a Chromium.
"""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = os.environ.get("ROOMTONE_CHROMIUM", "/usr/bin/chromium")
SHEET = """<body style="margin:0;width:1590px;height:820px;background:{page};position:relative">
<img style="{frame};left:20px;top:20px;width:1180px;border-radius:12px" src="data:image/png;base64,{desktop}">
<img style="{frame};left:1228px;top:58px;width:342px;border-radius:26px" src="data:image/png;base64,{phone}">"""
FRAME = "position:absolute;filter:drop-shadow(0 4px 20px #0003)"


def shot(browser: Browser, url: str, width: int, height: int, scheme: str) -> str:
    """One page as base64 PNG."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_selector(".rt-tile, .rt-empty")
    page.wait_for_timeout(1500)
    return base64.b64encode(page.screenshot()).decode()


def main(url: str, target: Path) -> int:
    """Writes the picture; fails when it is too large for a README."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        desktop, phone = shot(browser, url, 1280, 846, "light"), shot(browser, url, 360, 740, "dark")
        sheet = browser.new_page(viewport={"width": 1590, "height": 820})
        sheet.set_content(SHEET.format(page="#e9e7e1", frame=FRAME, desktop=desktop, phone=phone))
        sheet.wait_for_timeout(300)
        sheet.screenshot(path=target)
        browser.close()
    size = target.stat().st_size
    print(f"{target}: {size // 1000} kB")
    return 0 if size < 300_000 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
