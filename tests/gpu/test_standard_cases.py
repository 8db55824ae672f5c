# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The cases by which the ONNX standard tests its operators: engines have its results, or the builder says why not.

Never other numbers, and never the end of the process: each case runs in one beside that of the tests.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

import tests.gpu.relocated  # noqa: F401  # isort: skip  # before onnx's cases, in the process beside, too
from onnx.backend.test.case.test_case import TestCase

from nvidia_tao_deploy.engine.contract import BuildPlan
from nvidia_tao_deploy.engine.tensorrt import dialect
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend
from nvidia_tao_deploy.errors import TaoDeployError
from nvidia_tao_deploy.graph import pooling
from tests.graph import standard_cases

SECONDS = 240
"""How long a case may take. TensorRT 8.5 takes up to a minute for some when it compiles them beside other builds."""
READ = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
RIGHT, REFUSED = "right", "refused: "
KNOWN = {
    "test_clip_min_greater_than_max": "TensorRT clips from below last",
    "test_resize_downsample_scales_linear_align_corners": "TensorRT, as PyTorch, aligns the corners of whole sizes",
    "test_resize_downsample_scales_cubic_align_corners": "the same",
    **dict.fromkeys(
        [
            "test_attention_23_boolmask_fullymasked_row_nan_robustness",
            "test_attention_23_fullymasked_qk_matmul_output_mode3_zero",
            "test_attention_24_fullymasked_qk_matmul_output_mode3_zero",
            "test_attention_24_qk_matmul_output_mode3_softmax_precision",
            "test_attention_causal_boolmask_nan_robustness",
            "test_attention_local_window_gqa_rank4_mask",
        ],
        "NaN in rows that see nothing, where the standard says 0",
    ),
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal": "the lowest number in place of -inf",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal": "the same",
}
"""Case -> what TensorRT 8.5 makes of it."""

_NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Ceil Celu
CenterCropPad Clip Concat Conv ConvTranspose Cos Cosh CumSum DepthToSpace Div Dropout Elu Equal Erf Exp Expand EyeLike
Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
GridSample GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN LRN LSTM
LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool Mean
MeanVarianceNormalization Min Mish Mod Mul Neg OneHot Or PRelu Pad Pow RMSNormalization RNN Reciprocal ReduceL1
ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape
Resize RoiAlign RotaryEmbedding Round Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh
Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu
Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
COMPUTED_BY_TENSORRT_8_5 = frozenset(_NAMES.split())
"""Operators of which it computes a case at least, as it stands or as it is written for it."""


def _cases() -> dict[str, list[TestCase]]:
    """Operator -> cases of one node on types that engines have."""
    found: dict[str, list[TestCase]] = {}
    for case in standard_cases.collect():
        graph = case.model.graph
        types = {item.type.tensor_type.elem_type for item in (*graph.input, *graph.output)}
        if len(graph.node) == 1 and types <= READ:
            found.setdefault(graph.node[0].op_type, []).append(case)
    return found


CASES = _cases()


def _serve(connection: Connection) -> None:
    """Answer the names of cases with what became of them."""
    cases = {case.name: case for group in _cases().values() for case in group}
    backend = TensorRTBackend()
    while True:
        connection.send(_outcome(backend, cases[connection.recv()]))


def _outcome(backend: Any, case: TestCase) -> str:
    inputs, expected = case.data_sets[0]
    model = pooling.standard(standard_cases.stored(case.model, inputs))
    feeds = {value.name: np.asarray(array) for value, array in zip(model.graph.input, inputs, strict=False)}
    try:
        built = backend.build(model, BuildPlan(profiles={}))
        with backend.load(built.blob, Path("case.engine")) as engine:
            types = {info.name: info.dtype for info in engine.inputs}
            results = engine.infer({name: array.astype(types[name]) for name, array in feeds.items() if name in types})
    except TaoDeployError as error:
        return f"{REFUSED}{error}"
    wanted = [np.asarray(array) for array in expected]
    found = [_as_wide(results[output.name], array) for output, array in zip(model.graph.output, wanted, strict=True)]
    return standard_cases.differ(found, wanted) or RIGHT


def _as_wide(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Engines before TensorRT 10 have no int64."""
    return found.astype(np.int64) if (found.dtype, wanted.dtype) == (np.int32, np.int64) else found


class Worker:
    """A process that runs cases, and another after one that ended it."""

    def __init__(self) -> None:
        self._process: Any = None

    def run(self, name: str) -> str:
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._connection, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other,), daemon=True)
            self._process.start()
            other.close()
        try:
            self._connection.send(name)
            if self._connection.poll(SECONDS):
                return str(self._connection.recv())
            problem = f"no answer within {SECONDS} s"
        except (EOFError, OSError):
            self._process.join()
            problem = f"the process ended ({self._process.exitcode})"
        self.close()
        return problem

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.mark.parametrize("op", sorted(CASES))
def test_right_or_refused(op: str, worker: Worker) -> None:
    outcomes = {case.name: worker.run(case.name) for case in CASES[op]}
    print(*(f"{name}: {outcome}" for name, outcome in outcomes.items()), sep="\n")
    known = KNOWN if dialect.load(dialect.TENSORRT).version.startswith("8.5") else {}
    wrong = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome != RIGHT and not outcome.startswith(REFUSED) and name not in known
    }
    assert not wrong
    if op in COMPUTED_BY_TENSORRT_8_5:
        assert RIGHT in outcomes.values()
