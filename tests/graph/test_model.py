# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Loading ONNX files, good and bad; fixed batches; profiles."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from nvidia_tao_deploy.engine.contract import Profile, TensorInfo
from nvidia_tao_deploy.errors import BuildError, SpecError
from nvidia_tao_deploy.graph import model as graph_model
from nvidia_tao_deploy.graph import precision, quantise
from tests.graph import models


@pytest.fixture
def saved(tmp_path):
    def save(proto: onnx.ModelProto, name: str = "model.onnx", **options: object):
        path = tmp_path / name
        onnx.save_model(proto, str(path), **options)
        return path

    return save


def test_facts_of_a_model(saved):
    path = saved(models.classifier())
    model = graph_model.load(path)
    assert [str(info) for info in model.inputs] == ["input float32[?x3x32x32]"]
    assert [str(info) for info in model.outputs] == ["probabilities float32[?x10]"]
    assert (model.opset, model.batch, model.quantised) == (17, -1, False)
    assert model.ops[""]["Conv"] == 2
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "opset 17, 10 nodes; inputs: input float32[?x3x32x32]" in model.describe()


def test_fixed_batch_and_quantised(saved):
    model = graph_model.load(saved(models.quantised(batch=4)))
    assert model.batch == 4
    assert model.quantised


def test_quantised_in_a_body(saved):
    proto = models.awkward()
    body = next(node for node in proto.graph.node if node.op_type == "If").attribute[0].g
    body.initializer.append(onnx.numpy_helper.from_array(np.float32(0.1), "s"))
    body.node.insert(0, helper.make_node("QuantizeLinear", ["p", "s"], ["q"]))
    assert graph_model.is_quantised(proto)


def test_external_data(saved, tmp_path):
    path = saved(models.classifier(), save_as_external_data=True, location="model.data", size_threshold=0)
    model = graph_model.load(path)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"input": np.ones((1, 3, 32, 32), np.float32)})
    session = onnxruntime.InferenceSession(model.proto.SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"input": np.ones((1, 3, 32, 32), np.float32)})[0], expected[0])
    content = path.read_bytes() + (tmp_path / "model.data").read_bytes()
    assert model.sha256 == hashlib.sha256(content).hexdigest()


def test_external_data_missing(saved, tmp_path):
    path = saved(models.classifier(), save_as_external_data=True, location="model.data", size_threshold=0)
    (tmp_path / "model.data").unlink()
    with pytest.raises(BuildError, match=r"its weights are in 'model\.data', which is not in"):
        graph_model.load(path)


@pytest.mark.parametrize("where", ["/dev/zero", "../secret"])
def test_external_data_elsewhere_is_not_read(saved, where):
    path = saved(models.classifier(), save_as_external_data=True, location="model.data", size_threshold=0)
    proto = onnx.load(str(path), load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            entry.value = where if entry.key == "location" else entry.value
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(BuildError, match=f"weights are in '{where}'; expected a file in the folder of the model"):
        graph_model.load(path)
    with pytest.raises(BuildError):
        graph_model.file_sha256(path)


def test_external_data_truncated(saved, tmp_path):
    path = saved(models.classifier(), save_as_external_data=True, location="model.data", size_threshold=0)
    data = tmp_path / "model.data"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(BuildError, match=r"model\.onnx"):
        graph_model.load(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.etlt", b"x", r"an encrypted model \(\.etlt\) cannot be read"),
        ("model.uff", b"x", "a UFF model"),
        ("model.onnx", b"", "the file is empty"),
        ("model.onnx", b"PK\x03\x04" + bytes(100), "zip archive"),
        ("model.onnx", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        ("model.onnx", b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite"),
        ("model.onnx", b"ptrt" + bytes(100), "a TensorRT engine"),
        ("model.onnx", b"vtrt" + bytes(100), "a TensorRT RTX engine"),
        ("model.onnx", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("model.onnx", b"<!doctype html><html>", "a web page"),
        ("model.onnx", b"\xff\xfe\xfd" * 50, r"not an ONNX model, or truncated \(150 bytes\)"),
    ],
)
def test_files_that_are_no_onnx_model(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BuildError, match=message) as caught:
        graph_model.load(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.999])
def test_truncated_anywhere(saved, share):
    path = saved(models.classifier())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BuildError, match=r"model\.onnx"):
        graph_model.load(path)


def test_missing_file_names_what_is_there(saved, tmp_path):
    saved(models.classifier(), "resnet.onnx")
    with pytest.raises(BuildError, match="no such file") as caught:
        graph_model.load(tmp_path / "resnt.onnx")
    assert caught.value.hint == "In that folder: resnet.onnx."


def test_folder(tmp_path):
    with pytest.raises(BuildError, match=r"a folder; expected an \.onnx file"):
        graph_model.load(tmp_path)


@pytest.mark.parametrize("opset", [6, onnx.defs.onnx_opset_version() + 1])
def test_opset_outside_the_range(saved, opset):
    proto = models.classifier()
    proto.opset_import[0].version = opset
    with pytest.raises(BuildError, match=rf"operator set {opset}; supported are 7 to \d+") as caught:
        graph_model.load(saved(proto))
    assert "17" in caught.value.hint


def test_graph_that_contradicts_itself(saved):
    proto = models.classifier()
    proto.graph.node[-2].input[1] = "w2"  # a convolution's weights in the linear layer
    with pytest.raises(BuildError, match="not a valid ONNX model") as caught:
        graph_model.load(saved(proto))
    assert "\n" not in caught.value.message


def test_plugin_without_domain_is_accepted(saved):
    model = graph_model.load(saved(models.attention(domain="")))
    assert model.ops[graph_model.PLUGIN_DOMAIN] == {models.ATTENTION: 1}


def test_fix_batch(saved):
    fixed = graph_model.fix_batch(graph_model.load(saved(models.classifier())), 3)
    assert fixed.batch == 3
    assert fixed.outputs[0].shape == (3, 10)
    session = onnxruntime.InferenceSession(fixed.proto.SerializeToString())
    assert session.run(None, {"input": np.zeros((3, 3, 32, 32), np.float32)})[0].shape == (3, 10)


def test_fix_batch_of_a_model_that_has_one(saved, caplog):
    model = graph_model.load(saved(models.classifier(batch=4)))
    assert graph_model.fix_batch(model, 2) is model
    assert "fixed to 4 in the model; gen_trt_engine.batch_size=2 has no effect" in caplog.text


def test_fix_batch_to_nothing(saved):
    with pytest.raises(SpecError, match="batch_size: 0"):
        graph_model.fix_batch(graph_model.load(saved(models.classifier())), 0)


def info(*shape: int, name: str = "input") -> TensorInfo:
    return TensorInfo(name, "float32", shape)


def test_profile_of_an_open_batch():
    assert graph_model.profiles([info(-1, 3, 8, 8)], (1, 2, 4)) == {
        "input": Profile((1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8))
    }


def test_no_profile_for_a_fixed_model():
    assert graph_model.profiles([info(2, 3, 8, 8)], (9, 1, 0)) == {}


def test_profile_of_further_axes():
    found = graph_model.profiles([info(-1, 3, -1, 8)], (1, 1, 1), {"input": {2: (8, 16, 32)}})
    assert found["input"] == Profile((1, 3, 8, 8), (1, 3, 16, 8), (1, 3, 32, 8))


def test_profile_with_an_axis_without_bounds():
    with pytest.raises(SpecError, match=r"input input float32\[\?x3x\?x8\]: axis 2 is open") as caught:
        graph_model.profiles([info(-1, 3, -1, 8)], (1, 1, 1))
    assert "{min,opt,max}_{height,width}" in caught.value.hint


@pytest.mark.parametrize("batch", [(2, 1, 4), (1, 5, 4), (0, 1, 1)])
def test_profile_out_of_order(batch):
    with pytest.raises(SpecError, match=r"expected 1 <= min <= opt <= max"):
        graph_model.profiles([info(-1, 3, 8, 8)], batch)


def test_inputs_that_disagree_on_the_batch():
    with pytest.raises(BuildError, match=r"disagree on the batch .*left float32\[\?x3\], right float32\[2x3\]"):
        graph_model.profiles([info(-1, 3, name="left"), info(2, 3, name="right")], (1, 1, 1))


def with_function(opset: int = 17) -> onnx.ModelProto:
    """input [N, 8] -> output [N, 3]: one call of a function that holds the only product."""
    body = [
        onnx.helper.make_node("MatMul", ["X", "W"], ["product"], name="product"),
        onnx.helper.make_node("Relu", ["product"], ["Y"], name="relu"),
    ]
    imports = [onnx.helper.make_opsetid("", opset)]
    function = onnx.helper.make_function("mine", "Layer", ["X", "W"], ["Y"], body, imports)
    w = models.Weights()
    call = onnx.helper.make_node("Layer", ["input", w.normal("w", 8, 3)], ["output"], name="call", domain="mine")
    model = models.model(
        [call], [models.value("input", 1, "N", 8)], [models.value("output", 1, "N", 3)], w.tensors, opset, ("mine",)
    )
    model.functions.append(function)
    return model


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_functions_become_nodes_that_can_be_quantised(saved, kind):
    loaded = graph_model.load(saved(with_function()))
    assert not loaded.proto.functions and loaded.ops == {"": {"MatMul": 1, "Relu": 1}}
    result, report = quantise.quantise(loaded.proto, {"input": 1.0}, quantise.FORMATS[kind])
    assert len(report.quantised) == 1
    onnx.checker.check_model(result, full_check=True)


def test_defaults_of_functions_stay(saved):
    """onnx's inliner drops them; ONNX Runtime, which inlines by itself, is the reference."""
    model = with_function()
    activation = onnx.helper.make_node("Elu", ["product"], ["Y"], name="elu")
    activation.attribute.add(name="alpha", ref_attr_name="alpha", type=onnx.AttributeProto.FLOAT)
    function = model.functions[0]
    del function.node[1:]
    function.node.append(activation)
    function.attribute_proto.append(onnx.helper.make_attribute("alpha", 0.25))
    feeds = {"input": np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)}
    path = saved(model)
    expected = onnxruntime.InferenceSession(str(path)).run(None, feeds)[0]
    loaded = graph_model.load(path).proto
    found = onnxruntime.InferenceSession(loaded.SerializeToString()).run(None, feeds)[0]
    assert (expected < 0).any() and expected.min() >= -0.25
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weights_of_format_version_3_are_no_inputs_any_more(saved):
    """As inputs that callers may replace, ONNX Runtime could not fold them."""
    model = models.classifier(opset=8)
    model.ir_version = 3
    model.graph.input.extend(models.value(item.name, item.data_type, *item.dims) for item in model.graph.initializer)
    loaded = graph_model.load(saved(model))
    assert [value.name for value in loaded.proto.graph.input] == ["input"] and loaded.proto.ir_version == 4


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_format_version_3_takes_initialisers_that_are_no_inputs(saved, kind):
    model = models.classifier(opset=8)
    model.ir_version = 3
    model.graph.input.extend(models.value(item.name, item.data_type, *item.dims) for item in model.graph.initializer)
    loaded = graph_model.load(saved(model))
    if kind == "fp16":
        result, report = precision.typed(loaded.proto, "fp16")
        assert report.narrow
    else:
        result, report = quantise.quantise(loaded.proto, dict.fromkeys(quantise.needed(loaded.proto), 1.0))
        assert report.quantised
    onnx.checker.check_model(result, full_check=True)


