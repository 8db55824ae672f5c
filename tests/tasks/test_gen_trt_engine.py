# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""gen_trt_engine: models that cannot be built, and what is on disk whatever happens to the process."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.engine.onnxruntime.backend import OnnxRuntimeBackend
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend, TensorRTRTXBackend
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.graph import layers
from nvidia_tao_deploy.tasks import gen_trt_engine
from tests.conftest import ColourJob
from tests.makers import MEAN, STD, start_command, strict_json, tiny_model


def names(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


def test_engine_and_what_it_was_made_from(colours: ColourJob) -> None:
    ran = colours.run("gen_trt_engine", "gen_trt_engine.tensorrt.opt_batch_size=2")
    assert ran.code == 0, ran.text
    session = onnxruntime.InferenceSession(str(colours.engine))
    assert session.run(None, {"input": np.zeros((2, 3, 16, 16), np.float32)})[0].shape == (2, 3)
    facts = strict_json((colours.root / "tiny.engine.json").read_text())
    assert facts["network"] == "classification_pyt" and facts["backend"] == "onnxruntime"
    assert facts["engine_bytes"] == colours.engine.stat().st_size
    assert facts["profiles"]["input"] == {"min": [1, 3, 16, 16], "opt": [2, 3, 16, 16], "max": [4, 3, 16, 16]}
    assert facts["onnx"]["opset"] == 17 and len(facts["onnx"]["sha256"]) == 64
    assert colours.status("gen_trt_engine")[-1]["message"] == "Gen_trt_engine finished successfully."
    assert (colours.results / "gen_trt_engine" / "experiment.yaml").is_file()


def test_open_sizes_come_from_the_spec(colours: ColourJob) -> None:
    tiny_model(colours.model, size="side")
    ran = colours.run("gen_trt_engine", "dataset.img_size=20")
    assert ran.code == 0, ran.text
    facts = strict_json((colours.root / "tiny.engine.json").read_text())
    assert facts["profiles"]["input"]["max"] == [4, 3, 20, 20]


def test_fixed_batch(colours: ColourJob) -> None:
    for bounds in ((1, 1, 1), (2, 2, 2)):
        ran = colours.run("gen_trt_engine", "gen_trt_engine.batch_size=2", *batch_bounds(*bounds))
        assert ran.code == 0 and "has no effect" not in ran.text, ran.text
        assert onnxruntime.InferenceSession(str(colours.engine)).get_inputs()[0].shape == [2, 3, 16, 16]


@pytest.mark.parametrize("batch", [2, 4])
def test_a_fixed_batch_beside_bounds(colours: ColourJob, batch: int) -> None:
    """TAO Deploy builds for the bounds."""
    ran = colours.run("gen_trt_engine", f"gen_trt_engine.batch_size={batch}", *batch_bounds(1, 4, 4))
    assert ran.code == 0, ran.text
    assert onnxruntime.InferenceSession(str(colours.engine)).get_inputs()[0].shape == ["batch", 3, 16, 16]
    assert f"batch_size: {batch} has no effect beside tensorrt.{{min,opt,max}}_batch_size (1, 4, 4)" in ran.text


def test_the_last_window_of_pooling_is_divided_by_what_it_holds(colours: ColourJob) -> None:
    """PyTorch's AvgPool2d(3, 2, ceil_mode=True), of which TensorRT and older ONNX Runtimes compute something else."""
    model = onnx.load(str(tiny_model(colours.model)))
    options = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1}
    place = next(index for index, node in enumerate(model.graph.node) if node.op_type == "GlobalAveragePool")
    model.graph.node[place].input[0] = "shrunk"
    model.graph.node.insert(place, onnx.helper.make_node("AveragePool", ["pixels"], ["shrunk"], **options))
    onnx.save(model, str(colours.model))
    ran = colours.run("gen_trt_engine", "gen_trt_engine.verify=true")
    assert ran.code == 0, ran.text
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    found = onnxruntime.InferenceSession(str(colours.engine)).run(None, {"input": x})[0]
    pixels = x * np.reshape(STD, (1, 3, 1, 1)) + np.reshape(MEAN, (1, 3, 1, 1))
    rows = [pixels[:, :, start : start + 3].mean(2) for start in range(0, 16, 2)]
    windows = [np.stack(rows, 2)[..., start : start + 3].mean(3) for start in range(0, 16, 2)]
    np.testing.assert_allclose(found, 10 * np.stack(windows, 3).mean((2, 3))[:, ::-1], rtol=1e-4)


