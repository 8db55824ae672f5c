# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Real plans by TensorRT RTX, which builds without a GPU: the parser, the profiles, the typing, the messages."""

from __future__ import annotations

import logging
import re
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from nvidia_tao_deploy.engine.contract import BuildPlan, Calibration, LayerPrecision, Profile
from nvidia_tao_deploy.engine.tensorrt import build, cuda, dialect, plan_file
from nvidia_tao_deploy.engine.tensorrt.backend import TensorRTBackend, TensorRTRTXBackend
from nvidia_tao_deploy.errors import BuildError, EngineError, SpecError
from nvidia_tao_deploy.graph import model as graph_model
from nvidia_tao_deploy.graph import pooling, quantise
from tests.graph import models, operators

pytestmark = pytest.mark.rtx
EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*/*.onnx"))


@pytest.fixture(scope="module")
def backend() -> TensorRTRTXBackend:
    backend = TensorRTRTXBackend()
    assert backend.unavailable() is None, backend.unavailable()
    return backend


def plan(model: onnx.ModelProto, **options: object) -> BuildPlan:
    """Profiles of batch 1, 2 and 4 for open batches."""
    profiles = {}
    for value in model.graph.input:
        dims = [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]
        if dims[0] == -1:
            profiles[value.name] = Profile(*((size, *dims[1:]) for size in (1, 2, 4)))
    return BuildPlan(profiles=profiles, **options)


@pytest.mark.parametrize("make", [models.classifier, models.awkward, models.attention, models.many_types])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_builds(backend, make, precision):
    model = make()
    built = backend.build(model, plan(model, precision=precision))
    head = plan_file.header(built.blob)
    assert head is not None
    assert head.total_bytes == len(built.blob)
    assert head.version == built.details["tensorrt_version"]
    assert backend.recognises(built.blob[:32])
    assert not TensorRTBackend().recognises(built.blob[:32])
    assert built.details["precision"] == precision
    assert built.details["typing"] == "explicit"
    assert built.details["network_layers"] > 0
    assert bool(built.details["narrow_nodes"]) == (precision != "fp32")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("operands", ["q, k, x", "q, q, q", "x, x, k"])
def test_builds_attention_and_computed_axes(backend, operands, precision):
    """As PyTorch's exporter writes them for operator set 23. The builder crashes when query and key are one tensor."""
    model = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 23]>
        g (float[s77,2,16,8] x) => (float[s77,2,8] y) {{
            q = Relu(x)
            k = Sigmoid(x)
            a = Attention<is_causal = 1>({operands})
            two = Constant<value_ints = [2]>()
            one = Constant<value_ints = [-1]>()
            axes = Reshape(two, one)
            y = ReduceMean<keepdims = 0>(a, axes)
        }}"""
    )
    assert backend.build(model, plan(model, precision=precision)).blob


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_builds_the_example_networks(backend, path, precision):
    model = graph_model.load(path)
    profiles = graph_model.profiles(model.inputs, (1, 2, 4))
    built = backend.build(model.proto, BuildPlan(precision=precision, profiles=profiles))
    assert built.details["precision"] == precision
    assert bool(built.details["plugin_rewrites"]) == (models.ATTENTION in str(model.ops))


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_transposed_convolution(backend, precision):
    w = models.Weights()
    node = onnx.helper.make_node("ConvTranspose", ["x", w.normal("w", 4, 2, 2, 2)], ["y"], name="/up", strides=[2, 2])
    model = models.model(
        [node], [models.value("x", 1, "n", 4, 8, 8)], [models.value("y", 1, "n", 2, 16, 16)], w.tensors
    )
    built = backend.build(model, plan(model, precision=precision))
    assert ("/up" in built.details["kept_fp32"]) == (precision == "bf16")


@pytest.mark.parametrize("batch", [1, 4])
def test_builds_a_fixed_batch(backend, batch):
    assert backend.build(models.classifier(batch), BuildPlan(precision="fp16")).blob


def test_attention_plugin_is_replaced(backend):
    model = models.attention()
    built = backend.build(model, plan(model))
    assert built.details["plugin_rewrites"] == ["MultiscaleDeformableAttnPlugin_TRT x1 -> GridSample"]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_quantised_model(backend, precision):
    model = models.quantised()
    built = backend.build(model, plan(model, precision=precision))
    assert built.details["quantised_model"]


@pytest.mark.parametrize("precision", ["fp16", "int8", "fp8"])
def test_layers_precision_of_a_quantised_model(backend, precision):
    model = models.quantised()
    wrong = (LayerPrecision("/poool", "fp32"),)
    with pytest.raises(BuildError, match="no layer is named '/poool'"):
        backend.build(model, plan(model, precision=precision, layers_precision=wrong))
    rules = (LayerPrecision("/pool", "fp16"), LayerPrecision("/relu", "fp32"))
    built = backend.build(model, plan(model, precision=precision, layers_precision=rules))
    assert built.details["quantised_model"] and built.details["narrow_nodes"] > 0
    assert built.details["kept_fp32"] == ["/relu"] or precision != "fp16"


@pytest.mark.parametrize("options", [{}, {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8}])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_model_of_onnxruntimes_quantiser(backend, options, precision, caplog):
    """Zero points, UINT8 and biases as INT32, none of which the parser takes."""
    feeds = {"input": np.random.default_rng(0).normal(size=(16, 3, 32, 32)).astype(np.float32)}
    model = models.by_onnxruntimes_quantiser(models.classifier(), feeds, **options)
    built = backend.build(model, plan(model, precision=precision))
    assert built.details["quantised_model"]
    assert "TensorRT has symmetric INT8 only" in caplog.text


def test_model_that_computes_on_integers(backend):
    model = models.classifier()
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/in.onnx")
        quantize_dynamic(f"{folder}/in.onnx", f"{folder}/out.onnx")
        dynamic = onnx.load(f"{folder}/out.onnx")
    with pytest.raises(BuildError, match=r"ConvInteger .*: this operator is not supported") as caught:
        backend.build(dynamic, plan(dynamic, precision="int8"))
    assert caught.value.exit_code == 4
    assert re.match(r"TensorRT does not compute on integers \(.*ConvInteger x 2.*QuantFormat.QDQ", caught.value.hint)


def test_ranges_of_16_bits(backend):
    feeds = {"input": np.zeros((2, 3, 32, 32), np.float32)}
    options = {"activation_type": QuantType.QInt16, "extra_options": {"UseQDQContribOps": True}}
    wide = models.by_onnxruntimes_quantiser(models.classifier(), feeds, **options)
    with pytest.raises(BuildError, match="cannot read the model") as caught:
        backend.build(wide, plan(wide, precision="int8"))
    assert "TensorRT has no ranges of 16 bits: quantise to INT8" in caught.value.hint


def test_layers_leave_a_models_own_pairs(backend, caplog):
    model = models.quantised()
    released = BuildError, "takes every layer out of the model's own Q/DQ pairs: nothing is left to be INT8"
    rules = (LayerPrecision("/conv", "fp16"),)
    with pytest.raises(released[0], match=released[1]) as caught:
        backend.build(model, plan(model, precision="int8", layers_precision=rules))
    assert caught.value.exit_code == 4 and "name fewer layers" in caught.value.hint
    with caplog.at_level(logging.INFO):
        built = backend.build(model, plan(model, precision="fp16", layers_precision=rules))
    assert "1 layers taken out of the model's own Q/DQ pairs" in caplog.text
    assert built.details["narrow_nodes"] == 4


def test_layers_precision(backend):
    model = models.classifier()
    rules = (LayerPrecision("/head/*", "fp32"),)
    built = backend.build(model, plan(model, precision="fp16", layers_precision=rules))
    assert "/head/fc" in built.details["kept_fp32"]


def test_all_parser_errors_at_once_with_their_nodes(backend):
    model = models.classifier()
    for name, kind in (("/stem/relu", "NonMaxSuppression"), ("/head/softmax", "Unique")):
        node = next(node for node in model.graph.node if node.name == name)
        del node.attribute[:]
        node.op_type = kind
    with pytest.raises(BuildError, match=r"TensorRT RTX 1\.\S+ cannot read the model: .*'/stem/relu'") as caught:
        backend.build(model, plan(model))
    assert "verbose" in caught.value.hint
    assert caught.value.exit_code == 4


def test_operator_that_the_parser_does_not_have(backend):
    nodes = [
        onnx.helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], name="/quantise"),
        onnx.helper.make_node("Cast", ["q"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    model = models.model(nodes, [models.value("x", 1, 2, 3)], [models.value("y", 1, 2, 3)], [])
    with pytest.raises(BuildError, match=r"DynamicQuantizeLinear '/quantise': this operator is not supported"):
        backend.build(model, BuildPlan())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_operator_that_is_written_as_the_standard_defines_it(backend, precision, caplog):
    w = models.Weights()
    nodes = [
        onnx.helper.make_node("CenterCropPad", ["x", w.given("size", [6, 9], np.int64)], ["c"], name="/c", axes=[2, 3]),
        onnx.helper.make_node("Relu", ["c"], ["y"], name="/relu"),
    ]
    model = models.model(nodes, [models.value("x", 1, 2, 3, 8, 8)], [models.value("y", 1, 2, 3, 6, 9)], w.tensors, 18)
    with caplog.at_level(logging.INFO):
        assert backend.build(model, BuildPlan(precision=precision)).blob
    assert "1 nodes written with other operators: CenterCropPad" in caplog.text


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("geometry", [(3, 2, 1), (2, 2, 1), (3, 3, 1), (1, 2, 0), (2, 3, 1)])
def test_pooling_has_the_sizes_of_onnx(backend, geometry, op, monkeypatch):
    """The plan cannot be asked here; the network that it is made of can."""
    sizes = []
    configure = build._configure

    def asked(tensorrt, builder, network, *others):
        sizes.append(tuple(network.get_output(0).shape))
        return configure(tensorrt, builder, network, *others)

    monkeypatch.setattr(build, "_configure", asked)
    model = operators.pool(op, 6, *geometry)
    x = np.random.default_rng(0).uniform(1, 2, (2, 4, 6, 7)).astype(np.float32)
    backend.build(pooling.standard(model), BuildPlan())
    assert sizes == [operators.pooled(model.graph.node[0], x, by_tensorrt=False).shape]


def softcapped():
    """Attention with a softcap, which the parser of RTX 1.7 refuses; without, it takes it."""
    heads = np.random.default_rng(1).normal(size=(2, 4, 3, 5)).astype(np.float32)
    return operators.one("Attention", [heads, heads], opset=23, softcap=2.0)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_form_of_an_operator_that_the_parser_refuses(backend, precision, caplog):
    with caplog.at_level(logging.INFO):
        assert backend.build(softcapped(), BuildPlan(precision=precision)).blob
    assert "nodes written with other operators: Attention" in caplog.text
    assert "softcap" not in caplog.text  # no complaint about what was built in the end


def test_what_the_parser_said_first_when_nothing_helps(backend):
    model = softcapped()
    model.graph.node.append(onnx.helper.make_node("Unique", ["output0"], ["parts"], name="/unique"))
    model.graph.output.append(onnx.helper.make_tensor_value_info("parts", onnx.TensorProto.FLOAT, ["n"]))
    with pytest.raises(BuildError, match=r"Attention '/node': .*softcap.*Unique '/unique': this operator is not"):
        backend.build(model, BuildPlan())


def test_what_the_parser_said_when_writing_anew_fails(backend, monkeypatch):
    lower = build.lowering.lower

    def once(model, lacks, *others):
        if lacks("Attention"):
            raise BuildError("cannot be written")
        return lower(model, lacks, *others)

    monkeypatch.setattr(build.lowering, "lower", once)
    with pytest.raises(BuildError, match=r"Attention '/node': .*softcap"):
        backend.build(softcapped(), BuildPlan())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_operator_that_the_parser_reads_in_float32_alone(backend, precision):
    model = operators.one("Celu", opset=onnx.defs.onnx_opset_version())  # from 28 on it may be float16
    assert backend.build(model, BuildPlan(precision=precision)).blob


def test_newer_forms_for_an_older_parser(backend, monkeypatch, caplog):
    """What TensorRT before 10 is given of a model of operator set 20, read by a parser that is here."""
    monkeypatch.setattr(dialect.Dialect, "has_old_parser", True)
    parsed = []
    read = build._parse
    monkeypatch.setattr(build, "_parse", lambda *args: (parsed.append(args[-1]), read(*args)))
    w = models.Weights()
    nodes = [
        onnx.helper.make_node("Gelu", ["x"], ["g"], name="/gelu"),
        onnx.helper.make_node("ReduceMean", ["g", w.given("axes", [2, 3], np.int64)], ["y"], name="/mean", keepdims=0),
    ]
    model = models.model(nodes, [models.value("x", 1, 2, 3, 8, 8)], [models.value("y", 1, 2, 3)], w.tensors, 20)
    monkeypatch.setattr(build, "_lacks", lambda *args: operators.lacked_by_tensorrt_8_5(args[-1]))
    assert backend.build(model, BuildPlan()).blob
    (given,) = parsed
    assert given.opset_import[0].version == 17
    assert [list(node.input) for node in given.graph.node if node.op_type == "ReduceMean"] == [["g"]]
    assert {node.op_type for node in given.graph.node} <= operators.READ_BY_TENSORRT_8_5


def test_open_axis_without_profile(backend):
    with pytest.raises(BuildError, match=r"input 'input' \(-1, 3, 32, 32\) has open axes and no optimisation profile"):
        backend.build(models.classifier(), BuildPlan())


def test_profile_of_another_input(backend):
    profiles = {"images": Profile((1, 3, 32, 32), (1, 3, 32, 32), (1, 3, 32, 32))}
    with pytest.raises(BuildError, match="no optimisation profile for input 'input'; there are: images"):
        backend.build(models.classifier(), BuildPlan(profiles=profiles))


def test_profile_against_the_model(backend):
    profiles = {"input": Profile((1, 3, 16, 16), (1, 3, 16, 16), (1, 3, 16, 16))}
    with pytest.raises(BuildError, match="TensorRT"):
        backend.build(models.classifier(), BuildPlan(profiles=profiles))


def test_unknown_tactic_source(backend):
    model = models.classifier()
    with pytest.raises(SpecError, match=r"tactic_sources: TensorRT RTX .* has no source 'CUBLASS'"):
        backend.build(model, plan(model, tactic_sources=("cublass",)))


def test_timing_cache_is_no_error_but_said(backend, tmp_path, caplog):
    model = models.classifier()
    with caplog.at_level(logging.INFO):
        backend.build(model, plan(model, timing_cache=tmp_path / "cache"))
    assert "the timing cache has no effect" in caplog.text
    assert not (tmp_path / "cache").exists()


def test_verbose_shows_the_log(backend, caplog):
    model = models.classifier()
    with caplog.at_level(logging.INFO):
        backend.build(model, plan(model, verbose=True))
    assert "Parsing node: /body/conv [Conv]" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        backend.build(model, plan(model))
    assert "Parsing node" not in caplog.text


def test_loading_without_a_gpu_says_what_is_missing(backend):
    if cuda.unavailable() is None:
        pytest.skip("there is a GPU here")
    blob = backend.build(models.classifier(1), BuildPlan()).blob
    with pytest.raises(EngineError, match=r"model\.engine: a TensorRT RTX engine runs on an RTX GPU only"):
        backend.load(blob, Path("model.engine"))


def test_building_is_repeatable_in_one_process(backend):
    sizes = {len(backend.build(models.classifier(1), BuildPlan()).blob) for _ in range(3)}
    assert len(sizes) == 1


@pytest.mark.parametrize(("factor", "kept"), [(2.0, set()), (1e4, {"/up", "/down"})])
@pytest.mark.parametrize("strict", [False, True])
def test_int8_products_with_a_scale_per_column_and_fp16_where_it_fits(backend, factor, kept, strict):
    """The rest of an INT8 engine is FP16: values beyond its range are left in FP32."""
    model = models.products(factor)
    feeds = np.full((2, 8), 100, np.float32)
    calibration = Calibration(lambda: iter([{"x": feeds}]), 1, 2, algorithm="minmax")
    built = backend.build(model, plan(model, precision="int8", calibration=calibration, strict=strict))
    assert built.details["quantised_nodes"] == 4
    assert set(built.details.get("beyond_fp16", ())) == (set() if strict else kept)
    assert kept <= set(built.details["kept_fp32"]) or strict
    quantised, _ = quantise.quantise(model, dict.fromkeys(("x", "a_out", "up_out", "down_out"), 1.0))
    scales = [item for item in quantised.graph.initializer if item.name.endswith("__axis1__scale")]
    assert [list(item.dims) for item in scales] == [[8]] * 4  # per column; what RTX was given


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("op", ["HardSwish", "Mish", "GlobalLpPool"])
def test_operators_without_bf16(backend, op, precision):
    w = models.Weights()
    nodes = [
        onnx.helper.make_node("Conv", ["x", w.normal("w", 4, 3, 3, 3)], ["c"], name="/conv"),
        onnx.helper.make_node(op, ["c"], ["y"], name="/act"),
    ]
    size = 1 if op == "GlobalLpPool" else 6
    model = models.model(
        nodes, [models.value("x", 1, 1, 3, 8, 8)], [models.value("y", 1, 1, 4, size, size)], w.tensors, opset=20
    )
    built = backend.build(model, plan(model, precision=precision))
    assert ("/act" in built.details["kept_fp32"]) == (precision == "bf16")


@pytest.mark.parametrize(
    ("op", "direction", "kept", "precision"),
    [
        ("LSTM", "forward", False, "fp16"),
        ("LSTM", "forward", False, "bf16"),
        ("LSTM", "reverse", True, "fp16"),
        ("LSTM", "reverse", True, "bf16"),
        ("LSTM", "bidirectional", True, "fp16"),
        ("LSTM", "bidirectional", True, "bf16"),
        ("GRU", "forward", False, "fp16"),  # in BF16 behind narrow layers, RTX's parser mixes types
        ("GRU", "reverse", True, "bf16"),
        ("RNN", "forward", False, "fp16"),
        ("RNN", "forward", False, "bf16"),
    ],
)
def test_recurrences(backend, op, direction, kept, precision):
    """In float32 behind a cast, RTX fails on those that have one direction."""
    w, directions = models.Weights(), 2 if direction == "bidirectional" else 1
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    weights = [w.normal(name, directions, gates * 16, size) for name, size in (("w", 8), ("r", 16))]
    options = {"linear_before_reset": 1} if op == "GRU" else {}  # as PyTorch exports it
    nodes = [
        onnx.helper.make_node("Relu", ["x"], ["a"], name="/relu"),
        onnx.helper.make_node("MatMul", ["a", w.normal("m", 8, 8)], ["b"], name="/product"),
        onnx.helper.make_node(
            op, ["b", *weights], ["y"], name="/recurrence", hidden_size=16, direction=direction, **options
        ),
    ]
    outputs = [models.value("y", 1, 9, directions, 1, 16)]
    model = models.model(nodes, [models.value("x", 1, 9, 1, 8)], outputs, w.tensors)
    built = backend.build(model, BuildPlan(precision=precision))
    assert ("/recurrence" in built.details["kept_fp32"]) == kept


def test_calibrator_is_asked_for_where_there_is_none(backend):
    model = models.classifier(1)
    calibration = Calibration(ranges={"input": 1.0}, route="calibrator")
    with pytest.raises(BuildError, match=r"cal_route=calibrator: TensorRT RTX .* has no calibrator"):
        backend.build(model, BuildPlan(precision="int8", calibration=calibration))
