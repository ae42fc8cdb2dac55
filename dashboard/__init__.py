"""The hub: recorder, web pages and API for the events that devices publish."""

import sys

# httpx and mako (of alembic) load rich and pygments wherever they are installed, for a command line and for coloured
# templates: 13 MB of memory in every process of the hub. They take these entries for an installation without them.
for _unused in ("httpx._main", "mako.ext.pygmentplugin"):
    sys.modules.setdefault(_unused, None)  # type: ignore[arg-type]
