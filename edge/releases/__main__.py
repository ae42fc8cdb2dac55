"""`python -m edge.releases`: one look at the repository, started by the link."""

import sys

from edge.releases.update_check import main

sys.exit(main())
