# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a build with TensorRT: signals, files in the way, engines that are not good enough.

The commands are those that users type, on models of a few layers (a ResNet-50 where a build has to last); no example
data is needed.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType

from benchmarks.resnet50 import resnet50
from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.engine.tensorrt import dialect
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend
from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import quantise
from tests.conftest import ColourJob
from tests.gpu import plugin_worker
from tests.graph import models
from tests.graph.plugins import cases
from tests.makers import ROOT, Ran, run_command, start_command, strict_json

CALIBRATION = "gen_trt_engine.tensorrt.calibration."
FP16, INT8 = (f"gen_trt_engine.tensorrt.data_type={name}" for name in ("FP16", "INT8"))
ON_TENSORRT = "gen_trt_engine.backend=tensorrt"
SECONDS = 60.0
"""Longest time for a build to begin, and for a command to end after a signal."""
SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


@pytest.fixture(scope="module", autouse=True)
def here(backend: TensorRTBackend) -> None:
    """TensorRT and a GPU, or every test fails."""


def path_of_python() -> dict[str, str]:
    """Environment of commands: this tree, and what else Python is to find, TensorRT perhaps."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}


def names(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


def build(job: ColourJob, *overrides: object) -> Ran:
    return job.run("gen_trt_engine", ON_TENSORRT, *overrides)


def accuracy(job: ColourJob) -> float:
    """What the engine scores on the job's pictures."""
    ran = job.run("evaluate", f"evaluate.trt_engine={job.engine}")
    assert ran.code == 0, ran.text
    kpi = [line["kpi"] for line in job.status("evaluate") if line.get("kpi")][-1]
    assert isinstance(kpi, dict)
    return float(kpi["top_1_accuracy"])


# signals


def stopped(job: ColourJob, number: int, mark: str, *overrides: object) -> tuple[int, str, float]:
    """Send a signal once TensorRT's log says `mark`; exit code, the rest of the output, seconds until the end."""
    options = ("-e", job.spec, ON_TENSORRT, "gen_trt_engine.verbose=true", *overrides)
    process = start_command("classification_pyt", "gen_trt_engine", *options, env=path_of_python())
    assert process.stdout is not None
    start = time.monotonic()
    try:
        while mark not in (line := process.stdout.readline()):
            assert line and time.monotonic() - start < SECONDS, (line, *process.communicate(timeout=1))
        start = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    return process.returncode, out[-3000:] + err[-3000:], time.monotonic() - start


@pytest.mark.parametrize(("number", "code", "word"), SIGNALS)
@pytest.mark.parametrize("phase", ["timing kernels", "calibrating"])
def test_a_signal_ends_a_build(colours: ColourJob, phase: str, number: int, code: int, word: str) -> None:
    """TensorRT before 10 cannot be asked to stop, so the process leaves it behind."""
    onnx.save(resnet50(classes=3), str(colours.model))
    mark, options = "Timing Runner", (FP16,)
    if phase == "calibrating":
        for index in range(3000):
            (colours.images / "red" / f"link{index}.png").symlink_to("0.png")
        keys = (f"cal_image_dir=[{colours.images}]", f"cal_cache_file={colours.root / 'calibration.cache'}",
                "cal_algorithm=minmax", "cal_batch_size=4", "cal_batches=750")  # fmt: skip
        mark, options = "Calibrated batch", (INT8, *(f"{CALIBRATION}{key}" for key in keys))
    colours.engine.write_bytes(b"the old engine")
    before = names(colours.root)
    returned, text, seconds = stopped(
        colours, number, mark, f"gen_trt_engine.timing_cache={colours.root / 'timing.cache'}", *options
    )
    print(f"{phase}, signal {number}: ended after {seconds:.1f} s")
    assert returned == code, text
    assert "Traceback" not in text and seconds < 10
    assert names(colours.root) - before == {"results"} and colours.engine.read_bytes() == b"the old engine"
    last = colours.status("gen_trt_engine")[-1]  # reads every line as strict JSON
    assert last["status"] == "FAILURE" and str(last["message"]).endswith(f"was {word}")


# plugin libraries


