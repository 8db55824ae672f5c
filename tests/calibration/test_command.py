# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""gen_trt_engine with data_type INT8: where ranges come from, and every way in which they cannot be had."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image, ImageOps

from nvidia_tao_deploy.data.pictures import picture_samples
from nvidia_tao_deploy.engine.calibration import cache
from nvidia_tao_deploy.engine.contract import LayerPrecision
from nvidia_tao_deploy.graph import layers, precision
from nvidia_tao_deploy.graph.model import is_quantised
from nvidia_tao_deploy.pipeline.calibration import order
from tests import makers
from tests.calibration.conftest import CALIBRATION, Int8Job
from tests.makers import strict_json, tiny_model


def files(folder: Path) -> dict[str, bytes]:
    """Everything beside the results folder."""
    return {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}


def details(job: Int8Job) -> dict:
    return strict_json(job.engine.with_name("tiny.engine.json").read_text())["details"]


def test_calibration_makes_engine_cache_and_record(int8: Int8Job) -> None:
    ran = int8.build()
    assert ran.code == 0, ran.text
    assert is_quantised(onnx.load(str(int8.engine)))
    assert details(int8)["ranges"] == "calibration (entropy, 6 pictures)" and details(int8)["quantised_nodes"] == 1
    amax = cache.read(int8.cache).amax
    assert {"input", "scaled", "pixels", "pooled", "flat", "product", "logits", "output"} == set(amax)
    assert 214 / 255 < amax["flat"] < 231 / 255  # the brightest channel of the pictures taken, as a mean
    about = strict_json(int8.engine.with_name("tiny.engine.json").read_text())["calibration"]
    assert about["cache_sha256"] == hashlib.sha256(int8.cache.read_bytes()).hexdigest()
    facts = strict_json(int8.facts.read_text())
    assert facts["network"] == "classification_pyt" and facts["data"]["used"] == 6 and facts["algorithm"] == "entropy"
    assert "Calibrating with 6 pictures: ranges of a whole network need more" in ran.text
    scored = int8.run("evaluate", f"evaluate.trt_engine={int8.engine}")
    assert scored.code == 0 and '"top_1_accuracy": 1.0' in (int8.results / "trt_evaluate/status.json").read_text()


def test_fitting_cache_is_used_again_without_its_pictures(int8: Int8Job) -> None:
    assert int8.build().code == 0
    before = int8.cache.read_bytes()
    ran = int8.build()
    assert ran.code == 0 and "fits the model and the data: calibration is not run again" in ran.text
    ran = int8.build(data=False)
    assert ran.code == 0 and details(int8)["ranges"].startswith("cache ")
    assert int8.cache.read_bytes() == before


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ((f"{CALIBRATION}cal_algorithm=minmax",), "algorithm was entropy, now minmax"),
        ((f"{CALIBRATION}cal_batches=3",), "data changed: used 6, now 9"),
        ((f"{CALIBRATION}cal_seed=4",), "data changed: seed 0, now 4"),
        (("dataset.augmentation.mean=[0.1,0.1,0.1]",), "the preprocessing changed"),
        ((f"{CALIBRATION}cal_force=true",), "is made anew"),
    ],
)
def test_cache_that_does_not_fit_is_replaced(overrides: tuple[str, ...], why: str, int8: Int8Job) -> None:
    assert int8.build().code == 0
    ran = int8.build(*overrides)
    assert ran.code == 0 and why in ran.text and "Calibrating 8 tensors" in ran.text
    again = int8.build(*overrides[:-1] if "force" in overrides[-1] else overrides)
    assert "calibration is not run again" in again.text


def test_cache_of_other_weights_is_replaced_or_refused(int8: Int8Job) -> None:
    assert int8.build().code == 0
    int8.change_model()
    before = files(int8.root)
    ran = int8.build(data=False)
    assert ran.code == 4 and "does not fit: it is of another model (ONNX sha256" in ran.err
    assert files(int8.root) == before
    ran = int8.build()
    assert ran.code == 0 and "does not fit any more and is replaced: it is of another model" in ran.text


