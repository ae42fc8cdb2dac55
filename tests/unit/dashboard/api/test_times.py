"""Times of a period, as the API reads them."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="fastapi is installed with roomtone[dashboard]")
from fastapi import HTTPException

from dashboard.api.common import parse_time

TEN = 1_769_853_600_000


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T10:00:00Z",
        "2026-01-31t10:00:00z",
        "2026-01-31t12:00:00+02:00",
        " 2026-01-31T10:00 ",
        "2026-01-31 10:00:00",
        # An unescaped `+` in a query arrives as a blank.
        "2026-01-31T12:00:00 02:00",
        "2026-01-31t12:00:00 02:00",
    ],
)
def test_every_form_of_rfc_3339_is_the_same_time(text):
    assert parse_time(text, 0) == TEN


def test_a_leap_second_is_a_time():
    assert parse_time("2016-12-31T23:59:60Z", 0) == parse_time("2016-12-31T23:59:59Z", 0)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "2026-01-31T25:00:00Z"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(HTTPException) as refused:
        parse_time(text, 0)
    assert refused.value.status_code == 422
    assert text in refused.value.detail


def test_without_a_time_it_is_the_default():
    assert parse_time(None, 1.5) == parse_time("", 1.5) == 1500
