# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The protobuf text format: against protobuf's own parser, the forms that specs use, and messages for broken files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List  # noqa: UP035

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec import proto_spec, yaml_file
from nvidia_tao_deploy.spec.compose import compose
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.textproto import Field, Message, Word, parse

# ruff: noqa: UP006


def values(text: str) -> dict[str, Any]:
    """Field name -> values as parsed."""
    found: dict[str, list[Any]] = {}
    for field in parse(text, "spec.txt").fields:
        found.setdefault(field.name, []).append(field.value)
    return found


def test_forms_of_fields() -> None:
    text = """
    # a comment
    a { b: 1 }  c: { b: 2 }  d < b: 3 >  e: < b: 4 >,   # another; with "marks" {
    f: "one" 'two' "three"; g: [1, 2, 3] h: [] i: [{b: 5}, {b: 6}]
    j: -1.5e3 k: BILINEAR l: true m: 0x1F n: 017 o: 1.5f p: .5 q: 3. r: -inf s: nan [ext.name]: 7
    t {}u{}v:1
    """
    found = values(text)
    assert [found[name][0].fields[0].value for name in "acde"] == [1, 2, 3, 4]
    assert found["f"] == ["onetwothree"] and found["g"] == [1, 2, 3] and "h" not in found
    assert [item.fields[0].value for item in found["i"]] == [5, 6]
    numbers = {"j": -1500.0, "m": 31, "n": 15, "o": 1.5, "p": 0.5, "q": 3.0, "[ext.name]": 7, "v": 1}
    assert {name: found[name][0] for name in numbers} == numbers
    words = {"k": "BILINEAR", "l": "true", "r": "-inf", "s": "nan"}
    assert {name: found[name][0] for name in words} == words
    assert all(isinstance(found[name][0], Word) for name in words)
    assert found["t"] == found["u"] == [Message()]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r'"a\nb\t\\\"\'\?"', "a\nb\t\\\"'?"),
        (r'"\346\262\252A"', "沪A"),  # bytes of UTF-8 in octal, as protobuf prints them
        (r'"\xe6\xb2\xaa"', "沪"),
        (r'"\u6caa\U0001F600"', "沪😀"),
        ('"沪"', "沪"),
        ("'it is \"quoted\"'", 'it is "quoted"'),
        ('"a # b"', "a # b"),
    ],
)
def test_strings(written: str, meant: str) -> None:
    assert values(f"a: {written}") == {"a": [meant]}


def test_places() -> None:
    fields = parse("one: 1\n  two: [2,\n 3]\n", "x").fields
    assert [(field.line, field.column) for field in fields] == [(1, 1), (2, 9), (3, 2)]
    assert fields[0] == Field("one", 1, 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: ", "spec.txt:1:4: expected a value, found the end of the file."),
        ("a: /data", "spec.txt:1:4: expected a value (text stands in quotes), found '/'."),
        ("a 1", "spec.txt:1:3: expected ':' or '{' after 'a', found '1'."),
        ("a {\n  b: 1\n", "spec.txt:3:1: the file ends before the '}' for the bracket of line 1, column 3"),
        ("a {\n  b: 1\n>", "spec.txt:3:1: expected a field name, found '>'."),
        ("a: 1 }", "spec.txt:1:6: expected a field name, found '}'."),
        ('a: "no end\nb: 1', "spec.txt:1:4: the string has no end on this line."),
        ('a: 1\nb: "x\\q"', r"spec.txt:2:6: unknown escape '\q'"),
        (r'b: "\xff"', "spec.txt:1:4: the escapes of this string do not make UTF-8 text"),
        (r'b: "\ud800"', r"spec.txt:1:5: '\ud800' is no character"),
        ("a: 12abc", "spec.txt:1:4: '12abc' is no number."),
        ("a: 089", "spec.txt:1:4: '089' starts with 0 and is no octal number."),
        ("a: [1 2]", "spec.txt:1:7: expected ',' or ']' in the list, found '2'."),
        ("a: 1 $", "spec.txt:1:6: unexpected character '$'."),
        ("1: 1", "spec.txt:1:1: expected a field name, found '1'."),
        ("[a b", "expected the name of an extension"),
        ("a{" * 200 + "}" * 200, "spec.txt:1:202: more than 100 messages inside each other."),
    ],
)
def test_broken_text(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text, "spec.txt")
    assert message in caught.value.message


# --- protobuf's own parser as the reference ---------------------------------------------------------------------------


def _message_class() -> Any:
    """message Node { string text = 1; double number = 2; int64 whole = 3; bool yes = 4; Node node = 5;
    repeated int64 many = 6; repeated Node nodes = 7; }"""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="node.proto", package="test", syntax="proto3")
    node = file.message_type.add(name="Node")
    fields = [
        ("text", kinds.TYPE_STRING, False), ("number", kinds.TYPE_DOUBLE, False), ("whole", kinds.TYPE_INT64, False),
        ("yes", kinds.TYPE_BOOL, False), ("node", kinds.TYPE_MESSAGE, False), ("many", kinds.TYPE_INT64, True),
        ("nodes", kinds.TYPE_MESSAGE, True),
    ]  # fmt: skip
    for number, (name, kind, repeated) in enumerate(fields, 1):
        field = node.field.add(name=name, number=number, type=kind)
        field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        if kind == kinds.TYPE_MESSAGE:
            field.type_name = ".test.Node"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Node"))


