from collections import Counter

import pytest

from edge.protocol import LABELS
from edge.util.errors import UserError
from training.data import splits
from training.data.corpora import (
    catalogue,
    crema_d,
    emodb,
    emovo,
    folder,
    nemo,
    ravdess,
    savee,
    tess,
)
from training.data.corpora.clip import LABEL_WORDS


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def heard(found):
    return {clip.path.name: (clip.speaker, clip.label) for clip in found.clips}


def test_ravdess_counts_calm_as_neutral_and_skips_song(tmp_path):
    touch(
        tmp_path, "Actor_01/03-01-02-01-01-01-01.wav", "Actor_02/03-01-08-02-01-01-02.flac",
        "Actor_01/03-02-03-01-01-01-01.wav", "Actor_01/notes.wav", "Actor_01/03-01-09-01-01-01-01.wav",
    )  # fmt: skip
    found = ravdess.scan(tmp_path)
    assert heard(found) == {
        "03-01-02-01-01-01-01.wav": ("ravdess/01", "neutral"),
        "03-01-08-02-01-01-02.flac": ("ravdess/02", "surprised"),
    }
    assert {reason: len(paths) for reason, paths in found.skipped.items()} == {
        "not audio-only speech": 1, "not a RAVDESS file name": 1, "unknown emotion 09": 1,
    }  # fmt: skip


def test_nemo_names_what_the_table_has_and_the_folder_lacks(tmp_path):
    touch(tmp_path, "samples/AB0_anger_1.opus")
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    rows += ['AB0_anger_1.wav\tanger\t"x\tx\t  AB0\tmale\t20', "AB0_fear_1.wav\tfear\tx\tx\tAB0\tmale\t20"]
    (tmp_path / "data.tsv").write_text("\n".join(rows), encoding="utf-8")
    found = nemo.scan(tmp_path)
    assert heard(found) == {"AB0_anger_1.opus": ("nemo/AB0", "angry")}
    assert found.skipped == {"named in data.tsv but not there": ["AB0_fear_1.wav"]}


@pytest.mark.parametrize(
    ("scan", "name", "expected"),
    [
        (tess.scan, "OAF_back_ps.wav", ("tess/OAF", "surprised")),
        (tess.scan, "OA_bite_neutral.wav", ("tess/OAF", "neutral")),
        (tess.scan, "YAF_youth_fear.opus", ("tess/YAF", "fearful")),
        (emovo.scan, "f1/gio-f1-b1.wav", ("emovo/f1", "happy")),
        (emovo.scan, "m3/tri-m3-l4.opus", ("emovo/m3", "sad")),
        (crema_d.scan, "AudioWAV/1001_DFA_ANG_XX.wav", ("crema-d/1001", "angry")),
        (crema_d.scan, "AudioWAV/1091_WSI_NEU_XX.wav", ("crema-d/1091", "neutral")),
        (savee.scan, "DC_a01.wav", ("savee/DC", "angry")),
        (savee.scan, "KL/su15.wav", ("savee/KL", "surprised")),
        (savee.scan, "JE/sa02.wav", ("savee/JE", "sad")),
        (emodb.scan, "wav/03a01Fa.wav", ("emo-db/03", "happy")),
        (emodb.scan, "wav/16b10Wb.wav", ("emo-db/16", "angry")),
        (folder.scan, "Angry/a.wav", ("folder/unknown", "angry")),
        (folder.scan, "sad/anna/deep/a.mp3", ("folder/anna", "sad")),
    ],
)
def test_official_names_are_read(tmp_path, scan, name, expected):
    touch(tmp_path, name)
    assert list(heard(scan(tmp_path)).values()) == [expected]


@pytest.mark.parametrize(
    "scan",
    [ravdess.scan, tess.scan, emovo.scan, crema_d.scan, savee.scan, emodb.scan, folder.scan, nemo.scan],
)
def test_a_strange_file_is_skipped_with_a_reason(tmp_path, scan):
    touch(tmp_path, "strange.wav", "data.tsv")
    found = scan(tmp_path)
    assert not found.clips
    if scan is not nemo.scan:
        assert sum(map(len, found.skipped.values())) == 1


def test_every_word_means_a_label_or_nothing():
    assert set(LABEL_WORDS.values()) == {*LABELS, None}


def test_a_missing_or_empty_corpus_is_said(tmp_path):
    with pytest.raises(UserError, match="ravdess is missing"):
        catalogue.read(tmp_path, ["ravdess"])
    (tmp_path / "ravdess").mkdir()
    with pytest.raises(UserError, match="it is empty"):
        catalogue.read(tmp_path, ["ravdess"])


def test_no_shipped_weight_hears_a_corpus_that_its_licence_forbids():
    for name in splits.load().corpora:
        assert catalogue.CORPORA[name].trainable
    for name in ("tess", "emovo"):
        assert not catalogue.CORPORA[name].trainable


def test_speakers_never_cross_a_split():
    split = splits.load()
    assert not split.fit & split.calibrate
    assert not split.fit & split.test
    assert not split.calibrate & split.test
    assert {f"ravdess/{actor}" for actor in ("02", "05", "14", "15", "16")} <= split.test
    assert len([speaker for speaker in split.test if speaker.startswith("nemo/")]) == 2


def test_a_speaker_in_two_lists_is_refused(tmp_path):
    text = 'corpora = ["ravdess"]\n[fit]\nravdess = ["01"]\n[calibrate]\nravdess = ["02"]\n[test]\nravdess = ["01"]\n'
    (tmp_path / "splits.toml").write_text(text)
    with pytest.raises(UserError, match="ravdess/01"):
        splits.load(tmp_path / "splits.toml")


@pytest.mark.data
def test_the_corpora_here_are_whole_and_every_speaker_has_a_part(corpora):
    split = splits.load()
    clips = catalogue.clips(catalogue.read(corpora, split.corpora))
    assert Counter(clip.corpus for clip in clips) == {"ravdess": 1440, "nemo": 4481}
    assert {clip.speaker for clip in clips} == split.fit | split.calibrate | split.test
    assert sum(len(split.select(clips, part)) for part in splits.PARTS) == len(clips)
    assert {clip.label for clip in split.select(clips, "test")} == set(LABELS)