def test_cache_from_elsewhere_is_used_with_a_warning(int8: Int8Job) -> None:
    text = "TRT-8601-EntropyCalibration2\nflat: 3c010a14\n(Unnamed Layer* 3) [Constant]_output: 3c010a14\n"
    int8.cache.write_text(text)
    ran = int8.build()
    assert ran.code == 0 and "no record of what it was made from, so it is used as it is (2 tensors)" in ran.text
    assert "no range for 7 of the model's 8 activations: input, scaled" in ran.text
    assert int8.cache.read_text() == text and not int8.facts.exists()
    about = strict_json(int8.engine.with_name("tiny.engine.json").read_text())["calibration"]
    assert about.keys() == {"cache", "cache_sha256", "made_from"}, "nobody knows with what data it was made"


def test_cache_that_was_changed_counts_as_one_from_elsewhere(int8: Int8Job) -> None:
    """Its json is about another content; the engine's json does not repeat it."""
    assert int8.build().code == 0
    first, *ranges = int8.cache.read_text().splitlines(keepends=True)
    int8.cache.write_text(first + "".join(reversed(ranges)))
    ran = int8.build()
    assert ran.code == 0 and "no record of what it was made from, so it is used as it is" in ran.text
    assert ran.text.count("is about another content of") == 1 and "cal_force=true calibrates again" in ran.text
    about = strict_json(int8.engine.with_name("tiny.engine.json").read_text())["calibration"]
    assert about["made_from"] == "unknown" and "data" not in about


def test_cache_of_another_network_is_refused(int8: Int8Job) -> None:
    int8.cache.write_text("TRT-8503-EntropyCalibration2\nimages: 3c010a14\nbackbone/conv: 3c010a14\n")
    before = files(int8.root)
    ran = int8.build()
    assert ran.code == 4 and "none of its 2 tensors is in the model: it is of another network" in ran.err
    assert "It has backbone/conv, images; the model has input" in ran.err
    assert files(int8.root) == before


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"TRT-8503-EntropyCalibration2\ninput: xyz\n"])
def test_damaged_cache_is_an_error_and_stays(content: bytes, int8: Int8Job) -> None:
    int8.cache.write_bytes(content)
    int8.engine.write_bytes(b"old engine")
    before = files(int8.root)
    ran = int8.build()
    assert ran.code == 3 and "calibration.cache: " in ran.err and "cal_force=true" in ran.err
    assert files(int8.root) == before
    assert int8.build(f"{CALIBRATION}cal_force=true").code == 0


def test_neither_data_nor_cache(int8: Int8Job) -> None:
    ran = int8.build(data=False, cache=False)
    assert ran.code == 2 and "neither calibration data nor a cache" in ran.err and "cal_image_dir" in ran.err
    ran = int8.build(data=False)
    assert ran.code == 2 and "calibration.cache: no such file" in ran.err
    assert not int8.engine.exists() and not int8.cache.exists()


def test_too_few_pictures(int8: Int8Job) -> None:
    ran = int8.build(f"{CALIBRATION}cal_batches=4")
    assert ran.code == 3 and "9 pictures; cal_batch_size 3 x cal_batches 4 needs 12" in ran.err
    assert not int8.engine.exists() and not int8.cache.exists()


def test_unreadable_pictures(int8: Int8Job) -> None:
    for path in sorted(int8.images.glob("*/0.png")):
        path.write_bytes(b"no picture")
    ran = int8.build()
    assert ran.code == 0 and "Calibrating with" in ran.text
    for path in sorted(int8.images.glob("*/1.png")):
        path.write_bytes(b"no picture")
    int8.cache.unlink()
    ran = int8.build()
    assert ran.code == 3 and "no other is left to take its place" in ran.err and not int8.cache.exists()


