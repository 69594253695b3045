# SPDX-License-Identifier: Apache-2.0
"""POST /infer as an ASGI application: the contract of docs/server.md on any ASGI server.

Paths, statuses, error bodies, limits and the meaning of headers are those of `inferd serve`; one suite
(tests/conformance) runs against both. What is beneath the application (framing, header limits, keep-alive)
is the ASGI server's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from . import _engine

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_log = logging.getLogger("inferd")
_READ = "GET, HEAD"
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"}
_SAFE_ID = re.compile(rb"[A-Za-z0-9\-_.:/+=@]{1,128}")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_JSON_TYPE = re.compile(rb'application/json[ \t]*(;[ \t]*charset=("utf-8"|utf-8))?', re.I)
_TIMEOUT = re.compile(rb"[0-9]{1,8}")
_TIMEOUT_MS_MAX = 86_400_000


class Backend(Protocol):
    """What the application answers from. Its event loop's thread alone."""

    max_body_bytes: int
    request_timeout_s: float

    async def infer(self, body: bytes, timeout_s: float, model_id: str) -> tuple[bytes, str]:
        """The answer's bytes and the digest of the model that they are from; raises inferd.Error.
        model_id: what the request names, or empty."""

    def ready(self) -> tuple[bool, dict[str, Any]]: ...
    def info(self) -> dict[str, Any]: ...
    def begin(self) -> None:
        """A request has come; count() ends it. What these mean: docs/metrics.md."""

    def count(self, route: str, code: int, outcome: str, seconds: float, reason: str) -> None:
        """reason: why it was shed, or where it was when the client went away; else empty."""


def outcome_of(error: _engine.Error | None) -> str:
    """The word of docs/metrics.md for how a request ended."""
    if error is None:
        return "ok"
    if isinstance(error, _engine.OverloadedError | _engine.LoadingError | _engine.NoMemoryError):
        return "shed"
    if isinstance(error, _engine.DeadlineError):
        return "deadline"
    return "client_error" if error.code < 500 or error.code in (501, 505) else "fault"


def reason_of(error: _engine.Error | None) -> str:
    """Why it was shed, in the words of docs/metrics.md."""
    if isinstance(error, _engine.OverloadedError):
        return "queue"
    if isinstance(error, _engine.LoadingError):
        return "loading"
    return "memory" if isinstance(error, _engine.NoMemoryError) else ""


