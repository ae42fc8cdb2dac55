"""`python -m edge.releases`: one check for updates, started by the link."""

import sys

from edge.releases.update_check import main

sys.exit(main())