def test_all_chosen_pictures_unreadable(int8: Int8Job) -> None:
    """Those that come next in the order take their place; only when there is none is that an error."""
    pictures = sorted(int8.images.glob("*/*.png"))
    few = (f"{CALIBRATION}cal_batch_size=1", f"{CALIBRATION}cal_batches=1")
    for path in pictures[:8]:
        path.write_bytes(b"no picture")
    ran = int8.build(*few)
    assert ran.code == 0 and strict_json(int8.facts.read_text())["data"]["used"] == 1
    pictures[8].write_bytes(b"no picture")
    int8.cache.unlink()
    int8.engine.unlink()
    ran = int8.build(*few)
    assert ran.code == 3 and f"{CALIBRATION}cal_image_dir: none of the 9 pictures can be read; the first: " in ran.err
    assert "Name folders with pictures" in ran.err and not int8.cache.exists() and not int8.engine.exists()


def test_one_picture_where_more_are_asked_for(int8: Int8Job) -> None:
    for path in sorted(int8.images.glob("*/*.png"))[1:]:
        path.unlink()
    ran = int8.build()
    assert ran.code == 3 and "cal_image_dir: 1 picture; cal_batch_size 3 x cal_batches 2 needs 6." in ran.err


def test_few_pictures_are_a_matter_of_calibration_only(int8: Int8Job) -> None:
    assert "ranges of a whole network need more" in int8.build().text
    assert "ranges of a whole network need more" not in int8.build().text  # the cache fits


def test_missing_folder(int8: Int8Job) -> None:
    ran = int8.build(f"{CALIBRATION}cal_image_dir=[{int8.root}/nowhere]")
    assert ran.code == 3 and "nowhere (gen_trt_engine.tensorrt.calibration.cal_image_dir): no such folder" in ran.err


def test_fixed_batch_of_the_model_counts(int8: Int8Job) -> None:
    tiny_model(int8.model, batch=2)
    ran = int8.build()
    assert ran.code == 0 and "batch size is fixed to 2: cal_batch_size=3 has no effect" in ran.text
    assert strict_json(int8.facts.read_text())["data"]["used"] == 4


def test_not_a_number_in_the_model(int8: Int8Job) -> None:
    tiny_model(int8.model, head="nan")
    before = files(int8.root)
    ran = int8.build()
    assert ran.code == 4 and "tensor 'output' (Log 'output') has NaN among its values in batch 1" in ran.err
    assert files(int8.root) == before


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_weights_that_are_not_numbers_are_named(precision: str, int8: Int8Job) -> None:
    int8.change_model(np.nan)
    before = files(int8.root)
    ran = int8.build(f"gen_trt_engine.tensorrt.data_type={precision}")
    what = {"int8": "calibration", "fp16": "FP16 overflow check"}[precision]
    assert ran.code == 4 and f"{what}: tensor 'product' (MatMul 'product') has NaN among its values" in ran.err
    assert "Its weights 'weight' hold NaN or infinity: the model is broken" in ran.err
    assert files(int8.root) == before


@pytest.mark.parametrize("kind", ["none", "half"])
def test_a_model_that_cannot_be_quantised_is_not_calibrated(kind: str, int8: Int8Job) -> None:
    proto = onnx.load(str(int8.model))
    if kind == "none":
        nodes = [node for node in proto.graph.node if node.op_type in ("GlobalAveragePool", "Flatten")]
        nodes[0].input[0], nodes[1].output[0] = "input", "output"
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del proto.graph.node[:], proto.graph.initializer[:]
        proto.graph.node.extend(nodes)
    else:
        proto, _ = precision.typed(proto, "fp16")
    onnx.save(proto, str(int8.model))
    before = files(int8.root)
    ran = int8.build()
    assert ran.code == 4 and "nothing in the model can be quantised to INT8" in ran.err and "as FP32" in ran.err
    assert "Calibrating" not in ran.text and files(int8.root) == before


