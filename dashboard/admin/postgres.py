"""Runs PostgreSQL's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess

from sqlalchemy import URL

from edge.util.errors import UserError


def run(program: str, url: URL | None, *arguments: str) -> str:
    """Run `pg_dump` or `pg_restore` and return its output. Raises `UserError`."""
    if shutil.which(program) is None:
        raise UserError(f"{program} is not installed: apt install postgresql-client")
    env, target = dict(os.environ), []
    if url is not None:
        # Not as an argument: every user of the machine can read those.
        env |= {"PGPASSWORD": str(url.password)} if url.password else {}
        target = [f"--dbname={url.set(drivername='postgresql', password=None).render_as_string()}"]
    done = subprocess.run(
        [program, *arguments, *target], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise UserError(f"{program}: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout
