import pytest

from edge.util.episodes import MAX_GAP_S, OFF, ON, Episodes


def said(episodes: Episodes, *values: float, begin: float = 0.0) -> list[object]:
    return [episodes.add(value, begin + 10.0 * number) for number, value in enumerate(values)]


def test_one_agitated_utterance_is_no_episode():
    episodes = Episodes()
    assert said(episodes, 0.0, 1.0, 0.0, 0.0) == [None] * 4
    assert not episodes.agitated


def test_several_start_one_and_calm_ends_it():
    episodes = Episodes()
    changes = [found for found in said(episodes, *[0.0] * 5, *[0.9] * 8, *[0.0] * 12) if found is not None]
    assert [found.ended for found in changes] == [False, True]
    assert changes[0].started_s == changes[1].started_s
    assert ON <= changes[0].peak < changes[1].peak < 0.9
    assert not episodes.agitated


def test_the_first_words_in_a_room_start_nothing_by_themselves():
    episodes = Episodes()
    assert said(episodes, 0.5, 0.5) == [None, None]
    assert episodes.arousal == pytest.approx(0.5 * (1 - (5 / 6) ** 2))


def test_it_does_not_flicker_between_its_two_thresholds():
    episodes = Episodes()
    middle = (ON + OFF) / 2
    changes = [one for one in said(episodes, *[0.9] * 8, *[middle] * 60) if one is not None]
    assert len(changes) == 1
    assert episodes.agitated


def test_a_long_silence_ends_it_and_forgets_what_was_said():
    episodes = Episodes()
    said(episodes, *[0.9] * 6)
    assert episodes.expire(60.0) is None
    ended = episodes.expire(50.0 + MAX_GAP_S)
    assert ended is not None and ended.ended
    assert episodes.arousal is None
    assert episodes.expire(2 * MAX_GAP_S) is None