def test_tensors_that_are_always_zero_are_left_alone(int8: Int8Job) -> None:
    model = onnx.load(str(int8.model))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    pooled = next(node for node in nodes if node.op_type == "Flatten")
    nodes.insert(nodes.index(pooled), helper.make_node("Sub", ["pooled", "pooled"], ["nothing"]))
    pooled.input[0] = "nothing"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(int8.model))
    ran = int8.build()
    assert "tensors are zero on all pictures and are not quantised: nothing" in ran.text
    assert ran.code == 4 and "no layer can be quantised to INT8: product: 'flat' is always zero" in ran.err


def test_model_with_qdq_nodes_is_taken_as_it_is(int8: Int8Job) -> None:
    assert int8.build().code == 0
    int8.engine.rename(int8.model)
    scales = int8.root / "qat.json"
    scales.write_text("not read")
    ran = int8.build(f"{CALIBRATION}cal_json_file={scales}", data=False, cache=False)
    assert "cal_json_file has no effect: the model has Q/DQ nodes with its own ranges" in ran.text
    assert ran.code == 0 and "carries Q/DQ nodes: its own ranges count, no calibration is run" in ran.text
    assert details(int8)["ranges"] == "the model's own Q/DQ nodes"


def test_layer_kept_out_by_the_spec(int8: Int8Job) -> None:
    model = onnx.load(str(int8.model))
    for index, node in enumerate(model.graph.node):
        node.name = f"/{node.op_type}:{index}"
    onnx.save(model, str(int8.model))
    ran = int8.build("gen_trt_engine.tensorrt.layers_precision=['/MatMul:4:fp32']")
    assert ran.code == 4 and "no layer can be quantised to INT8: /MatMul:4: fp32 by layers_precision" in ran.err
    int8.cache.unlink()
    ran = int8.build("gen_trt_engine.tensorrt.layers_precision=['/Matmul:4:fp32']")
    assert ran.code == 4 and "Nearest: /MatMul:4" in ran.err and "Calibrating" not in ran.text


def test_ranges_of_quantisation_aware_training(int8: Int8Job) -> None:
    scales = int8.root / "qat.json"
    scales.write_text(json.dumps({"tensor_scales": {"flat": 1.27, "elsewhere": 3.0}}))
    ran = int8.build(f"{CALIBRATION}cal_json_file={scales}", data=False)
    assert ran.code == 0 and "no range for 7 of the model's 8 activations" in ran.text
    assert "1 tensors are not in the model: elsewhere" in ran.text
    # scale = amax / 127 = 0.01 = 3c23d70a
    assert int8.cache.read_text().splitlines()[1] == "flat: 3c23d70a"
    missing = details(int8)["tensors_without_range"]
    assert len(missing) == 7 and {"input", "product", "output"} < set(missing) and "flat" not in missing


def test_force_ptq_calibrates_although_ranges_of_training_and_their_cache_are_there(int8: Int8Job) -> None:
    scales = int8.root / "qat.json"
    scales.write_text(json.dumps({"tensor_scales": {"flat": 1.27}}))
    key = f"{CALIBRATION}cal_json_file={scales}"
    assert int8.build(key).code == 0 and len(cache.read(int8.cache).amax) == 1
    again = int8.build(key)
    assert again.code == 0 and "left as it is" not in again.text
    ran = int8.build(key, f"{CALIBRATION}force_ptq=true")
    assert ran.code == 0 and details(int8)["ranges"].startswith("calibration (entropy")
    assert "algorithm was quantisation-aware training, now entropy" in ran.text
    assert len(cache.read(int8.cache).amax) == 8
    kept = int8.cache.read_bytes()
    ran = int8.build(key)  # and back: the cache of calibration is not what the engine is made from
    assert ran.code == 0 and "left as it is; the ranges of cal_json_file are used" in ran.text
    assert details(int8)["ranges"].startswith("quantisation-aware training") and int8.cache.read_bytes() == kept
    about = strict_json(int8.engine.with_name("tiny.engine.json").read_text())["calibration"]
    assert about["algorithm"] == "quantisation-aware training"
    assert about["cal_json_sha256"] == hashlib.sha256(scales.read_bytes()).hexdigest()


