# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT and TensorRT RTX as backends. Importing this module imports neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nvidia_tao_deploy.engine.contract import Built, Engine
from nvidia_tao_deploy.engine.tensorrt import plan_file

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from nvidia_tao_deploy.engine.contract import BuildPlan, LayerFacts


class TensorRTBackend:
    """TensorRT 8.5 and later: builds and runs on the GPU of this machine."""

    name = "tensorrt"
    timing_cache = True

    def unavailable(self) -> str | None:
        """Names what is missing: the wheel, cuda-python, the driver or the GPU."""
        from nvidia_tao_deploy.engine.tensorrt import cuda, dialect

        try:
            found = dialect.load(dialect.TENSORRT)
        except ImportError as error:
            return f"the Python package tensorrt does not import ({error}); {cuda.INSTALL}"
        if found.number < (8, 5):
            return f"TensorRT {found.version} is too old; 8.5 or later is needed"
        return cuda.unavailable()

    def build(self, model: onnx.ModelProto, plan: BuildPlan) -> Built:
        from nvidia_tao_deploy.engine.tensorrt import build, dialect

        return build.build(dialect.load(dialect.TENSORRT), model, plan)

    def use_libraries(self, paths: Sequence[Path]) -> None:
        from nvidia_tao_deploy.engine.tensorrt import dialect, libraries

        libraries.load(dialect.load(dialect.TENSORRT), paths)

    def load(self, blob: bytes, source: Path, device: int = 0) -> Engine:
        from nvidia_tao_deploy.engine.tensorrt import dialect, runtime

        return runtime.TensorRTEngine(dialect.load(dialect.TENSORRT), blob, source, device)

    def layers(self, blob: bytes, source: Path, feeds: Mapping[str, np.ndarray], device: int = 0) -> list[LayerFacts]:
        from nvidia_tao_deploy.engine.tensorrt import dialect, inspection

        return inspection.layers(dialect.load(dialect.TENSORRT), blob, source, feeds, device)

    def recognises(self, head: bytes) -> bool:
        return plan_file.is_tensorrt(head)


class TensorRTRTXBackend:
    """TensorRT RTX: builds anywhere, without a GPU too; runs on RTX GPUs."""

    name = "tensorrt_rtx"
    timing_cache = False

    def unavailable(self) -> str | None:
        """Only the wheel is needed: building takes no GPU. `load` says what running lacks."""
        from nvidia_tao_deploy.engine.tensorrt import dialect

        try:
            dialect.load(dialect.TENSORRT_RTX)
        except ImportError as error:
            return f"the Python package tensorrt_rtx does not import ({error}); pip install tensorrt-rtx"
        return None

    def build(self, model: onnx.ModelProto, plan: BuildPlan) -> Built:
        from nvidia_tao_deploy.engine.tensorrt import build, dialect

        return build.build(dialect.load(dialect.TENSORRT_RTX), model, plan)

    def use_libraries(self, paths: Sequence[Path]) -> None:
        from nvidia_tao_deploy.engine.tensorrt import dialect, libraries

        libraries.load(dialect.load(dialect.TENSORRT_RTX), paths)

    def load(self, blob: bytes, source: Path, device: int = 0) -> Engine:
        from nvidia_tao_deploy.engine.tensorrt import cuda, dialect, runtime
        from nvidia_tao_deploy.errors import EngineError

        problem = cuda.unavailable()
        if problem is not None:
            raise EngineError(
                f"{source}: a TensorRT RTX engine runs on an RTX GPU only, and here is none: {problem}",
                hint="Run the .onnx file itself (trt_engine=model.onnx) to check accuracy without a GPU.",
            )
        return runtime.TensorRTEngine(dialect.load(dialect.TENSORRT_RTX), blob, source, device)

    def layers(self, blob: bytes, source: Path, feeds: Mapping[str, np.ndarray], device: int = 0) -> list[LayerFacts]:
        from nvidia_tao_deploy.engine.tensorrt import dialect, inspection

        return inspection.layers(dialect.load(dialect.TENSORRT_RTX), blob, source, feeds, device)

    def recognises(self, head: bytes) -> bool:
        return plan_file.is_rtx(head)
