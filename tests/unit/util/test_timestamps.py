"""Points in time as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.util import timestamps


def test_a_time_is_written_in_utc_with_milliseconds():
    summer = timezone(timedelta(hours=2))
    assert timestamps.rfc3339(datetime(2026, 7, 1, 12, 0, 0, 1999, summer)) == "2026-07-01T10:00:00.001Z"
    assert timestamps.from_unix(0) == "1970-01-01T00:00:00.000Z"
    assert timestamps.parse(timestamps.now()).tzinfo is not None


def test_a_time_without_a_zone_is_utc_and_a_date_that_does_not_exist_is_an_error():
    assert timestamps.parse("2026-01-01T10:00:00") == datetime(2026, 1, 1, 10, tzinfo=UTC)
    with pytest.raises(ValueError):
        timestamps.parse("2026-02-30T10:00:00.000Z")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31t10:00:00z",
        "2026-01-31 10:00:00.0000000000Z",
        "2026-01-31T12:00:00+02:00",
        "2026-01-31T10:00:00-00:00",
        "2026-01-31T10:00:00.0Z",
    ],
)
def test_every_form_of_rfc_3339_is_the_same_time(text):
    assert timestamps.parse(text) == datetime(2026, 1, 31, 10, tzinfo=UTC)


def test_a_leap_second_is_a_time():
    assert timestamps.parse("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.integers(0, 4_000_000_000_000))
def test_what_is_written_is_read_back_to_the_millisecond(milliseconds):
    read = timestamps.parse(timestamps.from_unix(milliseconds / 1000)).timestamp()
    assert abs(read * 1000 - milliseconds) <= 1