def test_ranges_of_training_of_another_network_leave_nothing(int8: Int8Job) -> None:
    scales = int8.root / "qat.json"
    scales.write_text(json.dumps({"tensor_scales": {"conv1/Relu": 1.27}}))
    before = files(int8.root)
    ran = int8.build(f"{CALIBRATION}cal_json_file={scales}", data=False)
    assert ran.code == 4 and "(cal_json_file): none of its 1 tensors is in the model" in ran.err
    assert "cal_image_dir and force_ptq=true to calibrate again" in ran.err  # cal_force is about the cache
    assert files(int8.root) == before


def test_every_range_of_training_is_that_of_its_tensor(int8: Int8Job) -> None:
    """tiny_model has one layer; another one makes a second tensor that is quantised."""
    proto = onnx.load(str(int8.model))
    last = proto.graph.node[-1]
    last.output[0] = "before"
    proto.graph.initializer.append(numpy_helper.from_array(np.eye(3, dtype=np.float32), "identity"))
    proto.graph.node.append(helper.make_node("MatMul", ["before", "identity"], ["output"], name="second"))
    onnx.save(proto, str(int8.model))
    scales = int8.root / "qat.json"
    scales.write_text(json.dumps({"tensor_scales": {"flat": 1.27, "before": 25.4}}))
    ran = int8.build(f"{CALIBRATION}cal_json_file={scales}", data=False)
    assert ran.code == 0, ran.text
    stored = {item.name: numpy_helper.to_array(item) for item in onnx.load(str(int8.engine)).graph.initializer}
    np.testing.assert_allclose([stored["flat__scale"], stored["before__scale"]], [0.01, 0.2], rtol=1e-6)
    np.testing.assert_allclose(list(cache.read(int8.cache).amax.values()), [1.27, 25.4], rtol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_ranges_of_training_without_int8_have_no_effect_and_that_is_said(precision: str, int8: Int8Job) -> None:
    scales = int8.root / "qat.json"
    scales.write_text(json.dumps({"tensor_scales": {"flat": 1.27}}))
    ran = int8.build(
        f"{CALIBRATION}cal_json_file={scales}", f"gen_trt_engine.tensorrt.data_type={precision}", data=False
    )
    assert ran.code == 0 and f"cal_json_file has no effect: data_type is {precision.upper()}" in ran.text
    assert not is_quantised(onnx.load(str(int8.engine)))


def test_tensorfile_is_written_once_and_then_read(int8: Int8Job) -> None:
    data = int8.root / "data.tensorfile"
    assert int8.build(f"{CALIBRATION}cal_data_file={data}", cache=False).code == 0
    with h5py.File(data) as file:
        assert file.attrs["count"] == 2 and tuple(file.attrs["shape"]) == (3, 3, 16, 16)
        stored = file["_tensorfile_array_key__0/_tensorfile_array_key_"][()]
    assert np.isfinite(stored).all() and stored.std() > 0.1
    first = int8.engine.read_bytes()
    for path in int8.images.glob("*/*.png"):
        path.unlink()
    ran = int8.build(f"{CALIBRATION}cal_data_file={data}", cache=False)
    assert ran.code == 0 and int8.engine.read_bytes() == first
    ran = int8.build(f"{CALIBRATION}cal_data_file={data}", f"{CALIBRATION}cal_batches=3", cache=False)
    assert ran.code == 3 and "holds 2 batches; cal_batches asks for 3" in ran.err
    ran = int8.build(f"{CALIBRATION}cal_data_file={data}", f"{CALIBRATION}cal_batch_size=4", cache=False)
    assert ran.code == 3 and "batch 0 holds 3 pictures; cal_batch_size is 4" in ran.err


def test_a_cache_of_a_tensorfile_that_was_just_written_fits_the_next_time(int8: Int8Job) -> None:
    data = f"{CALIBRATION}cal_data_file={int8.root / 'data.tensorfile'}"
    ran = int8.build(data)
    assert ran.code == 0 and "2 batches written" in ran.text and "Calibrating 8 tensors" in ran.text
    before = files(int8.root)
    ran = int8.build(data)
    assert ran.code == 0 and "calibration is not run again" in ran.text
    assert before.keys() == files(int8.root).keys() and before[int8.cache.name] == files(int8.root)[int8.cache.name]


def test_a_cache_of_pictures_of_the_same_size_is_replaced(int8: Int8Job) -> None:
    """BMP files that a later recording replaced under the same names: only their content tells."""
    for path in sorted(int8.images.glob("*/*.png")):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(".bmp"))
        path.unlink()
    assert int8.build().code == 0
    assert "calibration is not run again" in int8.build().text
    used = order(picture_samples(int8.images), 0)[1]  # the first is prepared again and compared in any case
    with Image.open(used.path) as picture:
        inverted = ImageOps.invert(picture)
    size = used.path.stat().st_size
    inverted.save(used.path)
    assert used.path.stat().st_size == size
    ran = int8.build()
    assert ran.code == 0 and "is replaced: data changed: the files are others, or hold something else" in ran.text