def test_a_library_of_plugins_is_loaded_and_changes_nothing(backend: TensorRTBackend, colours: ColourJob) -> None:
    """TensorRT's own library stands for a user's: it is real, but its plugins are registered already."""
    case = next(iter(cases.ALL["EfficientNMS_TRT"]()))
    library = plugin_library()
    found = []
    for paths in ((), (library,)):
        backend.use_libraries(paths)
        with plugin_worker.engine(backend, case.model, native=True) as loaded:
            found.append([
                {name: np.array(value) for name, value in loaded.infer(feeds).items()} for feeds in case.runs
            ])  # fmt: skip
    for without, with_library in zip(*found, strict=True):
        for name, value in without.items():
            np.testing.assert_array_equal(value, with_library[name])
    key = f"gen_trt_engine.plugins=[{library}]"
    options = ("-e", colours.spec, key)
    ran = run_command("classification_pyt", "gen_trt_engine", *options, ON_TENSORRT, env=path_of_python())
    assert ran.code == 0 and f"{library}: registers no plugin that was not there before" in ran.text, ran.text
    scored = f"evaluate.trt_engine={colours.engine}"
    ran = run_command("classification_pyt", "evaluate", *options, scored, env=path_of_python())
    assert ran.code == 0 and "registers no plugin" in ran.text, ran.text
    assert accuracy(colours) == 1.0


def plugin_library() -> Path:
    """The file of TensorRT's plugins in this process."""
    found = dialect.load(dialect.TENSORRT)
    assert found.plugin_names(found.trt.Logger(found.trt.Logger.ERROR))
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libnvinfer_plugin.so" in line:
            return Path(line.split(maxsplit=5)[-1])
    raise AssertionError("no libnvinfer_plugin is loaded")


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"no library", "cannot be loaded")])
def test_a_library_that_is_none(colours: ColourJob, content: bytes | None, message: str) -> None:
    path = colours.root / "libmine.so"
    if content is not None:
        path.write_bytes(content)
    ran = build(colours, f"gen_trt_engine.plugins=[{path}]")
    assert ran.code == 2 and f"gen_trt_engine.plugins: {path}: {message}" in ran.err, ran.text
    assert not colours.engine.exists()


# timing cache


def test_a_timing_cache_that_cannot_be_written_at_the_end(colours: ColourJob) -> None:
    cache = colours.root / "t.cache"
    cache.with_name("t.cache.lock").mkdir()
    ran = build(colours, f"gen_trt_engine.timing_cache={cache}")
    assert ran.code == 0 and f"gen_trt_engine.timing_cache: {cache} is not updated: " in ran.text, ran.text
    assert not cache.exists() and accuracy(colours) == 1.0


@pytest.mark.parametrize(
    ("place", "code", "message"), [("images", 2, "is a folder; expected a file name"), ("spec.yaml/x", 1, "not a fol")]
)
def test_a_timing_cache_that_can_never_be_written(colours: ColourJob, place: str, code: int, message: str) -> None:
    """Found out before the build."""
    ran = build(colours, f"gen_trt_engine.timing_cache={colours.root / place}")
    assert ran.code == code and "gen_trt_engine.timing_cache: " in ran.err and message in ran.err, ran.text
    assert not colours.engine.exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda content: b"not a timing cache" * 10,
    "empty": lambda content: b"",
    "head only": lambda content: content[:16],
    "half": lambda content: content[: len(content) // 2],
    "flipped": lambda content: content[:-64] + bytes(255 - byte for byte in content[-64:]),
}


