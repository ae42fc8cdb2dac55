"""HTTPS for the client of the repository: nothing is endless, nothing is slow for ever, nobody leads it elsewhere."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient.fetcher import FetcherInterface

from edge.util.atomic_file import Step, no_step
from edge.util.errors import UserError

CHUNK: Final = 64 << 10
STALL_S: Final = 10.0
"""Without a byte for so long a transfer has failed."""
PATIENCE_S: Final = 30.0
"""So long may any transfer take."""
SLOWEST: Final = 8 << 10
"""Bytes a second that are to be expected beyond that: a model of 12 MB may take half an hour."""
MARK: Final = 1 << 20


class SlowError(DownloadError):
    """The server sends so slowly that it might never end."""


class HttpsFetcher(FetcherInterface):
    """`ca_file`: who signed the server's certificate; empty: whom the system trusts. Raises `UserError`."""

    def __init__(
        self,
        ca_file: str = "",
        step: Step = no_step,
        patience_s: float = PATIENCE_S,
        stall_s: float = STALL_S,
        slowest: float = SLOWEST,
    ) -> None:
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"updates.ca_file {ca_file}: cannot be read ({error})") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._patience_s, self._slowest = patience_s, slowest
        self._step = step
        self._pool = urllib3.PoolManager(
            ssl_context=context,
            timeout=urllib3.Timeout(connect=stall_s, read=stall_s),
            retries=False,
            headers={"User-Agent": "roomtone", "Accept-Encoding": "identity"},
        )

    def _fetch(self, url: str) -> Iterator[bytes]:
        self._step(f"fetch: {url.rpartition('/')[2]}")
        return self._bytes(url, 0, self._patience_s)

    def resume(self, url: str, path: Path, length: int, progress: Callable[[int], None]) -> None:
        """Fetches `length` bytes into `path`, going on where an earlier try has ended. Raises `DownloadError`."""
        have = path.stat().st_size if path.exists() else 0
        if have > length:
            path.unlink()
            have = 0
        marked = have
        with path.open("ab") as file:
            if have < length:
                for data in self._bytes(url, have, self._patience_s + length / self._slowest):
                    have += len(data)
                    if have > length:
                        file.truncate(0)
                        raise DownloadLengthMismatchError(
                            f"more than the {length} bytes that were signed: endless data"
                        )
                    file.write(data)
                    if have - marked >= MARK or have == length:
                        marked = have
                        file.flush()
                        self._step(f"download: {have} bytes")
                        progress(have)
            file.flush()
            os.fsync(file.fileno())
        self._step("download: synchronised")
        if have < length:
            raise DownloadError(
                f"the connection ended after {have} of {length} bytes; it goes on there next time"
            )

    def _bytes(self, url: str, start: int, patience_s: float) -> Iterator[bytes]:
        deadline = time.monotonic() + patience_s
        if not url.startswith("https://"):
            raise DownloadError(f"{url}: only https")
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            answer = self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"{url}: {_reason(error)}") from None
        try:
            if answer.status not in (200, 206) or (answer.status == 206) != bool(start):
                # An old server that ignores ranges would send everything again: then from the beginning, next time.
                raise DownloadHTTPError(f"{url}: status {answer.status}", answer.status)
            yield from self._chunks(answer, url, deadline)
        finally:
            answer.close()

    def _chunks(self, answer: urllib3.BaseHTTPResponse, url: str, deadline: float) -> Iterator[bytes]:
        try:
            while True:
                if time.monotonic() > deadline:
                    raise SlowError(f"{url}: too slow")
                # `read1` gives what is there: a trickle of bytes cannot hold us in one call.
                data = answer.read1(CHUNK)
                if not data:
                    return
                yield data
        except urllib3.exceptions.ReadTimeoutError:
            raise SlowError(f"{url}: too slow: nothing came any more") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DownloadError(f"{url}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """The innermost cause, in one line."""
    inner: BaseException = getattr(error, "reason", None) or error
    text = str(inner if isinstance(inner, BaseException) else error)
    return text.rpartition(">: ")[2].splitlines()[0][:200] if text else type(error).__name__