def test_fp16_keeps_what_overflows_in_fp32(int8: Int8Job) -> None:
    model = onnx.load(str(int8.model))
    nodes = list(model.graph.node)
    big = helper.make_tensor("big", onnx.TensorProto.FLOAT, [], [1e4])
    model.graph.initializer.append(big)
    nodes[-1].CopyFrom(helper.make_node("Mul", ["logits", "big"], ["large"], name="blow_up"))
    nodes.append(helper.make_node("Div", ["large", "big"], ["output"], name="shrink"))
    del model.graph.node[:]
    model.graph.node.extend([onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes])
    onnx.save(model, str(int8.model))
    fp16 = "gen_trt_engine.tensorrt.data_type=fp16"
    ran = int8.build(fp16)
    assert ran.code == 0 and "2 nodes are kept in FP32: their values come near FP16's limit" in ran.text, ran.text
    ran = int8.run("evaluate", f"evaluate.trt_engine={int8.engine}")
    assert '"top_1_accuracy": 1.0' in (int8.results / "trt_evaluate/status.json").read_text()


def test_rules_of_our_own_may_fit_no_layer() -> None:
    rules = (LayerPrecision("gone", "fp32", optional=True), LayerPrecision("a*", "fp16"))
    assert layers.match(rules, ["a1", "b"]) == {"a1": "fp16"}


def places(root: Path) -> dict[str, tuple[str, int, str]]:
    """File names that cannot be written -> exit code, and what is said about them."""
    (root / "folder").mkdir(exist_ok=True)
    (root / "file").write_text("in the way")
    return {
        "a folder": (f"{root}/folder", 2, f"{root}/folder is a folder; expected a"),
        "below a file": (f"{root}/file/x", 1, f"{root}/file/x: cannot be written: {root}/file is not a folder"),
        "not creatable": ("/proc/none/x", 1, "/proc/none/x: cannot be written: "),  # nobody writes there, root included
        "read-only": ("/sys/x", 1, "/sys/x: cannot be written: "),
    }


KINDS = ("a folder", "below a file", "not creatable", "read-only")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "key", [f"{CALIBRATION}cal_cache_file", f"{CALIBRATION}cal_data_file", "gen_trt_engine.trt_engine"]
)
def test_what_cannot_be_written_is_said_before_a_picture_is_read(key: str, kind: str, int8: Int8Job) -> None:
    """No picture is readable: whoever reads one first says that."""
    place, code, message = places(int8.root)[kind]
    for path in int8.images.glob("*/*.png"):
        path.write_bytes(b"no picture")
    before = tree(int8.root)
    ran = int8.build(f"{key}={place}", cache=False)
    assert ran.code == code and f"{key}: " in ran.err and message in ran.err, ran.text
    assert "no picture" not in ran.text and "cannot be read" not in ran.text
    assert kind == "a folder" or "in a folder that can be written to" in ran.err
    assert tree(int8.root) == before
    assert message in str(int8.status("gen_trt_engine")[-1]["message"])


