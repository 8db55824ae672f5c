# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Spec files and overrides that cannot be read, and those that can: what is said and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.spec.common import Experiment, TaskSection
from nvidia_tao_deploy.spec.compose import compose, require
from nvidia_tao_deploy.spec.fields import ignored, option, section
from nvidia_tao_deploy.spec.migrate import Migration

# ruff: noqa: UP006, UP045


@dataclass
class Dataset:
    folder: str = option("", "a folder")
    sizes: List[int] = option([1, 2], "sizes", minimum=1)
    ratio: float = option(0.5, "a ratio", minimum=0, maximum=1)
    kind: Optional[str] = option(None, "kind", choices=("Small", "LARGE"))
    places: Optional[Dict[str, int]] = option(None, "places by name")
    workers: Any = ignored("only training reads it")


@dataclass
class Spec(Experiment):
    dataset: Dataset = section(Dataset, ratio=0.25)
    evaluate: TaskSection = section(TaskSection)


def spec_of(tmp_path: Path, text: str, *overrides: str, migrations: tuple[Migration, ...] = ()) -> Any:
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return compose(Spec, path, overrides, migrations)


def error_of(tmp_path: Path, text: str, *overrides: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        spec_of(tmp_path, text, *overrides)
    assert caught.value.exit_code == 2
    return caught.value


def test_override_beats_file_beats_default(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "dataset: {folder: /a, ratio: 0.75}", "dataset.folder=/b").spec
    assert (spec.dataset.folder, spec.dataset.ratio, spec.dataset.sizes) == ("/b", 0.75, [1, 2])
    assert compose(Spec, None).spec.dataset.ratio == 0.25  # the section's own default, replaced by the network's


def test_defaults_are_not_shared_between_specs() -> None:
    compose(Spec, None).spec.dataset.sizes.append(99)
    assert compose(Spec, None).spec.dataset.sizes == [1, 2]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("dataset.folder=/plain/path", "/plain/path"),
        ("dataset.folder='/with blank/and, comma'", "/with blank/and, comma"),
        ("dataset.folder=\"/with 'single' quotes\"", "/with 'single' quotes"),
        (r"dataset.folder='it\'s'", "it's"),
        ("dataset.folder=$HOME", "$HOME"),
        ("dataset.folder='$(touch /tmp/never)'", "$(touch /tmp/never)"),
        ("dataset.folder='`id`; rm -rf x'", "`id`; rm -rf x"),
        ("dataset.folder='a=b'", "a=b"),
        ("dataset.folder='[x]'", "[x]"),
        ("dataset.folder=C:/x", "C:/x"),
        ("dataset.folder='ü 文'", "ü 文"),
        ("dataset.folder='1'", "1"),
        ("dataset.folder=1", "1"),
        ("dataset.folder=", ""),
        ("dataset.sizes=[3,4]", [3, 4]),
        ("dataset.sizes=[]", []),
        ("dataset.sizes=7", [7]),
        ("dataset.kind=large", "LARGE"),
        ("dataset.kind=null", None),
        ("dataset.ratio=1e-3", 1e-3),
        ("+dataset.ratio=0.5", 0.5),
        ("++dataset.ratio=0.5", 0.5),
        ("~dataset.ratio", 0.25),
        ("dataset={ratio: 0.5}", 0.5),
    ],
)
def test_override_grammar(tmp_path: Path, override: str, value: object) -> None:
    spec = spec_of(tmp_path, "results_dir: r", override).spec
    key = override.lstrip("+~").split("=")[0].split(".")[-1]
    assert getattr(spec.dataset, "ratio" if key == "dataset" else key) == value


@pytest.mark.parametrize("text", ["dataset: {}", "dataset: {places: null}", "dataset: {places: '???'}"])
@pytest.mark.parametrize(
    ("overrides", "places"),
    [
        (["dataset.places={x: 2, y: 3}"], {"x": 2, "y": 3}),
        (["dataset.places.x=2", "+dataset.places.y=3"], {"x": 2, "y": 3}),
        (["dataset.places={x: 2}", "dataset.places=null", "dataset.places={y: 3}"], {"y": 3}),
        (["dataset.places={x: 2}", "dataset.places=null"], None),
    ],
)
def test_a_mapping_that_is_null_takes_keys(
    tmp_path: Path, text: str, overrides: list[str], places: dict[str, int] | None
) -> None:
    assert spec_of(tmp_path, text, *overrides).spec.dataset.places == places


