"""`python -m edge.releases`: the update service (`update_service.py`)."""

import sys

from edge.releases.update_service.service import main

sys.exit(main())
