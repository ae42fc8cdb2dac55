"""What all tables share: one `MetaData`, and how values are stored.

Times are milliseconds since 1970 (UTC). Shares and confidences are stored per mille, to keep rows small.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from edge.protocol import LABELS, UNCERTAIN

EMOTIONS: Final = (*LABELS, UNCERTAIN)
"""An emotion is stored as its index in this tuple; the order in the protocol never changes."""

QUARTER_MS: Final = 900_000
"""Length of a quarter of an hour. Every time zone is a whole number of quarters from UTC, so that the sums can be
added up to hours and days of any time zone."""

metadata = MetaData()