@pytest.fixture(scope="module")
def timings(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A timing cache of the tiny model, whole."""
    job = ColourJob(tmp_path_factory.mktemp("timings"))
    ran = build(job, f"gen_trt_engine.timing_cache={job.root / 't.cache'}")
    assert ran.code == 0, ran.text
    return (job.root / "t.cache").read_bytes()


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_timing_cache_costs_no_engine(colours: ColourJob, timings: bytes, kind: str) -> None:
    """In a process of its own: TensorRT may crash, and then this test must fail, not vanish. Whether TensorRT notices
    the damage, so that a warning tells of it, is its own affair, but for what is no cache at all."""
    cache = colours.root / "t.cache"
    cache.write_bytes(DAMAGE[kind](timings))
    options = ("-e", colours.spec, ON_TENSORRT, f"gen_trt_engine.timing_cache={cache}")
    ran = run_command("classification_pyt", "gen_trt_engine", *options, env=path_of_python())
    assert ran.code == 0, ran.text
    told = f"timing cache {cache} does not fit this TensorRT version and GPU, or is damaged" in ran.text
    used = json.loads((colours.root / "tiny.engine.json").read_text())["details"]["timing_cache"]["used"]
    print(f"{kind}: told {told}, used {used}")
    assert told or kind != "text"
    assert accuracy(colours) == 1.0
    assert build(colours, f"gen_trt_engine.timing_cache={cache}").code == 0
    again = json.loads((colours.root / "tiny.engine.json").read_text())["details"]["timing_cache"]
    assert again["used"] and again["bytes"] > 64


# layers_precision of a model with Q/DQ nodes


def with_own_ranges() -> onnx.ModelProto:
    """input [B, 3, 16, 16] -> output [B, 3]: convolutions /a, /b, /c and /d, each between Q/DQ pairs; float32 weights.

    They state no `kernel_shape`: ONNX does not ask for it, and the parser of 8.5 does, behind Q/DQ pairs.
    """
    w = models.Weights()
    nodes, last, inside = [], "input", 3
    for name in "abc":
        nodes.append(helper.make_node("Conv", [last, w.normal(f"w{name}", 32, inside, 3, 3, scale=0.1)], [name],
                                      name=f"/{name}", pads=[1, 1, 1, 1]))  # fmt: skip
        nodes.append(helper.make_node("Relu", [name], [f"{name}r"], name=f"/{name}_relu"))
        last, inside = f"{name}r", 32
    nodes.append(helper.make_node("Conv", [last, w.normal("wd", 3, 32, 1, 1)], ["d"], name="/d"))
    nodes.append(helper.make_node("GlobalAveragePool", ["d"], ["g"], name="/pool"))
    nodes.append(helper.make_node("Flatten", ["g"], ["output"], name="/flatten"))
    shapes = models.value("input", models.FLOAT, "batch", 3, 16, 16), models.value("output", models.FLOAT, "batch", 3)
    plain = models.model(nodes, [shapes[0]], [shapes[1]], w.tensors)
    return quantise.quantise(plain, dict.fromkeys(quantise.activations(plain), 4.0))[0]


def precisions(job: ColourJob, *overrides: object) -> dict[str, str]:
    """Name -> precision of the engine's convolutions, by the report."""
    ran = build(job, "gen_trt_engine.report=true", *overrides)
    assert ran.code == 0, ran.text
    report = strict_json(job.engine.with_name(f"{job.engine.name}.report.json").read_text())
    print(report["layers"])
    found: dict[str, str] = {}
    for name in "abcd":
        (layer,) = [
            layer for layer in report["layers"]
            if f"/{name}" in layer["name"].split(" + ") and layer["kind"] not in ("Reformat", "Scale", "Quantize")
        ]  # fmt: skip
        found[name] = layer["precision"]
    return found


@pytest.mark.parametrize("option", [INT8, FP16])
def test_layers_precision_of_a_model_with_its_own_ranges(colours: ColourJob, option: str) -> None:
    onnx.save(with_own_ranges(), str(colours.model))
    before = precisions(colours, option)
    assert set(before.values()) == {"int8"}, before
    for item, wanted in (("/b:fp32", "fp32"), ("/b:fp16", "fp16"), ("/b*:fp32", "fp32")):
        found = precisions(colours, option, f"gen_trt_engine.tensorrt.layers_precision=['{item}']")
        assert found == {**before, "b": wanted}, (item, found)


@pytest.mark.parametrize("item", ["/?:fp32", "*:fp32"])
def test_every_layer_of_a_model_with_its_own_ranges_in_fp32(colours: ColourJob, item: str) -> None:
    onnx.save(with_own_ranges(), str(colours.model))
    rules = f"gen_trt_engine.tensorrt.layers_precision=['{item}']"
    assert set(precisions(colours, FP16, rules).values()) == {"fp32"}
    colours.engine.unlink()
    ran = build(colours, INT8, rules)
    assert ran.code == 4 and "nothing is left to be INT8" in ran.text, ran.text
    assert not colours.engine.exists()


@pytest.mark.parametrize("kind", ["QUInt8", "QInt8"])
def test_a_model_of_onnxruntimes_quantiser(colours: ColourJob, kind: str) -> None:
    """Its ranges have zero points, its weights are INT8 and its biases INT32 behind a DequantizeLinear."""
    feeds = {"input": np.random.default_rng(0).random((32, 3, 16, 16), np.float32)}
    quantised = models.by_onnxruntimes_quantiser(onnx.load(colours.model), feeds, activation_type=QuantType[kind])
    onnx.save(quantised, colours.model)
    ran = build(colours, INT8, "gen_trt_engine.verify=true")
    assert ran.code == 0, ran.text
    assert "TensorRT has symmetric INT8 only" in ran.text and "no calibration is run" in ran.text


@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
def test_every_layer_of_a_quantised_model_may_be_named(
    backend: TensorRTBackend, plan: Callable[..., Any], reference: Callable[..., Any], precision: str
) -> None:
    """Q/DQ nodes are layers for TensorRT, and have no precision to choose; the convolution leaves its pairs."""
    model = models.quantised()
    feeds = {"input": np.random.default_rng(3).normal(size=(4, 3, 16, 16)).astype(np.float32)}
    taken_out = {
        LayerPrecision("*", "fp32"): True,
        LayerPrecision("/*", "fp16"): True,
        LayerPrecision("/dq", "fp32"): False,
    }
    for rule, floats in taken_out.items():
        chosen = plan(model, precision=precision, layers_precision=(rule,))
        if floats and precision == "int8":
            with pytest.raises(BuildError, match="nothing is left to be INT8"):
                backend.build(model, chosen)
            continue
        expected = reference(models.quantised(floats=floats), feeds)["output"]
        with backend.load(backend.build(model, chosen).blob, Path("q.engine")) as loaded:
            np.testing.assert_allclose(loaded.infer(feeds)["output"], expected, atol=2e-3)
    with pytest.raises(BuildError, match="no layer is named '/konv'") as caught:
        backend.build(model, plan(model, precision=precision, layers_precision=(LayerPrecision("/konv", "fp32"),)))
    assert "/conv" in str(caught.value.hint)


# engines that are not good enough


def test_an_engine_that_differs_is_not_kept(colours: ColourJob, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TensorRTBackend.build

    def swapped(self: TensorRTBackend, model: onnx.ModelProto, plan: Any) -> Any:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        weight = next(tensor for tensor in copy.graph.initializer if tensor.name == "weight")
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[::-1].copy(), "weight"))
        return real(self, copy, plan)

    verify = "gen_trt_engine.verify=true"
    ran = build(colours, FP16, verify)
    assert ran.code == 0 and "predictions agree 100.00 %" in ran.text, ran.text
    good = colours.engine.read_bytes()
    before = names(colours.root)
    monkeypatch.setattr(TensorRTBackend, "build", swapped)
    ran = build(colours, FP16, verify)
    assert ran.code == 4, ran.text
    assert "predictions agree 33.33 %, less than gen_trt_engine.verify_agreement=0.9" in ran.err, ran.err
    assert colours.engine.read_bytes() == good and names(colours.root) == before
    assert colours.status("gen_trt_engine")[-1]["status"] == "FAILURE"
    assert build(colours, FP16, verify, "gen_trt_engine.verify_agreement=0.3").code == 0


