# SPDX-License-Identifier: Apache-2.0
"""The Ray Serve application: `import_path: inferd.serve:app`.

    serve run inferd.serve:app model=/models/sst2-minilm-l6 device=cpu

One deployment, Classifier: the engine in each replica, POST /infer as in docs/server.md in front of it.
`args` of the application are `Arguments`; a change of them replaces replicas, one surge at a time. The
deployment's `user_config` is `ModelConfig`; a change of it swaps models inside the running replicas.
docs/ray.md has the whole of it.
"""

# Without `from __future__ import annotations`: Ray reads the type of app()'s argument from its signature.

import asyncio
import contextlib
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import ray
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve import Application

from . import _engine
from ._asgi import App
from ._digest import digest
from ._model import Model
from ._ray_metrics import RayMetrics
from ._served import ModelConfig, NamedModels, Served, Source

__all__ = ["Arguments", "Classifier", "ModelConfig", "app"]

_log = logging.getLogger("ray.serve")
_LOAD_NICE = 10  # of the thread that verifies and loads a model while another serves


class Arguments(BaseModel):
    """Arguments of the application. Limits are those of `inferd serve`, under the same names."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None  # for `serve run`; in a config file it belongs into user_config
    dtype: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    device: Literal["cpu", "gpu", "auto"] = "auto"  # auto: gpu if the cluster has one now
    num_cpus: float = Field(1.0, gt=0)  # what a replica asks the cluster for
    threads: int = Field(0, ge=0)  # compute threads of a replica; 0: num_cpus, at least 1
    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(1, ge=1)
    scale_on: Literal["saturation", "requests"] = "saturation"
    target_saturation: float = Field(0.7, gt=0, le=1)
    target_ongoing_requests: float = Field(16.0, gt=0)
    upscale_delay_s: float = Field(1.0, ge=0)
    downscale_delay_s: float = Field(60.0, ge=0)
    max_models: int = Field(2, ge=1)  # in a replica's memory, beside the one that serves by default
    max_ongoing_requests: int = Field(1024, ge=1)  # of a replica; the engine's queue refuses before
    max_queued_requests: int = Field(256, ge=-1)
    batching: Literal["engine", "serve"] = "engine"
    serve_batch_size: int = Field(16, ge=1)  # with batching "serve": requests, and how long they wait
    serve_batch_wait_s: float = Field(0.01, ge=0)
    max_inputs: int = Field(128, ge=1)
    max_body_bytes: int = Field(2 << 20, ge=2)
    max_queue: int = Field(1024, ge=1)
    max_queue_tokens: int = Field(131072, ge=3)
    max_queue_wait_ms: int = Field(1000, ge=0)
    max_batch_tokens: int = Field(256, ge=3)
    max_batch_size: int = Field(64, ge=1)
    batch_wait_us: int = Field(0, ge=0)
    request_timeout_s: float = Field(10.0, gt=0)

    def compute_threads(self) -> int:
        return self.threads or max(1, int(self.num_cpus))


class Classifier:
    """A replica: the model that serves, swapped by reconfigure(), and named ones; the backend of _asgi.App."""

    def __init__(self, args: dict[str, Any]):
        self._args = a = Arguments(**args)
        self.max_body_bytes = a.max_body_bytes
        self.request_timeout_s = a.request_timeout_s
        self._served: Served | None = None
        self._models: dict[str, Source] = {}
        self._refusal: str | None = None
        self._metrics = RayMetrics(a.compute_threads(), a.max_queue, a.max_queue_tokens)
        self._named = NamedModels(a.max_models, self._load_quietly, self._metrics.retired)
        self._hand_over: asyncio.Task[None] | None = None
        self._swap = asyncio.Lock()
        self._batched = serve.batch(self._infer_batch, max_batch_size=a.serve_batch_size,
                                    batch_wait_timeout_s=a.serve_batch_wait_s,
                                    max_concurrent_batches=a.max_ongoing_requests) \
            if a.batching == "serve" else None
        if a.device == "gpu":
            _log.warning("this build of inferd has no GPU backend: the replica has a GPU and computes on the CPU")

    def _now(self) -> Served:
        if self._served is None:
            raise _engine.LoadingError("the model is still loading; retry in a second")
        return self._served

    def _all(self) -> list[Served]:
        return [*([self._served] if self._served else []), *self._named.loaded()]

    # The models.

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Load, warm up, then swap: requests go on meanwhile, and each is answered whole by the model
        that took it. With nothing to serve a bad model fails the replica; with one that serves it is
        refused, logged and counted, and the old one serves on: failing here would make Ray replace a
        replica that answers by one that cannot start."""
        config = ModelConfig(**user_config)
        async with self._swap:
            old = self._served
            try:
                if old is None or old.source != config.source():
                    await self._serve(config.source())
                if self._models != config.models:
                    await self._named.reconfigure(config.models)
                    self._models = config.models
            except _engine.Error as e:
                if old is None:
                    raise
                self._refusal = f"{config.model}: {e}"
                self._metrics.refusals.inc()
                _log.error("models refused, the old ones serve on: %s", self._refusal)
                return
            self._refusal = None
            if self._hand_over is None:
                self._hand_over = asyncio.get_running_loop().create_task(self._metrics.run(self._hand_over_now))

    async def _serve(self, source: Source) -> None:
        old = self._served
        self._served = await self._load(source, quietly=old is not None)
        if old:
            await old.retire(self._metrics.retired)

    def _hand_over_now(self) -> None:
        self._metrics.hand_over(self._all(), self._served is not None)

    async def _load_quietly(self, source: Source) -> Served:
        return await self._load(source, quietly=True)

    async def _load(self, source: Source, quietly: bool) -> Served:
        a, loop, began = self._args, asyncio.get_running_loop(), time.perf_counter()

        def open_model() -> tuple[Model, str]:
            if quietly:  # this thread alone; the compute threads are started by another
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOAD_NICE)
            model_digest = digest(source.model)
            return Model(source.model, dtype=source.dtype, max_length=source.max_length, threads=a.compute_threads(),
                         max_batch_tokens=a.max_batch_tokens, max_batch_size=a.max_batch_size,
                         batch_wait_us=a.batch_wait_us, max_queue=a.max_queue, max_queue_tokens=a.max_queue_tokens,
                         max_queue_wait_ms=a.max_queue_wait_ms, max_inputs=a.max_inputs), model_digest

        with ThreadPoolExecutor(1, "inferd-load") as pool:
            model, model_digest = await loop.run_in_executor(pool, open_model)
        await loop.run_in_executor(None, model.start)  # runs a warm-up batch on each compute thread
        await model.aclassify_json(b'{"text":"A short text that warms the replica up."}')
        served = Served(model, model_digest, source, time.perf_counter() - began)
        self._metrics.loaded()
        _log.info("model %s (%s, %s) serves", source.model, model.info["dtype"], model_digest)
        return served

    # The backend of the ASGI application.

    async def infer(self, body: bytes, timeout_s: float, model_id: str) -> tuple[bytes, str]:
        if self._batched is None:
            return await self._infer(body, timeout_s, model_id)
        outcome = await self._batched((body, timeout_s, model_id))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def _infer(self, body: bytes, timeout_s: float, model_id: str) -> tuple[bytes, str]:
        served = await self._named.get(model_id) if model_id else self._now()
        answer, times = await served.infer(body, timeout_s)
        self._metrics.stage(times)
        return answer, served.digest

    async def _infer_batch(self, requests: list[tuple[bytes, float, str]]) -> list[tuple[bytes, str] | BaseException]:
        """For batching "serve": what came within the wait goes to the engine together."""
        return await asyncio.gather(*(self._infer(*request) for request in requests), return_exceptions=True)

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return (True, {"status": "ready"}) if self._served else (False, {"status": "loading"})

    def info(self) -> dict[str, Any]:
        now, a = self._now(), self._args
        replica = serve.get_replica_context()
        limits = {"max_inputs": a.max_inputs, "max_body_bytes": a.max_body_bytes, "max_queue": a.max_queue,
                  "max_queue_tokens": a.max_queue_tokens, "max_batch_tokens": a.max_batch_tokens,
                  "max_batch_size": a.max_batch_size, "batch_wait_us": a.batch_wait_us,
                  "max_queue_wait_ms": a.max_queue_wait_ms, "max_models": a.max_models,
                  "request_timeout_ms": round(a.request_timeout_s * 1000)}
        model = dict(now.model.info)
        model["cpu_tier"] = model.pop("tier")
        return {"name": "inferd", "version": _engine.version, "model": {**model, "digest": now.digest},
                "models": self._named.info(),
                "threads": {"compute": a.compute_threads()}, "limits": limits, "counts": now.model.stats(),
                "ray": {"version": ray.__version__, "replica": replica.replica_id.unique_id, "pid": os.getpid(),
                        "device": a.device, "batching": a.batching, "last_refusal": self._refusal}}

    def begin(self) -> None:
        self._metrics.begin()

    def count(self, route: str, code: int, outcome: str, seconds: float, reason: str) -> None:
        self._metrics.count(route, code, outcome, seconds, reason)

    # What Ray calls.

    def __serve_build_asgi_app__(self) -> App:
        return App(self, names_requests=True, log=_log)

    def check_health(self) -> None:
        """Unhealthy when texts wait and no batch has ended since the last check: a compute thread hangs."""
        for served in self._all():
            if waiting := served.stuck():
                raise RuntimeError(f"{waiting} texts wait for {served.source.model} and no batch was computed since "
                                   "the last check")

    def record_autoscaling_stats(self) -> dict[str, float]:
        if self._served is None:
            return {}
        return {"inferd_saturation_ratio": sum(s.model.stats()["saturation_ratio"] for s in self._all())}

    async def __del__(self) -> None:
        if self._hand_over:
            self._hand_over.cancel()
        await self._named.close()
        if self._served:
            self._hand_over_now()
            self._served.model.close()


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "gpu" if ray.is_initialized() and ray.cluster_resources().get("GPU", 0) > 0 else "cpu"


