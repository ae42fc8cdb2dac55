"""The way to the hub: what is signed here is brought there, the files first. The hub checks every signature itself."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

import urllib3

from edge.config.trust import client_context
from edge.util.errors import NotInForceError, UserError
from edge.util.text.text_file import first_line, read_text
from provisioning.publish.catalogue import Catalogue

TIMEOUT: Final = urllib3.Timeout(connect=10.0, read=120.0)


class Hub:
    """Client of the hub's operator API at `url`. Raises `UserError`.

    `ca`: certificate authority of the hub, PEM; `public`: whether those of the system are trusted, too.
    """

    def __init__(self, url: str, token: str, ca: str, public: bool) -> None:
        self._url = url.rstrip("/")
        try:
            context = client_context(cadata=ca or None)
            if public:
                context.load_default_certs()
        except (ssl.SSLError, ValueError) as error:
            raise UserError(f"the authority of the hub's certificate cannot be used ({error})") from None
        self._pool = urllib3.PoolManager(
            ssl_context=context, timeout=TIMEOUT, retries=False, headers={"Authorization": f"Bearer {token}"}
        )

    def bring(self, catalogue: Catalogue) -> dict[str, Any]:
        """Upload everything that the hub lacks; return its status. Nothing becomes visible before the last step."""
        there = self.status()
        for path in catalogue.roots():
            if int(path.name.partition(".")[0]) > there["root"]["version"]:
                self._call("PUT", "root", path.read_bytes())
        targets = catalogue.targets()
        if targets.signed.version > there["targets"]["version"]:
            for target in catalogue.listed():
                archive = catalogue.archive(target.release.path, target.sha256)
                self._call("PUT", f"files/{archive.name}", archive.read_bytes())
            self._call("PUT", "targets", targets.to_bytes())
        return self.status()

    def check_served(self, catalogue: Catalogue) -> int:
        """Read what a device would read, and compare its versions with ours; return the timestamp's version.

        Raises `NotInForceError`.
        """
        root, targets = catalogue.root().signed.version, catalogue.targets().signed.version
        try:
            timestamp = self._served("timestamp.json")
            snapshot = timestamp["meta"]["snapshot.json"]["version"]
            served = self._served(f"{snapshot}.snapshot.json")["meta"]["targets.json"]["version"]
            self._served(f"{root}.root.json")
        except UserError as error:
            raise NotInForceError(f"NOT IN FORCE: {error}") from None
        if served != targets:
            raise NotInForceError(
                f"NOT IN FORCE: {self._url} serves version {served} of the releases, and here is {targets}"
            )
        return int(timestamp["version"])

    def _served(self, name: str) -> dict[str, Any]:
        found = self._request("GET", f"{self._url}/metadata/{name}", b"").get("signed")
        if not isinstance(found, dict):
            raise UserError(f"{self._url}/metadata/{name}: not metadata of releases")
        return found

    def refresh(self) -> int:
        """Have the hub sign a new timestamp; return its version."""
        return int(self._call("POST", "refresh", b"")["timestamp_version"])

    def status(self) -> dict[str, Any]:
        """Return the versions that the hub serves."""
        return self._call("GET", "status", b"")

    def _call(self, method: str, what: str, body: bytes) -> dict[str, Any]:
        return self._request(method, f"{self._url}/api/{what}", body)

    def _request(self, method: str, url: str, body: bytes) -> dict[str, Any]:
        try:
            answer = self._pool.request(method, url, body=body or None, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise UserError(
                f"{url}: the hub cannot be reached ({error.__class__.__name__}: {error}); start it, or see "
                "`roomtone fleet keys show` for the address that `keys init` was given"
            ) from None
        try:
            found = answer.json()
        except ValueError:
            found = {}
        if answer.status != 200 or not isinstance(found, dict):
            why = found.get("detail", "") if isinstance(found, dict) else ""
            raise UserError(f"{url}: the hub answers {answer.status} {why}".rstrip())
        return found


def hub_of(catalogue: Catalogue, ca_file: Path | None) -> Hub:
    """Return the client for the hub that `fleet keys init` has noted; `ca_file` replaces its certificate authority."""
    own = catalogue.folder.parent / "ca.crt"
    public = ca_file is None and not catalogue.about.ca
    if ca_file is not None:
        ca = read_text(ca_file, "`--ca`")
    else:
        ca = catalogue.about.ca or (read_text(own) if own.exists() else "")
    token = first_line(catalogue.folder / "upload.token", "`roomtone fleet keys`").strip()
    return Hub(catalogue.about.url, token, ca, public)