def test_external_data_of_constant_nodes_counts(saved, tmp_path):
    """The sha256 binds calibration caches to weights, wherever those are kept."""
    node = helper.make_node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(np.ones((8, 3), np.float32)))
    product = helper.make_node("MatMul", ["input", "w"], ["output"])
    model = models.model([node, product], [models.value("input", 1, "N", 8)], [models.value("output", 1, "N", 3)], [])
    options = {"save_as_external_data": True, "location": "data.bin", "size_threshold": 0, "convert_attribute": True}
    path = saved(model, **options)
    before = graph_model.load(path).sha256
    weights = bytearray((tmp_path / "data.bin").read_bytes())
    weights[2] ^= 1
    (tmp_path / "data.bin").write_bytes(weights)
    assert graph_model.load(path).sha256 != before
    (tmp_path / "data.bin").unlink()
    with pytest.raises(BuildError, match=r"its weights are in 'data.bin', which is not in"):
        graph_model.load(path)


def test_an_onnx_package_that_is_too_old_for_what_is_asked(monkeypatch):
    monkeypatch.setattr(onnx.defs, "onnx_opset_version", lambda: 20)
    with pytest.raises(BuildError, match=r"BF16 needs operator set 22; onnx .* has those up to 20") as caught:
        graph_model.raise_opset(models.classifier(), 22, "BF16")
    assert "newer onnx" in caught.value.hint