def test_what_stands_twice_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "dataset: {folder: a}\ndataset: {ratio: 0.5}\nresults_dir: a\nresults_dir: b\n"
    spec = spec_of(tmp_path, text).spec
    assert (spec.dataset.folder, spec.dataset.ratio, spec.results_dir) == ("a", 0.5, "b")
    assert "spec.yaml:2: dataset stands more than once; the sections are merged" in caplog.text
    assert "spec.yaml:4: results_dir stands more than once; the last value counts" in caplog.text


def test_a_required_key_that_is_deleted_is_not_set(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "gen_trt_engine: {onnx_file: m.onnx}", "~gen_trt_engine.onnx_file").spec
    with pytest.raises(SpecError, match=r"gen_trt_engine\.onnx_file is not set"):
        require(spec, "gen_trt_engine.onnx_file")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_any_quoted_text_arrives_as_it_was(text: str) -> None:
    quoted = "'" + text.replace("'", r"\'") + "'"
    if "\\" in text or "${" in text or text.startswith(("~", "$")):
        return  # escapes, home folders and variables: see test_texts
    assert compose(Spec, None, [f"dataset.folder={quoted}"]).spec.dataset.folder == text


def test_interpolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_FOLDER", "/env")
    text = "dataset: {folder: '${oc.env:SOME_FOLDER}/${train.name}'}\n"
    text += "train: {name: run1}\nresults_dir: ${dataset.folder}/r"
    assert spec_of(tmp_path, text).spec.results_dir == "/env/run1/r"
    assert spec_of(tmp_path, text, "train.name=run2").spec.results_dir == "/env/run2/r"
    error = error_of(tmp_path, "results_dir: r\ndataset: {folder: '${nowhere}'}")
    assert "spec.yaml:2: dataset.folder" in error.message and "nowhere" in error.message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("evaluate: {trt_engin: x}", "spec.yaml:1: evaluate.trt_engin: no such key", "'evaluate.trt_engine'"),
        (
            "gen_trt_engine:\n  data_type: fp16",
            "spec.yaml:2: gen_trt_engine.data_type",
            "gen_trt_engine.tensorrt.data_type",
        ),
        ("gen_trt_engine: {tensorrt: {zzz: 1}}", "gen_trt_engine.tensorrt.zzz: no such key", "workspace_size"),
        ("gen_trt_engine: {tensorrt: {calibration: {cal_batchs: 1}}}", "no such key", "calibration.cal_batches"),
        (
            "evaluate: {batch_size: abc}",
            "spec.yaml:1: evaluate.batch_size: found 'abc'; expected int",
            "evaluate.batch_size: pictures per batch",
        ),
        (
            "\nevaluate: {gpu_ids: [a]}",
            "spec.yaml:2: evaluate.gpu_ids: found ['a']; expected list of int",
            "evaluate.gpu_ids: GPU to run on",
        ),
        (
            "gen_trt_engine: {tensorrt: {workspace_size: 1GB}}",
            "gen_trt_engine.tensorrt.workspace_size: found '1GB'; expected int",
            "in MB",
        ),
        (
            "gen_trt_engine: {tensorrt: {workspace_size: 4294967296}}",
            "4294967296 is too large; expected at most 1048576",
            "in MB",
        ),
        ("evaluate: 7", "evaluate: expected a section with keys, found '7'", None),
        ("dataset: [1]", "dataset: expected a section with keys", None),
        (
            "dataset: {ratio: 1.5}",
            "spec.yaml:1: dataset.ratio: 1.5 is too large; expected at most 1",
            "dataset.ratio: a ratio",
        ),
        ("dataset: {sizes: [2, 0]}", "dataset.sizes: 0 is too small; expected at least 1", "dataset.sizes: sizes"),
        ("dataset: {kind: tiny}", "dataset.kind: 'tiny' is not allowed; expected one of Small, LARGE", None),
        ("gen_trt_engine: {tensorrt: {data_type: FP15}}", "expected one of FP32, FP16, BF16, INT8, FP8", None),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str, hint: str | None) -> None:
    error = error_of(tmp_path, text)
    assert message in error.message
    assert (error.hint is None) if hint is None else (hint in (error.hint or ""))


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("evaluate.trt_engin=x", "Override evaluate.trt_engin=x: no such key", "'evaluate.trt_engine'"),
        ("+evaluate.trt_engin=x", "Override +evaluate.trt_engin=x: no such key", "'evaluate.trt_engine'"),
        ("++evaluate.zzz=x", "Override ++evaluate.zzz=x: no such key", "Keys in this section: "),
        ("~evaluate.zzz", "Override ~evaluate.zzz: no such key", "Keys in this section: "),
        ("evaluate={zzz: 1}", "no such key", "Keys in this section: "),
        ("evaluate=null", "'evaluate' is a section with keys", "evaluate.KEY="),
        ("evaluate=5", "'evaluate' is a section with keys", None),
        ("evaluate.batch_size=abc", "Override evaluate.batch_size=abc: found 'abc'; expected int", None),
        ("evaluate={batch_size: abc}", "Override evaluate={batch_size: abc}: found 'abc'; expected int", None),
        ("gen_trt_engine.trt_engine=null", "found null; expected str", None),
        ("dataset.folder=[a]", "found ['a']; expected str", None),
        ("dataset.places={x: a}", "Override dataset.places={x: a}: found 'a'; expected map to int or null", None),
        ("dataset.sizes.first=3", "Override dataset.sizes.first=3: no such place in a list", "dataset.sizes=[...]"),
        ("dataset.ratio=-1", "Override dataset.ratio=-1: -1.0 is too small", None),
        ("dataset={ratio: -1}", "Override dataset={ratio: -1}: -1.0 is too small", None),
        ("evaluate.gpu_ids=0,1", "several values", "evaluate.gpu_ids=[0,1]"),
        ("dataset.folder=[a", "Override 'dataset.folder=[a': cannot be read", "quote"),
        ("dataset.folder=a=b", "cannot be read", "quote"),
        ("dataset.folder", "cannot be read", "quote"),
        ("=3", "Override '=3': no key", "without blanks around the '='"),
    ],
)
def test_wrong_overrides(tmp_path: Path, override: str, message: str, hint: str | None) -> None:
    error = error_of(tmp_path, "results_dir: r", override)
    assert message in error.message
    assert hint is None or hint in (error.hint or "")
    assert "spec.yaml" not in error.message