def app(args: Arguments) -> Application:
    """The application's builder. Options that a config file gives for the deployment go before these."""
    device = _device(args.device)
    actor: dict[str, Any] = {"num_cpus": args.num_cpus}
    if device == "gpu":
        actor["num_gpus"] = 1  # without such a node this stays a pending demand, which an autoscaler sees
    scaling: dict[str, Any] = {"min_replicas": args.min_replicas, "max_replicas": args.max_replicas,
                               "upscale_delay_s": args.upscale_delay_s, "downscale_delay_s": args.downscale_delay_s,
                               "target_ongoing_requests": args.target_ongoing_requests,
                               "metrics_interval_s": 1.0, "look_back_period_s": 3.0}
    if args.scale_on == "saturation":
        scaling["policy"] = {"policy_function": "inferd.policy:Saturation",
                             "policy_kwargs": {"target": args.target_saturation}}
    deployment = serve.deployment(
        serve.ingress()(Classifier),
        name="Classifier",
        ray_actor_options=actor,
        autoscaling_config=scaling,
        max_ongoing_requests=args.max_ongoing_requests,
        max_queued_requests=args.max_queued_requests,
        backpressure_config={"status_code": 429, "retry_after_s": 1},
        health_check_period_s=5,
        health_check_timeout_s=15,
        graceful_shutdown_wait_loop_s=0.5,
        # above Ray's RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S (30 s by default), or the controller kills a
        # replica that still waits for HAProxy to let go of it
        graceful_shutdown_timeout_s=60,
        max_surge_percent=100,
    )
    if args.model is not None:
        deployment = deployment.options(user_config=ModelConfig(model=args.model, dtype=args.dtype).model_dump())
    return deployment.bind({**args.model_dump(), "device": device})