NODE = _message_class()


@dataclass
class Leaf:
    text: str = option("", "")
    number: float = option(0.0, "")
    whole: int = option(0, "")
    yes: bool = option(False, "")
    many: List[int] = option([], "")


@dataclass
class Node(Leaf):
    node: Leaf = section(Leaf)
    nodes: List[Leaf] = option([], "")


numbers = st.floats(allow_nan=False, width=64).map(lambda number: number + 0.0)  # no -0.0: to us it is unset
wholes = st.integers(-(2**63), 2**63 - 1)
leaves = st.fixed_dictionaries(
    {}, optional={"text": st.text(), "number": numbers, "whole": wholes, "yes": st.booleans(), "many": st.lists(wholes)}
)
trees = st.tuples(leaves, st.none() | leaves, st.lists(leaves, max_size=3))


def plain(message: Any) -> dict[str, Any]:
    """A protobuf message as a dict of the fields that are set."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name == "node":
            found["node"] = plain(value)
        elif field.name == "nodes":
            found["nodes"] = [plain(item) for item in value]
        else:
            found[field.name] = list(value) if field.name == "many" else value
    return found


@settings(deadline=None)  # other work on the machine is no failure
@given(trees, st.booleans(), st.booleans(), st.booleans())
def test_what_protobuf_prints_is_read_as_protobuf_reads_it(
    tree: tuple[dict[str, Any], dict[str, Any] | None, list[dict[str, Any]]], angles: bool, one_line: bool, utf8: bool
) -> None:
    top, inner, others = tree
    message = NODE(**top, nodes=[NODE(**other) for other in others])
    if inner is not None:
        message.node.CopyFrom(NODE(**inner))
    text = text_format.MessageToString(
        message, pointy_brackets=angles, as_one_line=one_line, as_utf8=utf8, use_short_repeated_primitives=one_line
    )
    spec = proto_spec.SpecFile(Path("x"), {})
    read = proto_spec._Mapper(spec).section(parse(text, "x"), Node, "")
    assert read == plain(text_format.Parse(text, NODE()))


# --- the meaning of a schema ------------------------------------------------------------------------------------------


@dataclass
class Source:
    folder: str = option("", "")


@dataclass
class Inner:
    method: str = option("bilinear", "", choices=("bilinear", "bicubic"))
    mode: str = option("caffe", "", choices=("caffe", "torch"))
    mean: Dict[str, float] = option({}, "")
    top_k: int = option(5, "", minimum=1)
    crop: bool = option(False, "")
    depth: int = option(8, "", choices=(8, 16))
    sources: List[Source] = option([], "")
    old: Any = ignored()


@dataclass
class Schema:
    inner: Inner = section(Inner)


def composed(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "spec.txt"
    path.write_text(text, encoding="utf-8")
    return compose(Schema, path, protobuf=True)


def test_values_of_a_schema(tmp_path: Path) -> None:
    spec = composed(
        tmp_path,
        """inner {
             method: BICUBIC mode: "torch" mean { key: 'r' value: 1 } mean: {key: "g" value: 2.5}
             top_k: 3 crop: True depth: 16
             sources { folder: "a" weight: 2 } sources { folder: "b" }
           }
           training { lr: 0.1 lr: 0.2 }""",
    )
    inner = spec.spec.inner
    assert (inner.method, inner.mode, inner.mean, inner.top_k, inner.crop, inner.depth) == (
        "bicubic", "torch", {"r": 1.0, "g": 2.5}, 3, True, 16,
    )  # fmt: skip
    assert inner.sources == [Source("a"), Source("b")]
    assert spec.ignored == ("inner.sources.weight", "training")
    assert list(spec.config.training.lr) == [0.1, 0.2]


def test_zero_is_unset_and_messages_merge(tmp_path: Path) -> None:
    inner = composed(tmp_path, 'inner { top_k: 0 mode: "" method: 1 } inner { method: 0 crop: t }').spec.inner
    assert (inner.top_k, inner.mode, inner.method, inner.crop) == (5, "caffe", "bilinear", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('inner { top_k: "3" }', "spec.txt:1:9: inner.top_k: found '3'; expected a whole number."),
        ("inner {\n  top_k: 2.5 }", "spec.txt:2:3: inner.top_k: found 2.5; expected a whole number."),
        ("inner { crop: maybe }", "inner.crop: found maybe; expected true or false."),
        ("inner { method: CUBIC }", "inner.method: found CUBIC; expected one of BILINEAR, BICUBIC."),
        ("inner { method: 2 }", "inner.method: found 2; expected one of BILINEAR, BICUBIC."),
        ('inner { mode: "cafe" }', "spec.txt:1:9: inner.mode: 'cafe' is not allowed; expected one of caffe, torch"),
        ("inner: 5", "spec.txt:1:1: inner: found 5; expected a message in braces."),
        ("inner { top_k { a: 1 } }", "inner.top_k: found a message; expected a value."),
        ("inner { sources: 3 }", "inner.sources[0]: found 3; expected a message in braces."),
        ("inner { sources { folder: a } }", "inner.sources[0].folder: found a; expected text in quotes."),
        ('inner { mean { key: "r" values: 1 } }', 'inner.mean: found a message; expected { key: "NAME" value: VALUE'),
        ('inner { mean { key: "r" value: "x" } }', "inner.mean.r: found 'x'; expected a number."),
        ("inner { depth: 12 }", "spec.txt:1:9: inner.depth: '12' is not allowed; expected one of 8, 16"),
        ("inner { top_k: -2 }", "spec.txt:1:9: inner.top_k: -2 is too small; expected at least 1"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        composed(tmp_path, text)
    assert message in caught.value.message


def test_a_slip_of_the_pen_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    composed(tmp_path, "inner { topk: 3 top_k: 2 top_k: 4 }")
    assert "inner.topk: no such key, ignored. Did you mean 'inner.top_k'?" in caplog.text
    assert "spec.txt:1:26: inner.top_k stands more than once; the last value counts" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("s.yaml", "inner {\n  top_k: 2\n}\nother: 1\n", "looks like protobuf text: then its name must end in .txt"),
        ("s.txt", "inner:\n  top_k: 2\nfolder: /data\n", "looks like YAML: then its name must end in .yaml"),
        ("s.txt", "inner { top_k: }\n", None),
        ("s.yaml", "inner: [1\n", None),
    ],
)
def test_the_other_form_is_recognised(tmp_path: Path, name: str, content: str, hint: str | None) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SpecError) as caught:
        compose(Schema, tmp_path / name, protobuf=True)
    found = caught.value.hint or ""
    assert hint in found if hint else "then its name must end" not in found


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such spec file"), (b"a: \xff", "not a text file (byte 3 is not UTF-8)")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "spec.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=message.replace("(", r"\(").replace(")", r"\)")):
        proto_spec.read(path, Schema)
    with pytest.raises(SpecError, match="a folder, not a spec file"):
        proto_spec.read(tmp_path, Schema)


def test_convert_writes_every_field(tmp_path: Path) -> None:
    old, new = tmp_path / "old.txt", tmp_path / "new.yaml"
    text = 'inner { method: BICUBIC sources { folder: "沪" } } train { flag: true x: inf words: A words: B m { n: 1 } }'
    old.write_text(text, encoding="utf-8")
    proto_spec.convert(old, new, Schema)
    tree = yaml.safe_load(new.read_text(encoding="utf-8"))
    assert tree == {
        "inner": {"method": "bicubic", "sources": [{"folder": "沪"}]},
        "train": {"flag": True, "x": math.inf, "words": ["A", "B"], "m": {"n": 1}},
    }
    assert compose(Schema, new, protobuf=True).spec == compose(Schema, old, protobuf=True).spec
    before = new.read_bytes()
    with pytest.raises(SpecError, match="exists already"):
        proto_spec.convert(old, new, Schema)
    assert new.read_bytes() == before
    with pytest.raises(SpecError, match=r"expected a name that ends in \.yaml"):
        proto_spec.convert(old, tmp_path / "new.txt", Schema)
    old.write_text("a {", encoding="utf-8")
    with pytest.raises(SpecError):
        proto_spec.convert(old, tmp_path / "other.yaml", Schema)
    assert not (tmp_path / "other.yaml").exists()


def test_convert_keeps_text_text(tmp_path: Path) -> None:
    """Names that the YAML reader would take for something else, were they not in quotes."""
    words = ["1e3", "5E-4", "012", "0x1f", "yes", "null", "~", "2026-01-01", ".inf", "a: b", "#", "12:30", "=", "<<"]
    old, new = tmp_path / "old.txt", tmp_path / "new.yaml"
    sources = " ".join(f'sources {{ folder: "{word}" }}' for word in words)
    training = " ".join(f'w: "{word}"' for word in words)
    old.write_text(f"inner {{ {sources} }} train {{ {training} }}")
    proto_spec.convert(old, new, Schema)
    tree = yaml_file.read(new).tree
    assert tree == {"inner": {"sources": [{"folder": word} for word in words]}, "train": {"w": words}}
    assert compose(Schema, new, protobuf=True).spec == compose(Schema, old, protobuf=True).spec


def test_convert_wants_protobuf_text(tmp_path: Path) -> None:
    old = tmp_path / "old.yaml"
    old.write_text("inner: {top_k: 3}")
    with pytest.raises(SpecError, match=r"old\.yaml: YAML already"):
        proto_spec.convert(old, tmp_path / "new.yaml", Schema)