def batch_bounds(*sizes: int) -> list[str]:
    """Overrides of the smallest, optimal and largest batch."""
    points = ("min", "opt", "max")
    return [f"gen_trt_engine.tensorrt.{point}_batch_size={size}" for point, size in zip(points, sizes, strict=True)]


BROKEN = {
    "missing": (lambda path: path.unlink(), 4, "model.onnx: no such file"),
    "empty": (lambda path: path.write_bytes(b""), 4, "model.onnx: the file is empty"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-40]), 4, "truncated"),
    "noise": (lambda path: path.write_bytes(bytes(range(256)) * 9), 4, "not an ONNX model"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), 4, "a folder; expected an .onnx file"),
    "old opset": (lambda path: tiny_model(path, opset=6), 4, "operator set 6; supported are 7 to"),
    "new opset": (lambda path: set_opset(path, 99), 4, "operator set 99; supported are 7 to"),
    "other columns": (lambda path: rank(path), 4, "Found inputs: input float32[?x3x16x16]; outputs: output float32[?]"),
    "two inputs": (lambda path: extra_input(path), 4, "Found inputs: input float32[?x3x16x16], mask float32[?x1]"),
}


def set_opset(path: Path, version: int) -> None:
    model = onnx.load(str(path))
    model.opset_import[0].version = version
    onnx.save(model, str(path))


def rank(path: Path) -> None:
    """The output loses its axis of classes."""
    model = onnx.load(str(path))
    model.graph.node[-1].CopyFrom(onnx.helper.make_node("ReduceMax", ["logits"], ["output"], axes=[1], keepdims=0))
    del model.graph.output[0].type.tensor_type.shape.dim[1]
    onnx.save(model, str(path))


def extra_input(path: Path) -> None:
    model = onnx.load(str(path))
    value = onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, ["batch", 1])
    model.graph.input.append(value)
    onnx.save(model, str(path))


@pytest.mark.parametrize("kind", BROKEN)
def test_models_that_cannot_be_built(colours: ColourJob, kind: str) -> None:
    spoil, code, message = BROKEN[kind]
    colours.engine.write_bytes(b"old")
    spoil(colours.model)
    before = names(colours.root)
    ran = colours.run("gen_trt_engine")
    assert ran.code == code and message in ran.err and "Traceback" not in ran.text, ran.text
    assert str(colours.model) in ran.err
    last = colours.status("gen_trt_engine")[-1]
    assert last["status"] == "FAILURE" and message in str(last["message"])
    assert colours.engine.read_bytes() == b"old" and names(colours.root) == before | {"results"}


def test_tensor_mismatch_says_what_is_expected(colours: ColourJob) -> None:
    rank(colours.model)
    assert (
        "Expected inputs: input float32/float16/bfloat16[BxCxHxW]; outputs: output" in colours.run("gen_trt_engine").err
    )


def test_other_tensor_names_are_taken_by_position(colours: ColourJob) -> None:
    tiny_model(colours.model, names=("images", "scores"))
    ran = colours.run("gen_trt_engine")
    assert ran.code == 0 and "no tensor named 'input'; using 'images' by its position" in ran.out


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["gen_trt_engine.onnx_file='???'"], 2, "gen_trt_engine.onnx_file is not set"),
        (["gen_trt_engine.trt_engine=''"], 2, "gen_trt_engine.trt_engine is not set"),
        (["gen_trt_engine.tensorrt.data_type=FP15"], 2, "'FP15' is not allowed; expected one of FP32"),
        (["gen_trt_engine.tensorrt.min_batch_size=8"], 2, "min 8, opt 1, max 4; expected 1 <= min <= opt <= max"),
        (["gen_trt_engine.tensorrt.layers_precision=[conv]"], 2, "'conv'; expected 'layer name:dtype'"),
        (["gen_trt_engine.backend=trt"], 2, "'trt' is not allowed; expected one of auto, tensorrt"),
        (["gen_trt_engine.batch_size=0"], 2, "batch_size: 0"),
    ],
)
def test_wrong_values(colours: ColourJob, overrides: list[str], code: int, message: str) -> None:
    ran = colours.run("gen_trt_engine", *overrides)
    assert ran.code == code and message in ran.err, ran.text
    assert not colours.engine.exists()
    assert message in str(colours.status("gen_trt_engine")[-1]["message"])


