"""What loading a model imports and prints."""

import subprocess
import sys


def test_loading_says_nothing_and_importing_loads_nothing_heavy():
    code = (
        "import sys, edge.inference.classifier, edge.inference.bundle\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in "
        "('ai_edge_litert', 'tflite_runtime', 'librosa', 'scipy', 'tensorflow', 'soundfile')]\n"
        "from edge.inference import bundle, classifier\n"
        "classifier.Classifier(bundle.load(bundle.find('base'))).self_test()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
