# SPDX-License-Identifier: Apache-2.0
"""The peers, each at its best settings for this job: one class an engine, run(prepared) -> labels.

ONNX Runtime: the graph fused by its own transformer optimiser, all optimisations; int8: dynamic,
weights per channel. OpenVINO: latency hint; int8: NNCF post-training quantisation for
transformers, calibrated on sentences of the set that is timed. CTranslate2: its own converter.
PyTorch: fused attention, inference mode."""

from __future__ import annotations

from pathlib import Path

from peers.padded import Padded, export, sizes, torch_model


class OnnxRuntime(Padded):
    def __init__(self, model: Path, folder: Path, threads: int, int8: bool):
        import onnxruntime

        super().__init__(model)
        self.name = f"onnxruntime {onnxruntime.__version__} {'int8' if int8 else 'fp32'}"
        heads, hidden = sizes(model)
        path = folder / "fused.onnx"
        if not path.exists():
            from onnxruntime.transformers import optimizer

            fused = optimizer.optimize_model(str(export(model, folder)), model_type="bert", num_heads=heads,
                                             hidden_size=hidden, opt_level=1)
            fused.save_model_to_file(str(path))
        if int8:
            quick = folder / "fused-int8.onnx"
            if not quick.exists():
                import onnx
                from onnxruntime.quantization import QuantType, quantize_dynamic

                # fused operators are of a domain that shape inference does not know
                quantize_dynamic(str(path), str(quick), per_channel=True, weight_type=QuantType.QInt8,
                                 extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
            path = quick
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, feed) -> list[int]:
        return self.session.run(None, feed)[0].argmax(-1).tolist()


class OpenVino(Padded):
    def __init__(self, model: Path, folder: Path, threads: int, kind: str, texts: list[str]):
        import openvino

        super().__init__(model)
        self.name = f"openvino {openvino.__version__.split('-')[0]} {kind}"
        core = openvino.Core()
        graph = core.read_model(str(export(model, folder)))
        if kind == "int8":
            import nncf

            quick = folder / "openvino-int8.xml"
            if not quick.exists():
                batches = [self.prepare([t]) for t in texts[:100]]
                graph = nncf.quantize(graph, nncf.Dataset(batches), model_type=nncf.ModelType.TRANSFORMER,
                                      subset_size=len(batches))
                openvino.save_model(graph, str(quick))
            graph = core.read_model(str(quick))
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        if kind in ("fp32", "bf16"):
            config["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[kind]
        self.request = core.compile_model(graph, "CPU", config).create_infer_request()

    def run(self, feed) -> list[int]:
        out = self.request.infer(feed, share_inputs=True, share_outputs=True)
        return next(iter(out.values())).argmax(-1).tolist()


class CTranslate2(Padded):
    """The encoder; the classifier's two small layers in numpy."""

    def __init__(self, model: Path, folder: Path, threads: int):
        import ctranslate2
        import torch

        super().__init__(model)
        self.name = f"ctranslate2 {ctranslate2.__version__} int8"
        out = folder / "ct2"
        if not out.exists():
            ctranslate2.converters.TransformersConverter(str(model)).convert(str(out), quantization="int8")
        self.encoder = ctranslate2.Encoder(str(out), device="cpu", compute_type="int8", intra_threads=threads)
        whole = torch_model(model)
        pre = whole.bert.pooler.dense if hasattr(whole, "bert") else whole.pre_classifier
        self.tanh = hasattr(whole, "bert")
        self.parts = [p.detach().numpy().copy() for p in (pre.weight, pre.bias, whole.classifier.weight, whole.classifier.bias)]

    def prepare(self, texts: list[str]):
        return [e.ids[: sum(e.attention_mask)] for e in self.tokenizer.encode_batch(texts)]

    def run(self, ids) -> list[int]:
        import numpy

        w, b, v, c = self.parts
        first = numpy.array(self.encoder.forward_batch(ids).last_hidden_state)[:, 0]
        h = first @ w.T + b
        h = numpy.tanh(h) if self.tanh else numpy.maximum(h, 0)
        return (h @ v.T + c).argmax(-1).tolist()


class PyTorch(Padded):
    def __init__(self, model: Path, threads: int):
        import torch

        super().__init__(model)
        self.name = f"pytorch {torch.__version__.split('+')[0]} fp32"
        torch.set_num_threads(threads)
        self.torch, self.model = torch, torch_model(model, "sdpa")

    def prepare(self, texts: list[str]):
        return {k: self.torch.from_numpy(v) for k, v in super().prepare(texts).items()}

    def run(self, feed) -> list[int]:
        with self.torch.inference_mode():
            return self.model(**feed).logits.argmax(-1).tolist()
