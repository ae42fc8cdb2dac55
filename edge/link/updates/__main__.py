"""`python -m edge.link.updates`: one look at the repository, started by the link."""

import sys

from edge.link.updates.agent import main

sys.exit(main())