def tree(root: Path) -> set[str]:
    """All files and folders but the results."""
    return {str(item) for item in root.rglob("*") if not item.is_relative_to(root / "results")}


def test_files_beside_the_engine_and_the_cache_count_too(int8: Int8Job) -> None:
    for name in ("tiny.engine.json", "calibration.cache.json", "tiny.engine.report.json"):
        (int8.root / name).mkdir()
        ran = int8.build("gen_trt_engine.report=true")
        assert ran.code == 2 and f"{name} is a folder" in ran.err
        (int8.root / name).rmdir()
    assert not int8.engine.exists() and not int8.cache.exists()


def test_a_cache_that_fits_is_used_where_nothing_can_be_written(int8: Int8Job) -> None:
    assert int8.build().code == 0
    store = int8.root / "store"
    store.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(store)], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        for path in (int8.cache, int8.facts):
            shutil.copy(path, store)
        subprocess.run(["mount", "-o", "remount,ro", str(store)], check=True)
        file = f"{CALIBRATION}cal_cache_file={store}/calibration.cache"
        ran = int8.build(file, cache=False)
        assert ran.code == 0 and "calibration is not run again" in ran.text
        for path in int8.images.glob("*/*.png"):
            path.write_bytes(b"no picture")
        ran = int8.build(file, f"{CALIBRATION}cal_force=true", cache=False)
        assert ran.code == 1 and "cal_cache_file: " in ran.err and "Read-only file system" in ran.err
        makers.colour_folders(int8.images)
        ran = int8.build(file, f"{CALIBRATION}cal_algorithm=minmax", cache=False)
        assert ran.code == 1 and "cal_cache_file: " in ran.err and "Read-only file system" in ran.err
        assert "Calibrating 8 tensors" not in ran.text
    finally:
        subprocess.run(["umount", "-l", str(store)], check=True)


def test_ranges_of_training_that_cannot_be_kept_are_said_first(int8: Int8Job) -> None:
    scales = int8.root / "qat.json"
    scales.write_text(json.dumps({"tensor_scales": {"flat": 1.27}}))
    ran = int8.build(f"{CALIBRATION}cal_json_file={scales}", f"{CALIBRATION}cal_cache_file=/proc/none/x", cache=False)
    assert ran.code == 1 and "cal_cache_file: /proc/none/x: cannot be written" in ran.err
    assert not int8.engine.exists()


def test_weights_that_are_not_numbers_are_named_from_further_on(int8: Int8Job) -> None:
    """Without a cache only what feeds weights is observed: the first NaN is seen behind the weights that made it."""
    model = onnx.load(str(int8.model))
    model.graph.initializer.append(numpy_helper.from_array(np.full((3, 3), np.nan, np.float32), "broken"))
    flat = next(node for node in model.graph.node if node.op_type == "MatMul")
    first = helper.make_node("MatMul", [flat.input[0], "broken"], ["early"])
    model.graph.node.insert(list(model.graph.node).index(flat), first)
    next(node for node in model.graph.node if node.output[0] == "product").input[0] = "early"
    onnx.save(model, str(int8.model))
    ran = int8.build(cache=False)
    assert ran.code == 4 and "The FP32 model itself" not in ran.err
    assert "weights 'broken' hold NaN or infinity: the model is broken" in ran.err


def tensorfile(path: Path, *shape: int, count: object = 2, value: float = 0.5) -> Path:
    """Two batches as TAO writes them."""
    with h5py.File(path, "w") as file:
        for index in range(2):
            batch = np.full(shape, value, np.float64)
            file.create_group(f"_tensorfile_array_key__{index}").create_dataset("_tensorfile_array_key_", data=batch)
        file.attrs["count"] = count
    return path


@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (3, 16, 16, 3), (3, 16, 16)])
def test_tensorfile_of_another_shape(shape: tuple[int, ...], int8: Int8Job) -> None:
    int8.model = makers.tiny_model(int8.root / "model.onnx", size=16)
    path = tensorfile(int8.root / "data.tensorfile", *shape)
    before = files(int8.root)
    ran = int8.build(f"{CALIBRATION}cal_data_file={path}")
    assert ran.code == 3
    assert f"{path}: batch 0 is {shape}; the model takes input float32[?x3x16x16]." in ran.err
    assert files(int8.root) == before