class App:
    """The application. `names_requests`: the server in front echoes X-Request-ID itself (Ray Serve)."""

    def __init__(self, backend: Backend, *, names_requests: bool = False, log: logging.Logger = _log):
        self._backend = backend
        self._log = log
        self._names_requests = names_requests
        self._pages: dict[str, Callable[[], tuple[int, dict[str, Any]]]] = {
            "/healthz": lambda: (200, {"status": "ok"}),
            "/livez": lambda: (200, {"status": "ok"}),
            "/readyz": self._ready,
            "/info": lambda: (200, self._backend.info()),
            "/": self._index,
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return None
        began, error, code = time.perf_counter(), None, 200
        headers = {k.lower(): v for k, v in scope["headers"]}
        path = self._path(scope)
        counted = path if path == "/infer" or path in self._pages else "other"
        extra: Headers = []
        at = ["read"]  # where it is, for those who go away
        self._backend.begin()
        try:
            code, body = await self._answer(path, scope["method"], headers, receive, extra, at)
        except _engine.Error as e:
            error, code = e, e.code
            body = self._error_body(e, headers, extra)
        except asyncio.CancelledError:
            self._backend.count(counted, 499, "cancelled", time.perf_counter() - began, at[0])
            raise
        except Exception:
            self._log.exception("request failed: %s", path)
            error, code = _engine.InternalError("the request failed; the log says why"), 500
            body = self._error_body(error, headers, extra)
        if not self._names_requests:
            extra.append((b"x-request-id", self._request_id(headers)))
        level = logging.ERROR if code >= 500 else logging.DEBUG
        if self._log.isEnabledFor(level):
            trace = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
            self._log.log(level, "request id=%s trace=%s path=%s code=%d ms=%.2f",
                          self._request_id(headers).decode("latin-1"), trace[1].decode() if trace else "", path, code,
                          (time.perf_counter() - began) * 1e3)
        try:
            await send({"type": "http.response.start", "status": code, "headers": [
                (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *extra]})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        except BaseException:  # the server says so when the client has gone
            self._backend.count(counted, 499, "cancelled", time.perf_counter() - began, "write")
            raise
        self._backend.count(counted, code, outcome_of(error), time.perf_counter() - began, reason_of(error))

    @staticmethod
    def _path(scope: Message) -> str:
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        return (path.removeprefix(root) if root and root != "/" else path) or "/"

    def _request_id(self, headers: dict[bytes, bytes]) -> bytes:
        given = headers.get(b"x-request-id", b"")
        if self._names_requests or _SAFE_ID.fullmatch(given):
            return given
        made = secrets.token_hex(16).encode()
        headers[b"x-request-id"] = made  # the same in the body, the head and the log
        return made

    def _error_body(self, error: _engine.Error, headers: dict[bytes, bytes], extra: Headers) -> bytes:
        if error.code in (429, 503):
            after = error.retry_after
            extra.append((b"retry-after", b"%d" % (1 if after is None else math.floor(after) + 1)))
        return json.dumps({"error": {"code": error.code, "type": error.type, "message": str(error),
                                     "request_id": self._request_id(headers).decode("latin-1")}},
                          separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    def _ready(self) -> tuple[int, dict[str, Any]]:
        is_ready, body = self._backend.ready()
        return 200 if is_ready else 503, body

    def _index(self) -> tuple[int, dict[str, Any]]:
        routes = [{"path": "/infer", "methods": "POST"}, *({"path": p, "methods": _READ} for p in self._pages)]
        return 200, {"name": "inferd", "version": _engine.version, "routes": routes}

    async def _answer(self, path: str, method: str, headers: dict[bytes, bytes], receive: Receive,
                      extra: Headers, at: list[str]) -> tuple[int, bytes]:
        page = self._pages.get(path)
        if method not in _METHODS:
            raise _engine.NotImplementedError(f"the method {method} is not known")
        if page is None and path != "/infer":
            raise _engine.NotFoundError(f"there is no {path[:100]} here; GET / lists the routes")
        allow = _READ if page else "POST"
        if method not in allow.split(", "):
            extra.append((b"allow", allow.encode()))
            raise _engine.MethodNotAllowedError(f"{path} allows {allow}, not {method}")
        if page:
            code, value = page()
            if code == 503:
                extra.append((b"retry-after", b"1"))
            return code, json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self._check(headers)
        timeout_s = self._timeout(headers)
        model_id = headers.get(b"serve_multiplexed_model_id") or headers.get(b"serve-multiplexed-model-id") or b""
        body = await self._body(headers, receive)
        at[0] = "wait"
        answer, model = await self._backend.infer(body, timeout_s, model_id.decode("latin-1"))
        extra.append((b"x-model-digest", model.encode()))
        return 200, answer

    @staticmethod
    def _check(headers: dict[bytes, bytes]) -> None:
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            raise _engine.LengthRequiredError(
                "/infer needs a body: send Content-Length or Transfer-Encoding: chunked")
        if not _JSON_TYPE.fullmatch(headers.get(b"content-type", b"").strip()):
            raise _engine.UnsupportedMediaTypeError("/infer takes Content-Type: application/json (charset utf-8)")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise _engine.UnsupportedMediaTypeError("Content-Encoding is not supported: send the body as it is")

    def _timeout(self, headers: dict[bytes, bytes]) -> float:
        said = headers.get(b"x-request-timeout-ms")
        if said is None:
            return self._backend.request_timeout_s
        ms = int(said) if _TIMEOUT.fullmatch(said) else 0
        if not 1 <= ms <= _TIMEOUT_MS_MAX:
            raise _engine.InvalidRequestError(
                "X-Request-Timeout-Ms must be a whole number of milliseconds, 1 to 86400000")
        return min(ms / 1000.0, self._backend.request_timeout_s)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        most = self._backend.max_body_bytes
        too_large = _engine.BodyTooLargeError(f"the body is larger than --max-body-bytes {most}")
        if int(headers.get(b"content-length", b"0")) > most:
            raise too_large
        message = await receive()
        body: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body", False):
            if len(body) > most:
                raise too_large
            return body
        pieces, size = [body], len(body)
        while message["type"] == "http.request" and message.get("more_body", False):
            message = await receive()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > most:
                raise too_large
        if message["type"] != "http.request":
            raise asyncio.CancelledError("the client went away")
        return b"".join(pieces)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
