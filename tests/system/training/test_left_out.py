"""Protocol `ordinary-left-out` as a whole, on a tiny corpus: solved, exported as int8 and measured, once."""

import hashlib
import json
from dataclasses import replace

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
pytest.importorskip("tensorflow", reason="an export converts with TensorFlow (roomtone[training])")

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

from edge.inference import bundle as bundles  # noqa: E402
from edge.util.errors import UserError  # noqa: E402
from tests.support.training import tiny_run  # noqa: E402
from training.calibrate import relative_head  # noqa: E402
from training.data import splits  # noqa: E402
from training.data.corpora import catalogue  # noqa: E402
from training.evaluate.own_training import left_out as protocol  # noqa: E402
from training.evaluate.report import household_tables  # noqa: E402
from training.export import golden  # noqa: E402
from training.networks import pretrained  # noqa: E402


@pytest.mark.long
def test_a_source_is_measured_alone_and_only_once(tmp_path, monkeypatch):
    data, run = tiny_run.fitted(tmp_path)
    encoder = data / "whisper-base-encoder.npz"
    monkeypatch.setattr(pretrained, "SHA256", hashlib.sha256(encoder.read_bytes()).hexdigest())
    monkeypatch.setattr(relative_head, "LENGTH", 100)
    monkeypatch.setattr(relative_head, "FEWEST", 3)
    # The logits of a random encoder are never far apart.
    monkeypatch.setattr(golden, "MARGIN", 0.02)
    job = protocol.Job(run, data, tmp_path / "out", ("orders",), quiet=True)
    (found,) = protocol.run(job)
    assert set(found["sources"]) == {"orders"} and found["worst"]["source"] == "orders"
    one = found["sources"]["orders"]
    held = [clip for clip in catalogue.clips(catalogue.read(data, ["ordinary"])) if splits.is_held_back(clip)]
    speakers = {clip.speaker for clip in held if clip.corpus == "orders"}
    assert one["speakers"] == len(speakers) and one["utterances"] == found["n"] >= len(speakers)
    assert one["low_95"] <= one["called"] <= one["high_95"]
    assert one["from_first_low_95"] <= one["called_from_first"] <= one["from_first_high_95"]
    (folder,) = (tmp_path / "out" / "orders").glob("tiny-*")
    head = bundles.load(folder).manifest.relative
    assert head is not None and one["threshold"] == head.decision.threshold
    # The origin was taken from the other source alone.
    (means,) = (tmp_path / "out" / "orders").glob("origin-*.json")
    assert set(json.loads(means.read_text())) == {"ravdess", "nemo", "reading"}
    made = folder.stat().st_mtime_ns
    assert protocol.run(job) == [found] and folder.stat().st_mtime_ns == made
    with pytest.raises(UserError, match="kitchens"):
        protocol.run(replace(job, sources=("kitchens",)))
    table = household_tables.text([found])
    assert "orders" in table and "all utterances" in table
