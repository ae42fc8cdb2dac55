"""The hub: recorder, web pages and API for the events that devices publish."""

import sys

# What libraries load wherever it is installed, and the hub never uses; they take these entries for an installation
# without it. httpx and mako (of alembic) load rich and pygments, for a command line and for coloured templates (13 MB);
# FastAPI the first edition of pydantic, to refuse its models (3 MB); uvicorn a watcher of source files (1 MB).
for _unused in ("httpx._main", "mako.ext.pygmentplugin", "pydantic.v1", "watchfiles"):
    sys.modules.setdefault(_unused, None)  # type: ignore[arg-type]
