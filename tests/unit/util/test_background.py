import threading

import pytest

from edge.util.loading.background import Background


def test_the_function_runs_beside_the_caller_and_its_result_is_waited_for():
    go = threading.Event()
    with Background(lambda: go.wait(10) and threading.current_thread()) as running:
        go.set()
        thread = running.result()
    assert isinstance(thread, threading.Thread) and thread is not threading.current_thread()


def test_what_it_raises_is_raised_where_the_result_is_wanted():
    with Background(lambda: {}["missing"]) as running, pytest.raises(KeyError, match="missing"):
        running.result()


def test_an_error_of_the_caller_waits_for_the_thread_all_the_same():
    ended = threading.Event()

    def slowly() -> None:
        threading.Event().wait(0.2)
        ended.set()

    with pytest.raises(ValueError, match="no microphone"), Background(slowly):
        raise ValueError("no microphone")
    assert ended.is_set()
