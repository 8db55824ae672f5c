# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours against scikit-learn and plain float64, whatever the sizes; the class maps."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from nvidia_tao_deploy.data import gallery as module
from nvidia_tao_deploy.data.gallery import Gallery, GalleryCache
from nvidia_tao_deploy.data.retrieval import absent, classes_of, overlap, query_pictures
from nvidia_tao_deploy.decode.embedding import DecodeNeighbours, unit_rows
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Embedding
from nvidia_tao_deploy.transforms.geometry import Geometry
from tests.makers import picture, tiny_model


def filled(vectors: np.ndarray, labels: np.ndarray | None = None) -> Gallery:
    labels = np.zeros(len(vectors), int) if labels is None else labels
    samples = [Sample(str(index), Path(str(index)), int(label)) for index, label in enumerate(labels)]
    gallery = Gallery(samples)
    for sample, vector in zip(samples, vectors, strict=True):
        gallery.add(Frame(sample, (1, 1), Geometry()), Embedding(vector))
    gallery.finish(True)
    return gallery


@pytest.mark.parametrize("size", [1, 2, 9, 10, 500, 3000])
@pytest.mark.parametrize("queries", [1, 7, 300])
def test_nearest_against_scikit_learn(monkeypatch: pytest.MonkeyPatch, size: int, queries: int) -> None:
    """Also with blocks so small that the gallery and the queries are cut into many."""
    random = np.random.default_rng(size)
    vectors, asked = (unit_rows(random.normal(size=(count, 24))) for count in (size, queries))
    count = min(5, size)
    far, near = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(vectors).kneighbors(asked)
    for block in (module.PRODUCTS_AT_ONCE, 2000):
        monkeypatch.setattr(module, "PRODUCTS_AT_ONCE", block)
        indices, squared = filled(vectors).nearest(asked, count)
        assert indices.shape == squared.shape == (queries, count)
        assert (indices == near).all()
        assert np.abs(squared - far**2).max() < 1e-6


@pytest.mark.parametrize("columns", [5, 13, 700, 832, 833, 900, 4099])
@pytest.mark.parametrize("levels", [3, 1 << 20])
def test_smallest_are_those_of_a_sort(columns: int, levels: int) -> None:
    """Rows with and without a step over groups, with a rest behind the last group, and with many equal values."""
    values = np.random.default_rng(columns).integers(0, levels, (7, columns)).astype(np.float32)
    count = min(13, columns)
    found = module.smallest(values, count)
    assert found.shape == (7, count) and all(len(set(row)) == count for row in found.tolist())
    assert np.array_equal(np.sort(np.take_along_axis(values, found, axis=1)), np.sort(values)[:, :count])


def test_products_over_all_cores_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    vectors, asked = (unit_rows(random.normal(size=(count, 24))) for count in (400, 20))
    one = filled(vectors).nearest(asked, 4)[0]
    monkeypatch.setattr(module, "WORTH_THREADS", 0)
    assert (filled(vectors).nearest(asked, 4)[0] == one).all()


def test_equal_distances_come_in_the_order_of_the_gallery() -> None:
    vector = unit_rows(np.random.default_rng(1).normal(size=(1, 64)))
    indices, squared = filled(np.repeat(vector, 9, axis=0)).nearest(vector, 4)
    assert indices.tolist() == [[0, 1, 2, 3]] and (squared == 0).all()


def test_small_distances_keep_their_digits() -> None:
    """|g|^2 - 2 q.g in float32 has an error of 1e-7; these squared distances are 1e-9 and less."""
    base = unit_rows(np.random.default_rng(2).normal(size=(1, 32)))
    steps = np.linspace(0, 4e-5, 6)
    vectors = np.repeat(base, 6, axis=0)
    vectors[:, 0] += steps[::-1].astype(np.float32)
    indices, squared = filled(vectors).nearest(base, 6)
    exact = ((vectors.astype(np.float64) - base) ** 2).sum(axis=1)
    assert indices[0].tolist() == [5, 4, 3, 2, 1, 0]
    assert np.allclose(squared[0], np.sort(exact), rtol=1e-9, atol=0)


def test_unit_rows_against_scikit_learn() -> None:
    raw = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
    raw[2] = 0
    assert np.allclose(unit_rows(raw), normalize(raw), atol=1e-7)
    assert not unit_rows(raw)[2].any()
    large = np.full((1, 4), 60000, np.float16)  # the squares are beyond FP16
    assert np.allclose(unit_rows(large), 0.5)
    assert unit_rows(raw.reshape(5, 7, 1, 1)).shape == (5, 7)


def test_decode_gives_labels_and_copies() -> None:
    gallery = filled(np.eye(3, dtype=np.float32), np.array([4, 5, 6]))
    outputs = {"fc_pred": np.array([[0, 9, 1]], np.float32)}
    found = DecodeNeighbours("fc_pred", gallery, 2)(outputs, [])[0]
    outputs["fc_pred"][:] = 0
    assert found.indices.tolist() == [1, 2] and found.labels.tolist() == [5, 6]
    assert found.squared_distances[0] == pytest.approx(2 - 2 * 9 / 82**0.5)


