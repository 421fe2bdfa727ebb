"""Fetching one published file over HTTPS: resumed after a cut, checked before it gets its name.

Nothing here is called without a person's click or command. httpx is imported on first use; it honours the proxies
(``HTTPS_PROXY``, ``NO_PROXY``, ...) and the certificates (``SSL_CERT_FILE``, ``SSL_CERT_DIR``) of the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import re
import shutil
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from deeplab_studio import __version__
from deeplab_studio.checkpoints.digest import Digest, sha256_of
from deeplab_studio.checkpoints.partial import Origin, PartialFile, not_writable
from deeplab_studio.checkpoints.progress import Meter, Progress
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError

if TYPE_CHECKING:
    import httpx

_MAX_BYTES = 4 << 30  # the largest published DeepLab checkpoint is below half a gigabyte
_MAX_REDIRECTS = 10
_MORE_THAN_LUCK = 1 << 20  # after so many more bytes the failures are counted anew
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_DISK_FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_TICK_SECONDS = 0.05
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """When to give up.

    Parameters
    ----------
    connect, read : float
        Seconds without a connection, or without a byte, after which an attempt has failed.
    attempts : int
        Failed attempts in a row; counted anew with every further megabyte that has arrived.
    pause : float
        Seconds before the second attempt, doubled for each one after that, up to eight times as long.
    """

    connect: float = 15.0
    read: float = 30.0
    attempts: int = 5
    pause: float = 1.0


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A complete file: its place, its size in bytes, and its SHA-256."""

    path: Path
    size: int
    sha256: str


class DownloadError(StudioError):
    """A file that could not be fetched."""


def download(
    url: str,
    target: Path,
    *,
    digest: Digest | None = None,
    size: int | None = None,
    mirror: str = "",
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelToken | None = None,
    patience: Patience | None = None,
) -> Downloaded:
    """Fetch `url` to `target`.

    What has arrived stays in ``TARGET.part`` when the connection breaks, the program ends or `cancel` is set, and the
    next call goes on from there if the server still has the same file. If another process is fetching the same target,
    this call waits for it. A complete file with the right hash is not fetched again.

    Parameters
    ----------
    url : str
        ``https://`` address; ``http://`` only on this machine.
    target : Path
        Name of the complete file; nothing incomplete or unchecked ever has it.
    digest : Digest, optional
        Published hash.
    size : int, optional
        Exact published size in bytes.
    mirror : str
        Address to ask instead, see `mirrored`.
    progress : callable, optional
        Called in this thread, at most ten times a second.
    cancel : CancelToken, optional
        Stops the transfer within a tenth of a second, even while the server is silent.
    patience : Patience, optional
        Time limits.

    Raises
    ------
    DownloadError
        If the file cannot be had, or is not the published one, or does not fit on the disk.
    StudioError
        If the folder cannot be written to.
    Cancelled
        If `cancel` was set. The part is kept; `deeplab_studio.checkpoints.partial.discard` removes it.
    """
    address = mirrored(url, mirror)
    partial = PartialFile(target)
    meter = Meter(progress)
    meter.update(partial.received, size)
    before = _signature(target)

    def waiting() -> None:
        origin = partial.origin
        meter.update(partial.received, origin.total if origin is not None else size)
        meter.tick()

    with partial.held(cancel, waiting):
        after = _signature(target)
        if after is not None and (digest.matches(target, cancel=cancel) if digest is not None else after != before):
            return Downloaded(target, target.stat().st_size, sha256_of(target, cancel))
        transfer = _Transfer(address, partial, digest, size, meter, cancel, patience or Patience())
        return _run(transfer.run(), cancel, meter.tick)