def test_targets_that_must_not_be_written(colours: ColourJob) -> None:
    content = colours.model.read_bytes()
    (colours.root / "link").symlink_to(colours.model)
    for target, code, message in (
        (colours.model, 2, "is the ONNX model itself"),
        (colours.root / "link", 2, "is the ONNX model itself"),
        (colours.images, 2, "is a folder; expected a file name"),
        (Path("/dev/null"), 2, "is no regular file"),
        (colours.spec / "x.engine", 1, "is not a folder"),
    ):
        ran = colours.run("gen_trt_engine", f"gen_trt_engine.trt_engine={target}")
        assert ran.code == code and message in ran.err, ran.text
    assert colours.model.read_bytes() == content and Path("/dev/null").is_char_device()


def test_the_folder_of_the_engine_is_made_when_there_is_one(colours: ColourJob) -> None:
    target = colours.root / "deep" / "er" / "x.engine"
    colours.run("gen_trt_engine", f"gen_trt_engine.trt_engine={target}", "gen_trt_engine.onnx_file=/nowhere.onnx")
    assert not (colours.root / "deep").exists()
    assert colours.run("gen_trt_engine", f"gen_trt_engine.trt_engine={target}").code == 0
    assert names(target.parent) == {"x.engine", "x.engine.json"}


def test_disk_full_while_writing_the_engine(colours: ColourJob) -> None:
    tiny_model(colours.model, ballast=3_000_000)
    disk = colours.root / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (disk / "x.engine").write_bytes(b"old")
        ran = colours.run("gen_trt_engine", f"gen_trt_engine.trt_engine={disk}/x.engine")
        assert ran.code == 1 and f"{disk}/x.engine: cannot be written: No space left on device" in ran.err
        assert "free some space" in ran.err
        assert names(disk) == {"x.engine"} and (disk / "x.engine").read_bytes() == b"old"
        assert "No space left" in str(colours.status("gen_trt_engine")[-1]["message"])
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_killed_while_building_or_writing(colours: ColourJob, number: int, delay: float) -> None:
    tiny_model(colours.model, ballast=80_000_000)
    colours.engine.write_bytes(b"old")
    before = names(colours.root)
    process = start_command("classification_pyt", "gen_trt_engine", "-e", str(colours.spec))
    assert process.stdout is not None
    try:
        while "Building for" not in (line := process.stdout.readline()):
            assert line, process.communicate()
        time.sleep(delay)
        process.send_signal(number)
        process.communicate(timeout=20)
    finally:
        process.kill()
    done = process.returncode == 0
    assert done or process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    if colours.engine.read_bytes() != b"old":
        assert colours.engine.stat().st_size > 80_000_000
        onnxruntime.InferenceSession(str(colours.engine))
    assert names(colours.root) - before <= {"results", "tiny.engine.json"}
    if number != signal.SIGKILL and not done:
        last = colours.status("gen_trt_engine")[-1]
        assert last["status"] == "FAILURE" and "interruption" in str(last["message"])


@given(st.text(max_size=12), st.sampled_from(layers.LAYER_DTYPES), st.booleans())
def test_layers_precision_splits_at_the_last_colon(name: str, dtype: str, upper: bool) -> None:
    item = f"{name}:{dtype.upper() if upper else dtype}"
    if not name.strip():
        with pytest.raises(SpecError, match="layers_precision"):
            layers.parse([item])
        return
    (parsed,) = layers.parse([item])
    assert (parsed.pattern, parsed.dtype) == (name.strip(), dtype)


@given(st.text(max_size=12))
def test_other_items_are_refused_by_name(item: str) -> None:
    name, _, dtype = (part.strip() for part in item.rpartition(":"))
    if name and dtype.lower() in layers.LAYER_DTYPES:
        return
    with pytest.raises(SpecError) as caught:
        layers.parse(["conv1:fp16", item])
    assert f"'{item}'" in caught.value.message and "fp32, fp16" in caught.value.message


def test_an_engine_is_not_replaced_by_a_model_of_another_kind(colours: ColourJob) -> None:
    """The json beside an engine is replaced together with it."""
    assert colours.run("gen_trt_engine").code == 0
    first = strict_json((colours.root / "tiny.engine.json").read_text())
    tiny_model(colours.model, ballast=1000)
    assert colours.run("gen_trt_engine", "gen_trt_engine.tensorrt.data_type=fp16").code == 0
    second = strict_json((colours.root / "tiny.engine.json").read_text())
    assert first["onnx"]["sha256"] != second["onnx"]["sha256"] and second["precision"] == "fp16"
    assert second["engine_bytes"] == colours.engine.stat().st_size
    shutil.rmtree(colours.results)


