# SPDX-License-Identifier: Apache-2.0
"""Text classification with BERT-family models: the inferd engine in Python.

    model = inferd.Model("models/sst2-minilm-l6")
    model.classify(["I love this!"])            # [Result(label='POSITIVE', confidence=0.98..., ...)]
    model.classify(texts, top_k=3)[0].scores    # (Score(label='joy', score=0.71), ...), highest first
    await model.aclassify(["This is awful."])   # the same from asyncio, no thread per call
    model.classify_json(b'{"text": "fine"}')    # the bytes of POST /infer, answered in C

Importing this package starts nothing. `inferd.serve` is the Ray Serve application and needs
`pip install 'inferd[ray]'`. Errors are `inferd.Error` and its subclasses, one for each row of the
engine's table.
"""

from ._engine import (
    BodyTooLargeError,
    CancelledError,
    ConflictError,
    CpuUnsupportedError,
    DeadlineError,
    Error,
    ExpectationFailedError,
    ForbiddenError,
    HeadersTooLargeError,
    HttpVersionError,
    InternalError,
    InvalidArgumentError,
    InvalidHttpError,
    InvalidJsonError,
    InvalidRequestError,
    InvalidUtf8Error,
    IoError,
    LengthRequiredError,
    LoadingError,
    MethodNotAllowedError,
    ModelInvalidError,
    ModelRefusedError,
    ModelUnsupportedError,
    NoMemoryError,
    NotFoundError,
    OverloadedError,
    RateLimitedError,
    RequestTimeoutError,
    Result,
    Score,
    TextTooLongError,
    Times,
    TooManyInputsError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
    UriTooLongError,
)
from ._engine import NotImplementedError as UnimplementedError  # not to hide the built-in one
from ._engine import version as __version__
from ._model import Model
from ._types import Info, Stats

__all__ = [
    "BodyTooLargeError",
    "CancelledError",
    "ConflictError",
    "CpuUnsupportedError",
    "DeadlineError",
    "Error",
    "ExpectationFailedError",
    "ForbiddenError",
    "HeadersTooLargeError",
    "HttpVersionError",
    "Info",
    "InternalError",
    "InvalidArgumentError",
    "InvalidHttpError",
    "InvalidJsonError",
    "InvalidRequestError",
    "InvalidUtf8Error",
    "IoError",
    "LengthRequiredError",
    "LoadingError",
    "MethodNotAllowedError",
    "Model",
    "ModelInvalidError",
    "ModelRefusedError",
    "ModelUnsupportedError",
    "NoMemoryError",
    "NotFoundError",
    "OverloadedError",
    "RateLimitedError",
    "RequestTimeoutError",
    "Result",
    "Score",
    "Stats",
    "TextTooLongError",
    "Times",
    "TooManyInputsError",
    "UnauthorizedError",
    "UnimplementedError",
    "UnsupportedMediaTypeError",
    "UriTooLongError",
    "__version__",
]