@pytest.mark.parametrize("count", ["abc", np.array([2, 2]), 0, -1])
def test_tensorfile_with_a_count_that_is_none(count: object, int8: Int8Job) -> None:
    path = tensorfile(int8.root / "data.tensorfile", 3, 3, 16, 16, count=count)
    ran = int8.build(f"{CALIBRATION}cal_data_file={path}")
    assert ran.code == 3 and f"{path}: no TensorFile: its attribute 'count' is" in ran.err


def test_tensorfile_count_may_be_an_array_of_one(int8: Int8Job) -> None:
    path = tensorfile(int8.root / "data.tensorfile", 3, 3, 16, 16, count=np.array([2]))
    assert int8.build(f"{CALIBRATION}cal_data_file={path}").code == 0


def test_tensorfile_that_holds_nan_is_to_blame(int8: Int8Job) -> None:
    path = tensorfile(int8.root / "data.tensorfile", 3, 3, 16, 16, value=np.nan)
    ran = int8.build(f"{CALIBRATION}cal_data_file={path}")
    assert ran.code == 4 and "'input' (an input of the model) has NaN" in ran.err
    assert "The data itself holds it" in ran.err and "FP32 model itself" not in ran.err


def test_cache_that_ends_within_a_number(int8: Int8Job) -> None:
    assert int8.build().code == 0
    text = int8.cache.read_text()
    int8.facts.unlink()
    int8.cache.write_text(text.rstrip("\n"))  # an editor that drops the last line's end does no harm
    assert int8.build().code == 0
    int8.cache.write_text(text.rstrip("\n")[:-4])
    ran = int8.build()
    assert ran.code == 3 and f"{int8.cache}: line {len(text.splitlines())} is damaged" in ran.err


def test_calibrator_is_asked_for_where_there_is_none(int8: Int8Job) -> None:
    ran = int8.build(f"{CALIBRATION}cal_route=calibrator")
    assert ran.code == 0 and "cal_route=calibrator has no effect" in ran.text


def test_int8_layers_in_an_fp8_engine(int8: Int8Job) -> None:
    rule = "gen_trt_engine.tensorrt.layers_precision=['product:int8']"
    ran = int8.build("gen_trt_engine.tensorrt.data_type=FP8", rule)
    assert ran.code == 4 and "int8 cannot be set for single layers of an FP8 engine; possible: fp32, fp16" in ran.err


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_infinities_of_a_mask_are_no_overflow(precision: str, int8: Int8Job) -> None:
    """Attention adds "minus infinity" to what Softmax must not see. Such a tensor has no range, and none is missed."""
    model = onnx.load(str(int8.model))
    first, *_ = (node for node in model.graph.node if node.op_type == "MatMul")
    columns = numpy_helper.to_array(next(item for item in model.graph.initializer if item.name == "weight")).shape[1]
    mask = np.where(np.arange(columns) == columns - 1, -np.inf, 0).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(mask, "mask"))
    position = list(model.graph.node).index(first) + 1
    model.graph.node.insert(position, helper.make_node("Softmax", ["masked"], ["attention"]))
    model.graph.node.insert(position, helper.make_node("Add", [first.output[0], "mask"], ["masked"]))
    for node in list(model.graph.node)[position + 2 :]:
        node.input[:] = ["attention" if name == first.output[0] else name for name in node.input]
    onnx.save(model, str(int8.model))
    for _ in range(2):  # the second time with the cache of the first
        ran = int8.build(f"gen_trt_engine.tensorrt.data_type={precision}")
        assert ran.code == 0, ran.err
        assert "no range for" not in ran.err
    assert int8.engine.exists()
    if precision == "int8":
        names = [line.split(":")[0] for line in int8.cache.read_text().splitlines()]
        assert "attention" in names and "masked" not in names