@pytest.mark.parametrize(("uses", "code"), [(True, 1), (False, 0)])
def test_timing_cache_that_cannot_be_written(
    colours: ColourJob, uses: bool, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before the model is read, where the backend has one; elsewhere the key has no effect."""
    monkeypatch.setattr(OnnxRuntimeBackend, "timing_cache", uses)
    ran = colours.run("gen_trt_engine", "gen_trt_engine.timing_cache=/proc/none/timing.cache")
    assert ran.code == code and colours.engine.exists() is not uses
    assert ("gen_trt_engine.timing_cache: /proc/none/timing.cache: cannot be written" in ran.err) is uses
    assert ("opset 17" in ran.text) is not uses
    ran = colours.run("gen_trt_engine", f"gen_trt_engine.timing_cache={colours.images}")
    assert ran.code == 2 * uses and ("is a folder; expected a file name" in ran.err) is uses


@pytest.mark.parametrize(
    ("uses", "keys", "told"),
    [(True, (), True), (True, ("gen_trt_engine.timing_cache=timing.cache",), False), (False, (), False)],
)
def test_a_long_build_is_told_of_the_timing_cache(
    colours: ColourJob, uses: bool, keys: tuple[str, ...], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxRuntimeBackend, "timing_cache", uses)
    hint = "gen_trt_engine.timing_cache=FILE keeps what was timed"
    assert hint not in colours.run("gen_trt_engine", *keys).text  # it took less than a minute
    monkeypatch.setattr(gen_trt_engine, "LONG_BUILD", 0.0)
    ran = colours.run("gen_trt_engine", *keys)
    assert ran.code == 0 and (hint in ran.text) is told


def test_which_backends_have_a_timing_cache() -> None:
    backends = (TensorRTBackend(), TensorRTRTXBackend(), OnnxRuntimeBackend())
    assert [backend.timing_cache for backend in backends] == [True, False, False]


def own_operator(path: Path) -> None:
    """Put an operator that nobody knows in front of the output."""
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("MyNorm", ["before"], [model.graph.output[0].name], name="/mine"))
    onnx.save(model, path)


@pytest.mark.rtx
@pytest.mark.parametrize("subtask", ["gen_trt_engine", "evaluate"])
def test_library_of_plugins_that_is_not_there(colours: ColourJob, subtask: str) -> None:
    keys = ["gen_trt_engine.backend=tensorrt_rtx"]
    if subtask == "evaluate":
        built = colours.run("gen_trt_engine", *keys)
        assert built.code == 0, built.text
        keys.append(f"evaluate.trt_engine={colours.engine}")
    before = names(colours.root)
    ran = colours.run(subtask, *keys, "gen_trt_engine.plugins=[none/libmine.so]")
    assert ran.code == 2
    assert "gen_trt_engine.plugins: none/libmine.so: no such file" in ran.text
    assert names(colours.root) - {"results"} == before - {"results"}


def test_library_of_plugins_without_tensorrt(colours: ColourJob) -> None:
    ran = colours.run("gen_trt_engine", "gen_trt_engine.plugins=[libmine.so]")
    assert ran.code == 0, ran.text
    assert "gen_trt_engine.plugins has no effect: ONNX Runtime runs no TensorRT plugins" in ran.text


@pytest.mark.parametrize("key", ["verify=true", "tensorrt.auto_layers_precision.enabled=true"])
def test_nothing_to_compare_an_operator_of_ones_own_with(colours: ColourJob, key: str) -> None:
    own_operator(colours.model)
    ran = colours.run("gen_trt_engine", f"gen_trt_engine.{key}")
    assert ran.code == 2
    assert f"gen_trt_engine.{key.removesuffix('=true').removesuffix('.enabled')}: there is no FP32 model" in ran.text
    assert "ONNX Runtime has no MyNorm" in ran.text and not colours.engine.exists()


def test_operator_of_ones_own_without_a_library(colours: ColourJob) -> None:
    own_operator(colours.model)
    ran = colours.run("gen_trt_engine")
    assert ran.code == 4
    assert "MyNorm (node '/mine')" in ran.text and "gen_trt_engine.plugins=[LIBRARY.so]" in ran.text


@pytest.mark.parametrize("key", ["timing_cache", "tensorrt.calibration.cal_json_file"])
@pytest.mark.parametrize("beside", ["", ".json", ".report.json"])
def test_a_file_that_the_engine_would_replace(colours: ColourJob, key: str, beside: str) -> None:
    file = colours.engine.with_name(colours.engine.name + beside)
    file.write_bytes(b"mine")
    ran = colours.run("gen_trt_engine", f"gen_trt_engine.{key}={file}")
    assert ran.code == 2 and f"gen_trt_engine.{key}: {file} belongs to gen_trt_engine.trt_engine" in ran.text
    assert file.read_bytes() == b"mine"
