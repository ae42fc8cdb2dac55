"""The names and descriptions of the evaluation protocols, without what runs them."""

from __future__ import annotations

from edge.util.errors import UserError

HOURS = 4.0
"""Of false alarms: without a single event, three are needed to be 95 % sure of less than one an hour."""
HOUSEHOLD = {
    "ordinary": "ordinary speech of speakers that no training heard, each source a room: share called an emotion",
    "household": "rooms of 85, 95 and 70 % neutral speech: emotions rightly named, neutral kept, precision of labels; "
    "this and the next three: test speakers, all of other corpora of labels, and DIR/<label>/<speaker>/* of your own",
    "episodes": "ten utterances, six of one emotion, after an ordinary hour: share found against false episodes",
    "arousal": "area under the curve of agitated against calm, neutral and ordinary speech",
    "one-emotion": "200 utterances of one label after 500 ordinary ones, and from the first minute: what it costs",
}
BUNDLE = HOUSEHOLD | {
    "held-out": "RAVDESS actors and nEMO speakers of splits.toml that no part of the training heard",
    "unseen-language": "EMOVO (Italian), or any DIR/<label>/* in a language that is not in training",
    "folder": "any DIR/<label>/* or DIR/<label>/<speaker>/* of audio",
    "noise": "held-out with recorded noise that no training heard, at 20, 10, 5 and 0 dB; loss against clean",
    "reverberation": "held-out in measured rooms that no training heard; loss against clean",
    "calibration": "held-out: calibration error, the bins of its diagram, accuracy of the surest 80 %",
    "false-alarms": "hours without speech through detector, segmenter and classifier: events an hour, with bounds",
    "vad": "speaker turns of meetings: how much speech the device hears, and how much else it takes for speech",
    "quantisation": "held-out: the bundle against a float conversion of the same weights (--run)",
}
LEFT_OUT = "ordinary-left-out"
OWN_TRAINING = {
    "ravdess-si": "evaluates a recipe: trained five times on the published folds of RAVDESS, 8 emotions, int8 of each "
    "fold (--recipe, --out; folds that are done are not trained again)",
    "random-split": "evaluates a recipe: random 80/20 split, 6 classes, over those of CREMA-D, RAVDESS, SAVEE and "
    "TESS that there are (--recipe, --out)",
    LEFT_OUT: "evaluates a run: each source of ordinary speech is left out of head, operating point and origin in "
    "turn, and measured as in ordinary, int8 (--run, --out, --source; sources that are done are not done again)",
}
PROTOCOLS = BUNDLE | OWN_TRAINING


def check(name: str) -> None:
    """Check the name of a protocol. Raises `UserError` for an unknown one."""
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol {name}: there are {', '.join(PROTOCOLS)}")
