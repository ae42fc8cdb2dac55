"""Names of bundles, the same for device, hub and workstation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocol.bundle_name import BundleName, family_of

numbers = st.tuples(*[st.integers(0, 999_999)] * 3)


@given(st.from_regex(r"[a-z][a-z0-9]{0,15}", fullmatch=True), numbers)
def test_a_name_is_read_as_it_is_written(family: str, version: tuple[int, int, int]) -> None:
    text = f"{family}-{version[0]}.{version[1]}.{version[2]}"
    assert str(BundleName.parse(text)) == text
    assert family_of(text) == family_of(f"/models/{text}") == family_of(family) == family


@given(numbers, numbers)
def test_versions_are_ordered_as_numbers(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    names = [BundleName.parse(f"base-{'.'.join(map(str, version))}") for version in (one, other)]
    assert (names[0] < names[1]) == (one < other)
    assert (names[0] == names[1]) == (one == other)


@pytest.mark.parametrize(
    "text",
    ["", "base", "base-1.0", "base-1.0.0.0", "Base-1.0.0", "base-01.0.0", "base-1.0.0\n", "../base-1.0.0",
     "base-1.0.0rc1", "base-1000000.0.0", "base--1.0.0"],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    assert BundleName.parse_or_none(text) is None
    with pytest.raises(ValueError, match="not the name of a bundle"):
        BundleName.parse(text)
