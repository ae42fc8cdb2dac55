"""HTTPS downloads for the repository client, with limits on length and time, and without redirects."""

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

from edge.config.trust import client_context
from edge.util.atomic_file import Step, no_step
from edge.util.errors import UserError

CHUNK: Final = 64 << 10
READ_TIMEOUT_S: Final = 10.0
"""A transfer without a byte for so long has failed."""
TRANSFER_TIMEOUT_S: Final = 30.0
"""Time that any transfer may take."""
MIN_BYTES_PER_S: Final = 8 << 10
"""A download may take longer in proportion to its length: a model of 12 MB half an hour."""
PROGRESS_BYTES: Final = 1 << 20


class SlowError(DownloadError):
    """The transfer is slower than `MIN_BYTES_PER_S`."""


class HttpsFetcher(FetcherInterface):
    """Downloads over HTTPS with limits of size and speed. Raises `UserError`.

    `ca_file`: certificate authority of the server; empty: those of the system.
    """

    def __init__(
        self,
        ca_file: str = "",
        step: Step = no_step,
        timeout_s: float = TRANSFER_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        min_bytes_per_s: float = MIN_BYTES_PER_S,
    ) -> None:
        try:
            context = client_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"updates.ca_file {ca_file}: cannot be read ({error})") from None
        self._timeout_s, self._min_bytes_per_s = timeout_s, min_bytes_per_s
        self._step = step
        self._pool = urllib3.PoolManager(
            ssl_context=context,
            timeout=urllib3.Timeout(connect=read_timeout_s, read=read_timeout_s),
            retries=False,
            headers={"User-Agent": "roomtone", "Accept-Encoding": "identity"},
        )

    def _fetch(self, url: str) -> Iterator[bytes]:
        self._step(f"fetch: {url.rpartition('/')[2]}")
        return self._bytes(url, 0, self._timeout_s)

    def resume(self, url: str, path: Path, length: int, progress: Callable[[int], None]) -> None:
        """Download `length` bytes into `path`, resuming an earlier attempt. Raises `DownloadError`."""
        have = path.stat().st_size if path.exists() else 0
        if have > length:
            path.unlink()
            have = 0
        marked = have
        with path.open("ab") as file:
            if have < length:
                for data in self._bytes(url, have, self._timeout_s + length / self._min_bytes_per_s):
                    have += len(data)
                    if have > length:
                        file.truncate(0)
                        raise DownloadLengthMismatchError(
                            f"more than the {length} signed bytes: endless data"
                        )
                    file.write(data)
                    if have - marked >= PROGRESS_BYTES or have == length:
                        marked = have
                        file.flush()
                        self._step(f"download: {have} bytes")
                        progress(have)
            file.flush()
            os.fsync(file.fileno())
        self._step("download: synchronised")
        if have < length:
            raise DownloadError(
                f"the connection ended after {have} of {length} bytes; the next attempt resumes there"
            )

    def _bytes(self, url: str, start: int, timeout_s: float) -> Iterator[bytes]:
        deadline = time.monotonic() + timeout_s
        if not url.startswith("https://"):
            raise DownloadError(f"{url}: only https")
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            answer = self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"{url}: {_reason(error)}") from None
        try:
            if answer.status not in (200, 206) or (answer.status == 206) != bool(start):
                # A server without range requests would send everything again: the next attempt starts anew.
                raise DownloadHTTPError(f"{url}: status {answer.status}", answer.status)
            yield from self._chunks(answer, url, deadline)
        finally:
            answer.close()

    def _chunks(self, answer: urllib3.BaseHTTPResponse, url: str, deadline: float) -> Iterator[bytes]:
        try:
            while True:
                if time.monotonic() > deadline:
                    raise SlowError(f"{url}: too slow")
                # `read1` returns what has arrived: a trickle of bytes cannot block in one call.
                data = answer.read1(CHUNK)
                if not data:
                    return
                yield data
        except urllib3.exceptions.ReadTimeoutError:
            raise SlowError(f"{url}: too slow: no more data arrived") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DownloadError(f"{url}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """The innermost cause, in one line."""
    inner: BaseException = getattr(error, "reason", None) or error
    text = str(inner if isinstance(inner, BaseException) else error)
    return text.rpartition(">: ")[2].splitlines()[0][:200] if text else type(error).__name__
