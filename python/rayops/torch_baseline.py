# SPDX-License-Identifier: Apache-2.0
"""What inferd is compared with: the shape of the showcase's application, written anew on torch and Ray Serve.

Four deployments in a row - gateway, tokenizer, model, labels - and serve.batch of at most 16 requests or 10 ms
in front of the model. One fault of the showcase is mended, as it would decide every figure: requests of a batch
are padded to a common length before they are joined. `--padding each` leaves the fault in: each request is padded
by itself, and a batch whose requests differ in length cannot be joined and is lost. A baseline and nothing more:
no limits, no deadlines.

    python torch_baseline.py --model DIR --port 8000
"""

import argparse
import os
import signal
import time

import torch
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse
from transformers import AutoModelForSequenceClassification, AutoTokenizer


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
class Tokenize:
    def __init__(self, model):
        self.tokenizer = AutoTokenizer.from_pretrained(model)

    def __call__(self, texts):
        return self.tokenizer(texts, truncation=True, max_length=128)["input_ids"]


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Infer:
    def __init__(self, model, threads, padding):
        torch.set_num_threads(threads)
        self.padding = padding
        self.model = AutoModelForSequenceClassification.from_pretrained(model).eval()
        self.compute([[[101, 102]]])

    def padded(self, ids):
        longest = max(map(len, ids))
        return (torch.tensor([i + [0] * (longest - len(i)) for i in ids]),
                torch.tensor([[1] * len(i) + [0] * (longest - len(i)) for i in ids]))

    def compute(self, requests):
        if self.padding == "batch":
            requests = [[ids for request in requests for ids in request]]
        parts = [self.padded(request) for request in requests]
        padded, mask = (torch.cat(part) for part in zip(*parts))  # of different lengths: an error, for all of them
        with torch.inference_mode():
            return self.model(input_ids=padded, attention_mask=mask).logits.softmax(-1).tolist()

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.01)
    async def __call__(self, requests):
        scores = self.compute(requests)
        answers = []
        for request in requests:
            answers.append(scores[:len(request)])
            scores = scores[len(request):]
        return answers


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
class Label:
    def __call__(self, scores):
        return [{"label": ("NEGATIVE", "POSITIVE")[max(range(len(s)), key=s.__getitem__)],
                 "confidence": round(max(s), 6)} for s in scores]


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
class Gateway:
    def __init__(self, tokenize, infer, label):
        self.tokenize, self.infer, self.label = tokenize, infer, label

    async def __call__(self, request: Request):
        if request.url.path != "/infer":
            return JSONResponse({"status": "ready"})
        texts = (await request.json())["inputs"]
        ids = self.tokenize.remote(texts)
        return JSONResponse(await self.label.remote(self.infer.remote(ids)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--padding", choices=("batch", "each"), default="batch")
    o = p.parse_args()
    import local

    began = time.monotonic()
    with local.LocalRay(haproxy=False, cpus=2, env={"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0"}) as ray:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        serve.start(proxy_location="EveryNode", http_options={"host": "127.0.0.1", "port": o.port})
        model = os.path.abspath(o.model)
        serve.run(Gateway.bind(Tokenize.bind(model), Infer.bind(model, o.threads, o.padding), Label.bind()), name="baseline",
                  route_prefix="/")
        ray.port = o.port
        ray.wait_running()
        print(f"torch-baseline: ready in {time.monotonic() - began:.1f} s", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("torch-baseline: stopping", flush=True)


if __name__ == "__main__":
    main()
