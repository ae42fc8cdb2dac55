"""A program that checks a bundle against its golden outputs, for interpreters other than this one."""

SELF_TEST = """
import sys
from pathlib import Path
from edge.inference import bundle
from edge.inference.classifier import Classifier
found = bundle.load(Path(sys.argv[1]))
Classifier(found, reference=True).self_test()
classifier = Classifier(found)
classifier.self_test()
print(classifier.runtime)
"""
