import gc

import pytest

from edge.util.loading.garbage import without_garbage_collection


@pytest.fixture(autouse=True)
def unfrozen():
    gc.unfreeze()
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


def test_what_was_off_stays_off_and_what_comes_later_is_not_frozen():
    with without_garbage_collection():
        pass
    frozen = gc.get_freeze_count()
    with without_garbage_collection():
        kept = [[] for _ in range(10_000)]
    assert gc.get_freeze_count() <= frozen and len(kept) == 10_000
    gc.disable()
    try:
        with without_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
