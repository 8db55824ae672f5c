# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which pictures calibrate, in which order, and what happens to those that cannot be read."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from nvidia_tao_deploy.data.change_lists import ChangeSample
from nvidia_tao_deploy.data.pairs import PairSample
from nvidia_tao_deploy.data.pictures import picture_samples
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample
from nvidia_tao_deploy.pipeline.calibration import CalibrationFeed, content_digest, order
from nvidia_tao_deploy.transforms.picture import Normalise, PicturePrepare
from tests.makers import picture

PREPARE = PicturePrepare("x", (3, 4, 4), Normalise())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(20):
        picture(tmp_path / f"class{index // 10}" / f"{index:02d}.png", (10 * index, 0, 0), (5, 5))
    return tmp_path


def first_values(feed: CalibrationFeed) -> list[int]:
    """The red value of each row, which names its picture."""
    return [round(float(value) * 255) // 10 for batch in feed for value in batch["x"][:, 0, 0, 0].copy()]


def feed(folder: Path, batch: int, batches: int, seed: int = 0) -> CalibrationFeed:
    return CalibrationFeed(picture_samples(folder), PREPARE, batch, batches, seed, "cal_image_dir")


def test_order_is_the_documented_one() -> None:
    samples = [Sample(f"{index}.png", Path(f"{index}.png")) for index in range(50)]
    expected = sorted(range(50), key=lambda index: hashlib.sha256(f"7:{index}.png".encode()).hexdigest())
    assert [int(sample.name[:-4]) for sample in order(samples[::-1], 7)] == expected


def test_names_that_are_no_text_have_a_place_too(tmp_path: Path) -> None:
    picture(tmp_path / os.fsdecode(b"\xff.png"))
    (sample,) = picture_samples(tmp_path)
    assert order([sample], 7) == [sample]
    size = sample.path.stat().st_size
    assert content_digest([sample]) == hashlib.sha256(b"\xff.png\0%d\n" % size).hexdigest()


def test_same_seed_same_pictures_from_all_folders(folder: Path) -> None:
    values = first_values(feed(folder, 4, 2))
    assert values == first_values(feed(folder, 2, 4)) and len(set(values)) == 8
    assert any(value < 10 for value in values) and any(value >= 10 for value in values)
    assert values != first_values(feed(folder, 4, 2, seed=1))
    assert [int(Path(sample.name).stem) for sample in order(picture_samples(folder), 0)[:8]] == values


def test_every_iteration_starts_over(folder: Path) -> None:
    twice = feed(folder, 4, 2)
    assert first_values(twice) == first_values(twice)


def test_too_few_pictures_say_both_numbers(folder: Path) -> None:
    with pytest.raises(DataError, match="cal_image_dir: 20 pictures; cal_batch_size 7 x cal_batches 3 needs 21"):
        feed(folder, 7, 3)


def test_unreadable_pictures_are_replaced_by_the_next_of_the_order(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ordered = [int(Path(sample.name).stem) for sample in order(picture_samples(folder), 0)]
    for broken in (ordered[1], ordered[5], ordered[8]):  # the last is the first spare
        (folder / f"class{broken // 10}" / f"{broken:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    expected = list(ordered[:8])
    expected[1], expected[5] = ordered[9], ordered[10]
    with caplog.at_level(logging.WARNING, "nvidia_tao_deploy"):
        assert first_values(feed(folder, 4, 2)) == expected
    assert sum("Calibrating with" in record.message for record in caplog.records) == 3


def test_a_flood_of_unreadable_pictures_is_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in folder.glob("class*/*.png"):
        path.write_bytes(b"")
    with caplog.at_level(logging.WARNING, "nvidia_tao_deploy"), pytest.raises(DataError, match="no other is left"):
        first_values(feed(folder, 1, 2))
    assert sum("Calibrating with" in record.message for record in caplog.records) == 10
    assert "... and 8 more that cannot be read" in caplog.text


def test_too_few_readable_pictures_are_an_error(folder: Path) -> None:
    (folder / "class0" / "03.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"03.png.* needs 20 pictures, and no other is left"):
        first_values(feed(folder, 5, 4))


def test_facts_change_with_the_data_and_the_preprocessing(folder: Path) -> None:
    before = feed(folder, 4, 2).facts()
    assert before == feed(folder, 4, 2).facts()
    assert before["data"]["used"] == 8 and before["data"]["pictures"] == 20
    other = PicturePrepare("x", (3, 4, 4), Normalise(mean=(0.5,)))
    changed = CalibrationFeed(picture_samples(folder), other, 4, 2, 0).facts()
    assert changed["data"] == before["data"] and changed["preprocessing"] != before["preprocessing"]
    picture(folder / "class0" / "new.png", size=(5, 5))
    assert feed(folder, 4, 2).facts()["data"]["sha256"] != before["data"]["sha256"]


def test_digest_knows_names_and_sizes(folder: Path) -> None:
    samples = picture_samples(folder)
    assert content_digest(samples) == content_digest(samples[::-1])
    (folder / "class0" / "00.png").write_bytes(b"other size")
    assert content_digest(samples) != content_digest(samples[1:])


def test_digest_knows_the_content_of_what_is_used(folder: Path) -> None:
    samples = picture_samples(folder)
    before = content_digest(samples, samples[:2]), content_digest(samples, samples[2:])
    content = bytearray(samples[0].path.read_bytes())
    content[-20] ^= 255
    samples[0].path.write_bytes(content)
    assert content_digest(samples, samples[:2]) != before[0] and content_digest(samples, samples[2:]) == before[1]


@pytest.mark.parametrize("kind", ["unit", "golden", "after"])
def test_digest_knows_all_pictures_of_a_pair(kind: str, folder: Path) -> None:
    first, other = (folder / "class0" / f"0{index}.png" for index in range(2))
    sample = ChangeSample("a", first, None, other)
    if kind != "after":
        sample = PairSample("a", first, 0, (first, other) if kind == "unit" else (first,), (other,))
    before = content_digest([sample], [sample])
    other.write_bytes(other.read_bytes()[:-1] + b"x")
    assert content_digest([sample], [sample]) != before


class Own:
    """A preprocessing in which every sample has its own size."""

    shapes = None

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], object]:
        return PREPARE.single(sample)


def test_samples_of_their_own_size_come_one_by_one(folder: Path) -> None:
    own = CalibrationFeed(picture_samples(folder), Own(), 4, 3, 0)  # type: ignore[arg-type]
    assert own.batch_size == 1 and [batch["x"].shape for batch in own] == [(1, 3, 4, 4)] * 3
