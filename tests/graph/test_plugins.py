# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The registry of plugin rewriters."""

from __future__ import annotations

import pytest

from nvidia_tao_deploy.errors import BuildError
from nvidia_tao_deploy.graph import plugins
from tests.graph import models


def test_model_without_plugins_is_the_same_object():
    model = models.classifier()
    found, done = plugins.rewrite(model)
    assert found is model
    assert done == []
    assert not plugins.contains_plugins(model.SerializeToString())


def test_native_plugins_stay():
    model = models.attention()
    assert plugins.rewrite(model, native={models.ATTENTION}) == (model, [])
    assert plugins.contains_plugins(model.SerializeToString())


@pytest.mark.parametrize("domain", ["nvidia", ""])
def test_unknown_plugin(domain):
    model = models.attention(domain)
    model.graph.node[2].op_type = "Magic_TRT"
    with pytest.raises(
        BuildError, match=r"Magic_TRT \(node '/encoder/attention'\).*MultiscaleDeformableAttnPlugin_TRT"
    ):
        plugins.rewrite(model)


def test_every_rewriter_says_what_it_does():
    for op, module in plugins.rewriters().items():
        assert op in module.OPS
        assert isinstance(module.OPSET, int), op
        assert module.REPLACEMENT, op
        assert callable(module.rewrite), op


def test_what_is_no_model_holds_no_plugins():
    assert not plugins.contains_plugins(b"\xff\xff\xff")
    with pytest.raises(BuildError, match="not an ONNX model"):
        plugins.parse(b"\xff\xff\xff", "x.onnx")