def test_cache_key_sees_files_and_engine(tmp_path: Path) -> None:
    engine = tmp_path / "e.engine"
    engine.write_bytes(b"one")
    path = picture(tmp_path / "a.png")
    cache = GalleryCache(tmp_path / "g.npz", engine, "recipe")
    samples = [Sample("a.png", path, 0)]
    key = cache.key(samples)
    assert cache.key(samples) == key
    os.utime(path, ns=(1, 1))
    assert cache.key(samples) != key
    key = cache.key(samples)
    engine.write_bytes(b"two")
    assert cache.key(samples) != key
    assert cache.key([*samples, Sample("gone.png", tmp_path / "gone.png", 0)])["pictures"] == 2


def test_cache_key_sees_weights_beside_the_engine(tmp_path: Path) -> None:
    """Trained further and exported again, such a file is the same to the byte: only its weights differ."""
    engine = tiny_model(tmp_path / "plain.onnx")
    onnx.save_model(
        onnx.load(str(engine)),
        str(tmp_path / "e.onnx"),
        save_as_external_data=True,
        location="w.data",
        size_threshold=0,
    )
    cache = GalleryCache(tmp_path / "g.npz", tmp_path / "e.onnx", "recipe")
    key = cache.key([])
    weights = bytearray((tmp_path / "w.data").read_bytes())
    weights[0] ^= 1
    (tmp_path / "w.data").write_bytes(weights)
    assert cache.key([])["engine_sha256"] != key["engine_sha256"]


def test_cache_key_of_a_plan_that_only_looks_like_it(tmp_path: Path) -> None:
    (tmp_path / "e.engine").write_bytes(b"ftrt" + bytes(1 << 20) + b"\x0a\x08location" + bytes(9))
    assert len(GalleryCache(tmp_path / "g.npz", tmp_path / "e.engine", "recipe").key([])["engine_sha256"]) == 64


def test_class_map_forms(tmp_path: Path) -> None:
    def read(name: str, text: str) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
        file = tmp_path / name
        file.write_text(text)
        found = classes_of(str(file), tmp_path, None, "dataset.class_map")
        return found.folders, found.labels, found.names

    assert read("a.yaml", "007: agent\non: switch\nno: agent\n") == (
        ("007", "on", "no"), (0, 1, 0), ("agent", "switch"),
    )  # fmt: skip
    assert read("b.yml", "- x\n- y\n") == (("x", "y"), (0, 1), ("x", "y"))
    assert read("c.txt", "z\n\ny  \n") == (("z", "y"), (0, 1), ("z", "y"))
    for name, text, message in (
        ("d.yaml", "a: [1, 2]\n", "expected 'folder: class name' lines"),
        ("e.yaml", "just text\n", "expected 'folder: class name' lines"),
        ("f.yaml", "a: 'b\n", "f.yaml:1: not YAML"),
        ("g.txt", "a\na\n", "stands in line 1 already"),
        ("h.txt", "\n", "no class name in it"),
    ):
        with pytest.raises(DataError, match=message):
            read(name, text)
    with pytest.raises(DataError, match=r"none\.yaml: no such file"):
        classes_of(str(tmp_path / "none.yaml"), tmp_path, None, "dataset.class_map")


def test_classes_without_a_map_are_the_folders_of_the_gallery_then_those_of_the_queries(tmp_path: Path) -> None:
    for name in ("gallery/b", "gallery/a", "query/c", "query/a"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "gallery" / "0_stray.txt").touch()
    found = classes_of(None, tmp_path / "gallery", tmp_path / "query", "k")
    assert found.folders == found.names == ("a", "b", "c")
    assert classes_of(None, tmp_path / "gallery", None, "k").names == ("a", "b")
    assert found.label("c") == 2 and found.label("nothing") is None


def test_queries_of_unknown_folders_have_no_truth(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "x.png")
    picture(tmp_path / "other" / "y.png")
    classes = classes_of(None, tmp_path / "a", None, "k")
    found = query_pictures(str(tmp_path), "classification_folder", classes, "k")
    assert [sample.target for sample in found] == [None, None]
    (tmp_path / "map.txt").write_text("a\n")
    classes = classes_of(str(tmp_path / "map.txt"), tmp_path, None, "k")
    found = query_pictures(str(tmp_path), "classification_folder", classes, "k")
    assert [sample.target for sample in found] == [0, None]
    with pytest.raises(DataError, match="not there; inference_input_type: image"):
        query_pictures(str(tmp_path / "nothing.png"), "image", classes, "k")


def test_doubts(tmp_path: Path) -> None:
    path = picture(tmp_path / "real" / "x.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    mine, theirs = Sample("x", path, 1), Sample("x", tmp_path / "link" / "x.png", 2)
    assert overlap([theirs], [mine]) == 1
    assert overlap([Sample("y", tmp_path / "y.png")], [mine]) == 0
    assert absent([mine, theirs], [mine]) == [2]