def mirrored(url: str, mirror: str) -> str:
    """Return the address to ask for `url` at a mirror.

    Parameters
    ----------
    url : str
        The published address.
    mirror : str
        Either a prefix that is put in front of the whole address (``https://mirror.example/`` gives
        ``https://mirror.example/https://github.com/...``), or a pattern with ``{host}``, ``{path}`` or ``{file}`` in
        it. Empty: no mirror.
    """
    mirror = mirror.strip()
    if not mirror:
        return url
    parts = urlsplit(url)
    path = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
    fields = {"{host}": parts.netloc, "{path}": path, "{file}": parts.path.rpartition("/")[2]}
    if not any(field in mirror for field in fields):
        return f"{mirror.rstrip('/')}/{url}"
    for field, value in fields.items():
        mirror = mirror.replace(field, value)
    return mirror


class _Broken(Exception):
    """The connection failed in a way that another attempt may survive; the message is a clause for a person."""


class _StartOver(Exception):
    """The server cannot go on from where the part ends."""


class _Transfer:
    """One call of `download`, with the lock held."""

    def __init__(
        self,
        url: str,
        partial: PartialFile,
        digest: Digest | None,
        size: int | None,
        meter: Meter,
        cancel: CancelToken | None,
        patience: Patience,
    ) -> None:
        self._url = url
        self._partial = partial
        self._digest = digest
        self._size = size
        self._meter = meter
        self._cancel = cancel
        self._patience = patience
        self._bytes_seen = False
        self._ended = False

    async def run(self) -> Downloaded:
        """Try until the file is complete or patience ends."""
        self._check_address(self._url)
        failures = 0
        mark = 0
        while not self._complete():
            broken = await self._attempt()
            if broken is None:
                continue
            received = self._partial.received
            failures += 1
            if received >= mark + _MORE_THAN_LUCK:
                failures, mark = 1, received
            # Without a single byte it is rather the address or the network than the line.
            if failures >= (self._patience.attempts if self._bytes_seen else min(2, self._patience.attempts)):
                raise self._failure(str(broken), self._go_on_hint()) from broken
            await asyncio.sleep(self._patience.pause * 2 ** min(failures - 1, 3))
        return self._accept()

    def _complete(self) -> bool:
        if self._ended:
            return True
        origin = self._partial.origin
        return origin is not None and origin.url == self._url and self._partial.received == origin.total

    def _client(self) -> httpx.AsyncClient:
        import httpx

        patience = self._patience
        timeout = httpx.Timeout(
            connect=patience.connect, read=patience.read, write=patience.read, pool=patience.connect
        )
        # identity: sizes and ranges must mean the file's own bytes.
        headers = {"Accept-Encoding": "identity", "User-Agent": f"deeplab-studio/{__version__}"}
        try:
            return httpx.AsyncClient(timeout=timeout, headers=headers)
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise self._failure(
                f"the proxy named in the environment cannot be used ({error})",
                "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY.",
            ) from error
        except (OSError, ssl.SSLError) as error:
            raise self._failure(
                f"the certificates named in the environment cannot be read ({error})",
                "Correct SSL_CERT_FILE or SSL_CERT_DIR.",
            ) from error

    async def _attempt(self) -> _Broken | None:
        """Fetch what is missing; return what broke the connection, if that may pass."""
        import httpx

        offset, headers = self._where_to_go_on()
        try:
            async with self._client() as client, self._answer(client, headers) as response:
                await self._receive(response, offset)
        except _StartOver:
            self._begin(None)
        except _Broken as broken:
            return broken
        except httpx.TransportError as error:
            return self._broken(error)
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise self._failure(f"the server's answer makes no sense ({error})", self._own_file_hint()) from error
        return None

    def _where_to_go_on(self) -> tuple[int, dict[str, str]]:
        offset, origin = self._partial.received, self._partial.origin
        if not offset or origin is None or origin.url != self._url:
            return 0, {}
        if not origin.validator and self._digest is None:
            return 0, {}  # nothing would tell that the server's file has changed in between
        headers = {"Range": f"bytes={offset}-"}
        if origin.validator:
            headers["If-Range"] = origin.validator
        return offset, headers

    @contextlib.asynccontextmanager
    async def _answer(self, client: httpx.AsyncClient, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """Ask, and follow redirects to addresses that are as safe as the first."""
        request = client.build_request("GET", self._url, headers=headers)
        for _ in range(_MAX_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None:
                    yield response
                    return
                request = response.next_request
            finally:
                await response.aclose()
            self._check_address(str(request.url))
        raise self._failure(f"the server redirects more than {_MAX_REDIRECTS} times", self._own_file_hint())

    async def _receive(self, response: httpx.Response, offset: int) -> None:
        resumed = self._check_status(response, offset)
        start = offset if resumed else 0
        total = self._announced_total(response, start)
        async with contextlib.aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_raw())) as body:
            first = await _first_bytes(body)
            origin = self._partial.origin
            if not resumed:
                self._check_content(response, first)
            elif origin is not None and None not in (origin.total, total) and origin.total != total:
                raise _StartOver
            expected = self._check_size(total)
            self._check_space(expected, start)
            if not resumed:
                headers = response.headers
                self._begin(Origin(self._url, headers.get("etag", ""), headers.get("last-modified", ""), expected))
            await self._write(first, body, start, expected)

    def _check_status(self, response: httpx.Response, offset: int) -> bool:
        """Return whether the answer continues at `offset`; raise if it is no file at all."""
        status = response.status_code
        if status == 416 and offset:
            raise _StartOver
        if status in _RETRY_STATUS:
            raise _Broken(f"the server answers {status} {response.reason_phrase}")
        if status not in (200, 206):
            raise self._failure(
                f"the server answers {status} {response.reason_phrase}".rstrip(),
                f"Look at the publisher's page whether the file has moved. {self._own_file_hint()}",
            )
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._failure("the server sends it compressed, so it cannot be checked", self._own_file_hint())
        if status == 200:
            return False
        span = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if span is None or int(span[1]) != offset:
            raise _StartOver if offset else self._failure("the server sends only a piece of it", self._own_file_hint())
        return offset > 0

    @staticmethod
    def _announced_total(response: httpx.Response, start: int) -> int | None:
        span = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if span is not None and span[3] != "*":
            return int(span[3])
        length = response.headers.get("content-length", "")
        return start + int(length) if length.isdecimal() else None

    def _check_content(self, response: httpx.Response, first: bytes) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml") or first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise self._failure(
                "the server sends a web page instead of the file",
                "Open the address in a browser: the network may want a login, or the publisher has moved the file. "
                + self._own_file_hint(),
            )
        if first.startswith(b"version https://git-lfs"):
            raise self._failure("the server sends a Git LFS pointer instead of the file", self._own_file_hint())

    def _check_size(self, total: int | None) -> int | None:
        """Return the size to expect, after comparing what the server announces with what is published."""
        if self._size is not None and total is not None and total != self._size:
            raise self._failure(
                f"the server offers {total:,} bytes, but the published file has {self._size:,}", self._own_file_hint()
            )
        if total is not None and total > _MAX_BYTES:
            raise self._failure(f"{total:,} bytes are more than any DeepLab checkpoint has", self._own_file_hint())
        return total if total is not None else self._size

    def _check_space(self, expected: int | None, start: int) -> None:
        free = shutil.disk_usage(self._partial.target.parent).free
        if expected is not None and expected - start > free:
            raise self._disk_full(expected - start, free)

    def _begin(self, origin: Origin | None) -> None:
        with self._disk_errors():
            if origin is None:
                self._partial.clear()
            else:
                self._partial.begin(origin)

    async def _write(self, first: bytes, body: AsyncIterator[bytes], start: int, expected: int | None) -> None:
        limit = expected if expected is not None else _MAX_BYTES
        received = start
        self._meter.start(received, expected)
        with self._disk_errors():
            file = self._partial.path.open("r+b", buffering=0)
        with file:
            file.seek(start)
            chunk = first
            while chunk:
                if received + len(chunk) > limit:
                    self._begin(None)
                    raise self._failure(
                        f"the server sends more than the {limit:,} bytes expected", self._own_file_hint()
                    )
                with self._disk_errors():
                    _write_all(file, chunk)
                received += len(chunk)
                self._bytes_seen = True
                self._meter.update(received, expected)
                chunk = await anext(body, b"")
        if expected is not None and received < expected:
            raise _Broken(f"the server stopped after {received:,} of {expected:,} bytes")
        self._ended = True

    def _accept(self) -> Downloaded:
        """Check what has arrived and give it its name."""
        partial = self._partial
        size = partial.received
        self._meter.update(size, size)
        self._meter.tick(now=True)
        sha256 = sha256_of(partial.path, self._cancel)
        if self._digest is not None and not self._digest.matches(partial.path, sha256, self._cancel):
            self._begin(None)
            raise self._failure(
                f"what the server sent is not the published file: its sha256 is {sha256}, expected was {self._digest}",
                f"Try again, without a mirror if you use one. {self._own_file_hint()}",
            )
        with self._disk_errors():
            partial.finish()
        return Downloaded(partial.target, size, sha256)

    def _check_address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(parts.hostname)):
            return
        where = "the address" if url == self._url else "the server redirects to one that"
        raise self._failure(
            f"{where} is not encrypted ({parts.scheme}://{parts.netloc}), so anyone on the way could exchange the file",
            "The network may want a login: open any page in a browser. " + self._own_file_hint()
            if url != self._url
            else "Use an address that begins with https://.",
        )

    def _broken(self, error: httpx.TransportError) -> _Broken:
        """Say what is wrong with the connection; raise if another attempt cannot help."""
        import httpx

        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            raise self._failure(
                f"the server's certificate is not trusted ({error})",
                "Behind a company's filter, set SSL_CERT_FILE to a file with the company's certificate.",
            ) from error
        if isinstance(error, httpx.ProxyError | httpx.UnsupportedProtocol):
            raise self._failure(
                f"the proxy refuses ({error})", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
            ) from error
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return _Broken(f"the address of {urlsplit(self._url).hostname} cannot be found; is there a network?")
        if isinstance(error, httpx.ConnectTimeout):
            return _Broken(f"the server did not answer within {self._patience.connect:g} s")
        if isinstance(error, httpx.ReadTimeout):
            return _Broken(f"the server sent nothing for {self._patience.read:g} s")
        if isinstance(error, httpx.ConnectError):
            return _Broken(f"there is no connection to {urlsplit(self._url).netloc}")
        return _Broken(f"the connection broke after {self._partial.received:,} bytes")

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise self._disk_full(None, shutil.disk_usage(self._partial.target.parent).free) from error
            raise not_writable(self._partial.target.parent, error) from error

    def _disk_full(self, needed: int | None, free: int) -> DownloadError:
        need = f"{_megabytes(needed)} are needed, " if needed is not None else ""
        return self._failure(
            f"it does not fit on the disk ({need}{_megabytes(free)} are free in {self._partial.target.parent})",
            "Free some space and go on: what has arrived is kept.",
        )

    def _failure(self, reason: str, hint: str) -> DownloadError:
        return DownloadError(reason, path=self._partial.target, hint=hint)

    def _go_on_hint(self) -> str:
        return "Go on later: what has arrived is kept." if self._partial.received else self._own_file_hint()

    def _own_file_hint(self) -> str:
        hint = f"If you have {self._partial.target.name} already, use that file"
        return f"{hint} ({self._digest})." if self._digest is not None else f"{hint}."


def _write_all(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


async def _first_bytes(body: AsyncIterator[bytes]) -> bytes:
    """Return the beginning of a body, long enough to tell a web page by it."""
    first = b""
    while len(first) < 64 and (chunk := await anext(body, b"")):
        first += chunk
    return first


def _run(work: Coroutine[Any, Any, _T], cancel: CancelToken | None, tick: Callable[[], None]) -> _T:
    """Run a coroutine in this thread and drop it as soon as `cancel` is set, whatever it waits for."""

    async def watched() -> _T:
        task = asyncio.ensure_future(work)
        try:
            while not task.done() and not (cancel is not None and cancel.cancelled):
                await asyncio.wait({task}, timeout=_TICK_SECONDS)
                tick()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            raise Cancelled
        return task.result()

    # Not asyncio.run: that waits for a name look-up that hangs, in a thread that cannot be interrupted.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(watched())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_this_machine(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
