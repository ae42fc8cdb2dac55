import gc

import pytest

from edge.util.loading.garbage import without_garbage_collection


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()
    assert gc.isenabled()


def test_nothing_is_searched_within_and_what_is_there_never_again():
    found: list[object] = []
    count = lambda phase, _info: found.append(phase)  # noqa: E731
    gc.callbacks.append(count)
    try:
        with without_garbage_collection():
            kept = [[] for _ in range(100_000)]
        assert not found
    finally:
        gc.callbacks.remove(count)
    assert gc.isenabled() and gc.get_freeze_count() >= len(kept)


def test_after_an_error_it_is_searched_again():
    with pytest.raises(ValueError, match="model"), without_garbage_collection():
        raise ValueError("model")
    assert gc.isenabled()
