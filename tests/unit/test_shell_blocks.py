"""Which commands of the pages nobody types for the reader, and that each such mark says why."""

from __future__ import annotations

from tests.support.machines.shell_blocks import PAGES, blocks

MOST_SKIPPED = 8


def test_at_most_eight_blocks_are_skipped_each_with_its_reason() -> None:
    skipped = [block for page in PAGES for block in blocks(page) if block.skipped]
    for block in skipped:
        print(f"{block.name}: {block.skipped}")
    assert len(skipped) <= MOST_SKIPPED
    assert all(len(block.skipped) > 10 for block in skipped)


def test_every_page_has_blocks_that_are_typed() -> None:
    assert [page for page in PAGES if not [block for block in blocks(page) if not block.skipped]] == []