def test_keys_of_training_are_ignored_and_listed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "train: {lr: 1e-4, optim: {a: [1]}}\ndataset: {workers: 4, shuffel: true, folders: /x}\nwandb: {}"
    with caplog.at_level("INFO"):
        composed = spec_of(tmp_path, text, "train.lr=2", "+quantize.mode=x")
    assert set(composed.ignored) == {
        "train", "dataset.workers", "dataset.shuffel", "dataset.folders", "wandb", "train.lr", "quantize.mode",
    }  # fmt: skip
    lines = [record.message for record in caplog.records if record.message.startswith("Ignored")]
    assert len(lines) == 1 and "dataset.shuffel" in lines[0] and "train" in lines[0]
    hints = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert hints == ["dataset.folders: no such key, ignored. Did you mean 'dataset.folder'?"]
    assert OmegaConf.to_container(composed.config)["train"]["lr"] == 2  # kept for experiment.yaml


def test_slips_of_the_pen_are_told_from_keys_of_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is like a key of ours but belongs to training is no slip, wherever it stands."""
    text = "datset: {batch_size: 3}\ndataset: {train_folder: /x, a: {b: 1}}\nevalute: {x: 1}"
    with caplog.at_level("WARNING"):
        spec_of(tmp_path, text, "gen_trt_engin.onnx_file=x", "dataset.foldr=y")
    assert [record.message.split(": no such key, ignored. ") for record in caplog.records] == [
        ["datset", "Did you mean 'dataset'?"],
        ["evalute", "Did you mean 'evaluate'?"],
        ["gen_trt_engin.onnx_file", "Did you mean 'gen_trt_engine.onnx_file'?"],
        ["dataset.foldr", "Did you mean 'dataset.folder'?"],
    ]


def test_missing_values(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, 'results_dir: "???"\ngen_trt_engine: {trt_engine: /e}').spec
    assert not spec.results_dir and spec.gen_trt_engine.onnx_file is None
    for key in ("results_dir", "gen_trt_engine.onnx_file", "dataset.folder"):
        with pytest.raises(SpecError, match=f"{key} is not set") as caught:
            require(spec, key)
        assert f"{key}=" in str(caught.value.hint)
    assert require(spec, "gen_trt_engine.trt_engine") == "/e"


def test_empty_sections_take_their_defaults(tmp_path: Path) -> None:
    assert spec_of(tmp_path, "evaluate:\ndataset:").spec.dataset.ratio == 0.25


def test_hydras_own_keys_do_nothing(tmp_path: Path) -> None:
    text = "defaults: [nowhere]\nhydra: {run: {dir: /nowhere}}\nresults_dir: r"
    assert spec_of(tmp_path, text, "hydra.run.dir=/nowhere", "hydra/job_logging=x").spec.results_dir == "r"


MOVES = (
    Migration("dataset.data.test.folder", "dataset.folder"),
    Migration("evaluate.sizes", "dataset.sizes", lambda value: value if isinstance(value, list) else [value]),
)


@pytest.mark.parametrize(
    ("text", "overrides", "folder", "sizes"),
    [
        ("dataset: {data: {test: {folder: /old}}}", (), "/old", [1, 2]),
        ("evaluate: {sizes: 5}", (), "", [5]),
        ("dataset: {data: {test: {folder: '???'}}}", ("dataset.data.test.folder=/old",), "/old", [1, 2]),
        ("dataset: {folder: /new, data: {test: {folder: /old}}}", (), "/new", [1, 2]),
        ("dataset: {folder: /new}", ("dataset.data.test.folder=/old", "+evaluate.sizes=[7,8]"), "/old", [7, 8]),
    ],
)
def test_keys_of_older_releases(
    tmp_path: Path, text: str, overrides: tuple[str, ...], folder: str, sizes: list[int]
) -> None:
    spec = spec_of(tmp_path, text, *overrides, migrations=MOVES).spec
    assert (spec.dataset.folder, spec.dataset.sizes) == (folder, sizes)


def test_an_old_key_keeps_its_line_for_messages(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"spec\.yaml:3: dataset\.sizes: 0 is too small"):
        spec_of(tmp_path, "results_dir: r\nevaluate:\n  sizes: 0\n", migrations=MOVES)


def test_an_old_key_beside_the_new_one_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The sample of classification_tf2 has max_batch_size twice: 16 at its place of today, 64 at the old one."""
    spec_of(tmp_path, "dataset:\n  folder: /new\n  data: {test: {folder: /old}}", migrations=MOVES)
    assert "spec.yaml:3: dataset.data.test.folder: key of an older release, without effect: dataset.folder is set" in (
        caplog.text
    )


@pytest.mark.parametrize("override", [(), ("gen_trt_engine.tensorrt.calibration.cal_image_dir=''",)])
def test_an_empty_text_is_an_empty_list(tmp_path: Path, override: tuple[str, ...]) -> None:
    """As TAO's default_specs writes it where nothing is set."""
    text = "gen_trt_engine: {tensorrt: {calibration: {cal_image_dir: ''}}}"
    spec = spec_of(tmp_path, "results_dir: r" if override else text, *override).spec
    assert spec.gen_trt_engine.tensorrt.calibration.cal_image_dir == []
