"""`python -m training`: the same as `roomtone train`, from a checkout that is not installed."""

import sys

from training.cli import main

sys.exit(main())
