# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The timing cache file, on a stand-in whose caches are sorted words (tests/gpu has TensorRT's own)."""

from __future__ import annotations

import logging
import multiprocessing
from pathlib import Path

import pytest

from nvidia_tao_deploy.engine.tensorrt import timing_cache
from nvidia_tao_deploy.errors import SpecError


class Cache:
    def __init__(self, words: set[str]) -> None:
        self.words = words

    def combine(self, other: Cache, ignore_mismatch: bool) -> bool:
        self.words |= other.words
        return True

    def serialize(self) -> bytes:
        return ("cache " + " ".join(sorted(self.words))).encode()


class Config:
    """Takes content that begins with "cache"; of other content it makes an empty cache, as TensorRT 8.5 does."""

    def __init__(self, raises: bool = False) -> None:
        self.cache: Cache | None = None
        self.raises = raises

    def create_timing_cache(self, content: bytes) -> Cache:
        fits = content.startswith(b"cache ")
        if self.raises and content and not fits:
            raise RuntimeError("bad cache")
        return Cache(set(content.decode().split()[1:]) if fits else set())

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return True

    def get_timing_cache(self) -> Cache:
        assert self.cache is not None
        return self.cache


def build(path: Path, word: str) -> bool:
    config = Config()
    used = timing_cache.use(config, path)
    config.get_timing_cache().words.add(word)
    timing_cache.store(config, path)
    return used


def test_read_and_merged(tmp_path):
    path = tmp_path / "new" / "timing.cache"
    assert not build(path, "a")
    assert build(path, "b")
    assert path.read_bytes() == b"cache a b"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["timing.cache", "timing.cache.lock"]


def test_entries_of_a_build_that_ended_meanwhile_stay(tmp_path):
    path = tmp_path / "timing.cache"
    slow = Config()
    timing_cache.use(slow, path)
    build(path, "fast")
    slow.get_timing_cache().words.add("slow")
    timing_cache.store(slow, path)
    assert path.read_bytes() == b"cache fast slow"


def test_many_processes_lose_nothing(tmp_path):
    path = tmp_path / "timing.cache"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(build, [(path, f"w{index:02}") for index in range(12)])
    assert path.read_bytes().split()[1:] == [f"w{index:02}".encode() for index in range(12)]


@pytest.mark.parametrize("raises", [True, False])
def test_damaged_file_is_replaced_with_a_warning(tmp_path, caplog, raises):
    path = tmp_path / "timing.cache"
    path.write_bytes(b"\xff\x00 nonsense")
    config = Config(raises)
    with caplog.at_level(logging.WARNING):
        assert not timing_cache.use(config, path)
    assert f"timing cache {path} does not fit" in caplog.text
    config.get_timing_cache().words.add("a")
    timing_cache.store(config, path)
    assert path.read_bytes() == b"cache a"


def test_no_warning_for_a_file_that_is_not_there(tmp_path, caplog):
    assert not timing_cache.use(Config(), tmp_path / "timing.cache")
    assert not caplog.records


@pytest.mark.parametrize("in_the_way", ["t.cache.lock", "t.cache"])
def test_a_build_is_not_lost_with_its_cache(tmp_path, caplog, in_the_way):
    """Another user's lock file, a file system without locks, a full disk: the engine is made by then."""
    config, path = Config(), tmp_path / "t.cache"
    timing_cache.use(config, path)
    (tmp_path / in_the_way).mkdir()
    assert timing_cache.store(config, path) == 0
    assert "t.cache is not updated: " in caplog.text and "directory" in caplog.text


def test_folder_in_place_of_the_file(tmp_path):
    with pytest.raises(SpecError, match=r"gen_trt_engine\.timing_cache: .* cannot be read: Is a directory"):
        timing_cache.use(Config(), tmp_path)
