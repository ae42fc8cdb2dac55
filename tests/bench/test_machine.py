"""What is measured is what an installation runs, and whether something else ran beside it is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench import bench, machine
from tests.conftest import ROOT

PROGRAM = """
import subprocess, sys
from tests.bench import machine
machine.as_installed()
subprocess.run([sys.executable, "-c", "import edge.cli.main as main; print(main.__cached__)"], check=True)
"""


def test_programs_find_their_byte_code_compiled_whatever_the_caller_forbids(tmp_path):
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)
    place = Path(done.stdout.strip())
    assert place.is_relative_to(tmp_path) and place.exists()
    # Not only what that program has imported, which it could have compiled itself.
    assert place.with_name(place.name.replace("main", "link")).exists()


def test_others_are_what_was_busy_less_ours_and_stolen_time_is_apart(monkeypatch):
    seconds = iter([(100.0, 1.0), (107.0, 2.0)])
    ours = iter([10.0, 14.0])
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(machine, "_busy", lambda: next(seconds))
    monkeypatch.setattr(machine, "_ended", lambda: next(ours))
    monkeypatch.setattr(machine.time, "monotonic", lambda: next(clock))
    found = machine.Others().found()
    assert (found["others_cores"], found["stolen_cores"]) == (0.3, 0.1)


def test_a_reader_is_told_of_other_work_and_only_then(capsys):
    quiet = {"load": 1.0, "others_cores": 0.05, "stolen_cores": 0.0}
    busy = {"load": 1.0, "others_cores": 0.7, "stolen_cores": 0.3}
    bench.show({"machine": "a machine", "beside": {"ear": quiet, "event": busy}})
    said = capsys.readouterr().out
    assert "`ear`" not in said
    assert "While `event` was measured, other programs took 0.70 cores and other guests of the host" in said


def test_parts_that_were_measured_one_by_one_make_one_set_of_figures(tmp_path, capsys):
    beside = {"load": 0.1, "others_cores": 0.0, "stolen_cores": 0.0}
    parts = (
        {
            "version": "1",
            "machine": "m",
            "ear_rss_mb": 50.0,
            "silence_cpu_share": 0.01,
            "beside": {"ear": beside},
        },
        {
            "version": "1",
            "machine": "m",
            "peer_rss_mb": 500.0,
            "reference_ms": 5.0,
            "beside": {"utterance": beside},
        },
    )
    files = [tmp_path / f"{number}.json" for number in range(2)]
    for file, part in zip(files, parts, strict=True):
        file.write_text(json.dumps(part))
    assert bench.main(["--json", "--figures", *map(str, files)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["times_smaller"] == 10.0 and found["silence_per_reference"] == 2.0
    assert set(found["beside"]) == {"ear", "utterance"}
