# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Annotated pictures, looked at pixel by pixel, and the colours of classes."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nvidia_tao_deploy.data.classmap import ClassNames
from nvidia_tao_deploy.data.pictures import PictureReader
from nvidia_tao_deploy.errors import SpecError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Detections
from nvidia_tao_deploy.render.boxes import AnnotatedPictures, LabelledBox, draw_boxes, encode
from nvidia_tao_deploy.render.colours import ClassColours, derived_colour, text_colour
from nvidia_tao_deploy.render.names import ResultNames
from nvidia_tao_deploy.transforms.geometry import Geometry

GREEN = (0, 128, 0)


def drawn(*boxes: tuple, size: tuple[int, int] = (100, 120), width: int = 1) -> np.ndarray:
    picture = np.full((*size, 3), 200, np.uint8)
    image = np.asarray(draw_boxes(picture, [LabelledBox(box, "x", GREEN) for box in boxes], width))
    assert (picture == 200).all(), "the picture given must stay as it was"
    return image


def test_outline_is_where_the_box_is() -> None:
    image = drawn((30, 40, 80, 90))
    assert (image[40, 50:81] == GREEN).all()
    assert (image[90, 30:81] == GREEN).all()
    assert (image[40:91, 30] == GREEN).all()
    assert (image[40:91, 80] == GREEN).all()
    assert (image[42:89, 32:79] == 200).all(), "the inside is untouched"
    assert (image[92:] == 200).all()
    assert (image[:, 82:] == 200).all()


def test_outline_width() -> None:
    image = drawn((30, 40, 80, 90), width=3)
    assert (image[60, 30:33] == GREEN).all()
    assert (image[60, 33:78] == 200).all()


def test_box_at_the_border_is_visible() -> None:
    image = drawn((0, 0, 120, 100))
    assert (image[99] == GREEN).all()
    assert (image[:, 119] == GREEN).all()


@pytest.mark.parametrize("box", [(119.6, 99.7, 120, 100), (0, 0, 0, 0), (50.2, 50.1, 50.4, 50.3)])
def test_boxes_without_area_do_not_fail(box: tuple) -> None:
    assert (drawn(box) != 200).any()


def test_label_is_inside_the_picture_wherever_the_box_is() -> None:
    for box in ((100, 0, 119, 20), (0, 95, 10, 99)):
        image = drawn(box)
        marked = (image == GREEN).all(axis=2)
        assert marked.sum() > 60, "outline and a filled label"


def test_one_pixel_picture() -> None:
    assert drawn((0, 0, 1, 1), size=(1, 1)).shape == (1, 1, 3)


def test_best_box_is_on_top() -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    boxes = [LabelledBox((10, 30, 40, 50), "a", (255, 0, 0)), LabelledBox((10, 30, 40, 50), "b", (0, 0, 255))]
    assert tuple(np.asarray(draw_boxes(picture, boxes, 1))[50, 20]) == (255, 0, 0)


def save(path: Path, mode: str) -> None:
    levels = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    if mode == "I;16":
        Image.fromarray(levels.astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(levels).convert(mode).save(path)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.jpg", "RGB"), ("grey.jpg", "L"), ("cmyk.jpg", "CMYK"), ("rgba.png", "RGBA"), ("palette.png", "P"),
        ("one.png", "1"), ("deep.png", "I;16"), ("deep.tif", "I;16"), ("a.bmp", "RGB"), ("A.JPEG", "RGB"),
        ("a.webp", "RGB"), ("sub/folder/x.png", "LA"),
    ],
)  # fmt: skip
def test_every_kind_of_picture_is_written(name: str, mode: str, tmp_path: Path) -> None:
    source = tmp_path / "in" / name
    source.parent.mkdir(parents=True)
    save(source, mode)
    picture = PictureReader("RGB")(source)
    sample = Sample(name, source)
    writer = AnnotatedPictures(
        tmp_path / "out", ResultNames([sample]), ClassNames(("cat",)), ClassColours({"cat": "red"}), 0.5, 4
    )
    boxes = np.array([[20, 20, 40, 40], [1, 1, 9, 9]], np.float32)
    found = Detections(boxes, np.array([0.5, 0.49], np.float32), np.array([0, 0]))
    frame = Frame(sample, picture.shape[:2], Geometry(), picture)
    writer.record(frame, writer.write(frame, found))
    assert list(writer.finish()) == [tmp_path / "out" / "images_annotated"]
    written = tmp_path / "out" / "images_annotated" / name
    with Image.open(written) as image:
        assert (image.size, image.mode) == ((64, 48), "RGB")
        corner = np.asarray(image, int)[38, 38]
    assert np.abs(corner - (255, 0, 0)).max() < 40, "lossy formats come close to red"
    files = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {Path("images_annotated") / name}, "nothing half-written beside it"


@pytest.mark.parametrize(("suffix", "size"), [(".jpg", (65500, 3)), (".webp", (16383, 1)), (".png", (66000, 3))])
def test_sides_that_a_format_does_not_take(suffix: str, size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(encode(Image.new("RGB", (66000, 3)), suffix))) as written:
        assert written.size == size


def test_colours_are_the_same_in_every_process() -> None:
    code = "from nvidia_tao_deploy.render.colours import derived_colour; print(derived_colour('traffic light'))"
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert run.stdout.strip() == str(derived_colour("traffic light"))


def test_derived_colours_differ_and_are_visible() -> None:
    colours = {derived_colour(f"class_{label}") for label in range(80)}
    assert len(colours) > 70
    assert all(max(colour) - min(colour) > 100 for colour in colours), "none is grey"


@pytest.mark.parametrize(("background", "text"), [((255, 255, 0), (0, 0, 0)), ((0, 0, 160), (255, 255, 255))])
def test_text_reads_on_its_background(background: tuple, text: tuple) -> None:
    assert text_colour(background) == text


def test_chosen_colours() -> None:
    colours = ClassColours({"person": "green", "dog": "#0a0b0c", "cat": "rgb(1, 2, 3)", 7: [4, 5, 6]})
    assert colours["7"] == (4, 5, 6)
    assert colours["person"] == GREEN
    assert colours["dog"] == (10, 11, 12)
    assert colours["cat"] == (1, 2, 3)
    assert colours["bird"] == derived_colour("bird")


def test_unknown_colour_is_a_spec_error_that_proposes_one() -> None:
    with pytest.raises(SpecError, match=r"inference\.color_map\.person: 'grene' is no colour") as caught:
        ClassColours({"person": "grene"}, key="inference.color_map")
    assert caught.value.exit_code == 2
    assert "green" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("red", "'red': expected a colour for each class name"),
        ({"a": [1, 2]}, r"color_map\.a: \[1, 2\]: expected three"),
    ],
)
def test_what_is_no_map_of_colours(chosen: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        ClassColours(chosen)


def test_colour_for_a_class_that_does_not_exist_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ClassColours({"persn": "green"}, ("person", "dog"), "inference.color_map")
    assert "inference.color_map: no class is named 'persn'. Did you mean 'person'?" in caplog.text
