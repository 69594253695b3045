# SPDX-License-Identifier: Apache-2.0
"""POST /infer as one would write it in an afternoon: uvicorn, an ASGI function, torch, transformers.

Same request and answer as inferd's. One process, torch on all cores, a request's texts padded and
computed together in a worker thread. No queue bound and no deadline: that is what it is compared for.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import torch
import uvicorn
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class App:
    def __init__(self, model: str, max_length: int):
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForSequenceClassification.from_pretrained(model).eval()
        self.max_length = max_length
        self.turn = asyncio.Semaphore(1)  # torch uses all cores for one batch already

    def infer(self, texts: list[str]) -> bytes:
        with torch.inference_mode():
            batch = self.tokenizer(texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt")
            best = self.model(**batch).logits.softmax(-1).max(-1)
        names = self.model.config.id2label
        return json.dumps([{"label": names[int(i)], "confidence": round(float(v), 6)}
                           for v, i in zip(best.values, best.indices)]).encode()

    async def answer(self, scope, receive) -> tuple[int, bytes]:
        if scope["path"] == "/livez":
            return 200, b'{"status":"ok"}'
        if scope["path"] != "/infer" or scope["method"] != "POST":
            return 404, b"{}"
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            texts = json.loads(body)["inputs"]
            if not texts or not all(isinstance(t, str) and t for t in texts):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            return 400, b'{"error":{"code":400,"type":"invalid_request","message":"inputs"}}'
        async with self.turn:
            return 200, await asyncio.to_thread(self.infer, texts)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        status, body = await self.answer(scope, receive)
        await send({"type": "http.response.start", "status": status,
                    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", required=True)
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--max-length", type=int, default=128)
    args = p.parse_args()
    uvicorn.run(App(args.model, args.max_length), host="127.0.0.1", port=args.port, log_level="warning", access_log=False,
                backlog=4096)


if __name__ == "__main__":
    main()