@pytest.fixture
def overflowing(colours: ColourJob) -> ColourJob:
    """The job with a model whose values reach millions between its layers: its logits are those of the channels."""
    weights = {"/up": 2e4 * np.eye(3)[::-1], "/more": 1e2 * np.eye(3), "/down": 1e-3 * np.eye(3)}
    nodes, last = [helper.make_node("GlobalAveragePool", ["input"], ["mean"], name="/mean")], "mean"
    for name in weights:
        nodes.append(helper.make_node("Conv", [last, f"{name}.weight"], [f"{name}.out"], name=name))
        last = f"{name}.out"
    nodes.append(helper.make_node("Flatten", [last], ["output"], name="/flatten"))
    tensors = [
        numpy_helper.from_array(value.astype(np.float32).reshape(3, 3, 1, 1), f"{name}.weight")
        for name, value in weights.items()
    ]
    shapes = models.value("input", models.FLOAT, "batch", 3, 16, 16), models.value("output", models.FLOAT, "batch", 3)
    onnx.save(models.model(nodes, [shapes[0]], [shapes[1]], tensors), str(colours.model))
    return colours


def test_fp16_keeps_what_overflows_in_fp32(overflowing: ColourJob) -> None:
    pictures = f"{CALIBRATION}cal_image_dir=[{overflowing.images}]"
    ran = build(overflowing, FP16, pictures, "gen_trt_engine.verify=true")
    assert ran.code == 0 and "3 nodes are kept in FP32: their values come near FP16's limit" in ran.text, ran.text
    assert "predictions agree 100.00 %" in ran.text and accuracy(overflowing) == 1.0


def test_an_engine_that_gives_nan(overflowing: ColourJob) -> None:
    """Every layer is asked for in FP16, so that TensorRT does not take FP32 kernels because they are faster."""
    forced = (FP16, "gen_trt_engine.tensorrt.layers_precision=['*:fp16']")
    ran = build(overflowing, *forced, "gen_trt_engine.verify=true")
    assert ran.code == 4, ran.text
    assert "the engine is not kept: its output 'output' is NaN for " in ran.err, ran.err
    assert "auto_layers_precision.enabled=true" in ran.err and not overflowing.engine.exists()
    assert build(overflowing, *forced).code == 0
    ran = overflowing.run("evaluate", f"evaluate.trt_engine={overflowing.engine}")
    assert ran.code == 5 and "The engine's output 'output' is not a number (NaN) for " in ran.err, ran.text
    assert "layers_precision" in ran.err
