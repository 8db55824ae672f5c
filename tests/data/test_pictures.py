# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Finding and reading pictures: every odd kind gives the right pixels or one line that names the file."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nvidia_tao_deploy.data import pictures
from nvidia_tao_deploy.data.pictures import PictureReader, list_pictures, picture_samples
from nvidia_tao_deploy.errors import DataError
from tests.makers import noise, picture

RGB, GREY = PictureReader(), PictureReader("L")
RAMP = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5


def saved(tmp_path: Path, image: Image.Image, name: str, **how: object) -> Path:
    path = tmp_path / name
    image.save(path, **how)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".PNG"])
def test_lossless_kinds(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, Image.fromarray(RAMP), f"x{suffix}")
    assert np.array_equal(RGB(path), RAMP) and RGB(path).dtype == np.uint8


def test_grey_and_back(tmp_path: Path) -> None:
    grey = saved(tmp_path, Image.fromarray(RAMP[:, :, 0]), "grey.png")
    assert np.array_equal(RGB(grey), np.repeat(RAMP[:, :, :1], 3, axis=2))
    assert np.array_equal(GREY(grey), RAMP[:, :, :1])
    colour = saved(tmp_path, Image.fromarray(RAMP), "colour.png")
    luma = RAMP @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
    assert GREY(colour).shape == (4, 4, 1) and np.abs(GREY(colour)[:, :, 0] - luma).max() <= 0.51


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match="cannot be read: a pipe; expected a file"):
        PictureReader()(tmp_path / "pipe.jpg")


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    wide = np.array([[0, 257, 65535, 128 * 257]], np.uint16)
    for name in ("w.png", "w.tif"):
        path = saved(tmp_path, Image.fromarray(wide), name)
        assert RGB(path)[0, :, 1].tolist() == [0, 1, 255, 128]
        assert GREY(path)[0, :, 0].tolist() == [0, 1, 255, 128]


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.float32])
@pytest.mark.parametrize("exif", [False, True])
def test_thirty_two_bits_are_values_of_eight(tmp_path: Path, dtype: type, exif: bool) -> None:
    path = saved(tmp_path, Image.fromarray(np.array([[0, 1, 100, 255]], dtype)), "w.tif")
    assert PictureReader(exif=exif)(path)[0, :, 1].tolist() == [0, 1, 100, 255]
    for value in (40_000, -2000):
        path = saved(tmp_path, Image.fromarray(np.array([[0, value]]).astype(np.int32).astype(dtype)), "w.tif")
        with pytest.raises(DataError, match=r"w\.tif: cannot be read: 32 bits per value, from .* expected 0 to 255"):
            RGB(path)


def test_signed_sixteen_bits_are_sixteen(tmp_path: Path) -> None:
    wide, signed = Image.fromarray(np.array([[0, 257, 100 * 257]], np.uint16)), {339: (2,)}
    path = saved(tmp_path, wide, "w.tif", tiffinfo=signed)
    with Image.open(path) as opened:
        assert opened.mode == "I"  # as those of 32 bits
    assert RGB(path)[0, :, 0].tolist() == [0, 1, 100]


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    import cv2

    wide = (RAMP.astype(np.uint16) * 257)[:, :, ::-1]
    assert cv2.imwrite(str(tmp_path / "c.png"), wide)
    assert np.abs(RGB(tmp_path / "c.png").astype(int) - RAMP).max() <= 1


def test_transparency_is_dropped(tmp_path: Path) -> None:
    alpha = np.dstack([RAMP, np.linspace(0, 255, 16, dtype=np.uint8).reshape(4, 4)])
    assert np.array_equal(RGB(saved(tmp_path, Image.fromarray(alpha), "rgba.png")), RAMP)
    grey = Image.fromarray(alpha[:, :, [0, 3]], "LA")
    assert np.array_equal(GREY(saved(tmp_path, grey, "la.png"))[:, :, 0], RAMP[:, :, 0])


def test_palette_and_one_bit(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert RGB(saved(tmp_path, image, "p.png", transparency=0)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    bits = Image.new("1", (2, 1))
    bits.putpixel((1, 0), 1)
    assert RGB(saved(tmp_path, bits, "bits.png")).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_cmyk(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "cmyk.jpg", quality=100)
    red = RGB(path)[4, 4]
    assert red[0] > 240 and red[1] < 15 and red[2] < 15


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(RAMP[:, :3]), "turned.png", exif=exif)
    plain = RAMP[:, :3]
    turned = {  # as the EXIF standard describes rows and columns of each value
        1: plain, 2: plain[:, ::-1], 3: plain[::-1, ::-1], 4: plain[::-1], 5: plain.transpose(1, 0, 2),
        6: np.rot90(plain, -1), 7: plain[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(plain),
    }  # fmt: skip
    assert np.array_equal(RGB(path), plain)
    assert np.array_equal(PictureReader(exif=True)(path), turned[orientation])


def test_one_pixel_and_a_very_wide_one(tmp_path: Path) -> None:
    assert RGB(picture(tmp_path / "one.png", (1, 2, 3), (1, 1))).tolist() == [[[1, 2, 3]]]
    assert RGB(noise(tmp_path / "wide.png", (20_000, 3))).shape == (3, 20_000, 3)


def test_content_counts_not_the_name(tmp_path: Path) -> None:
    jpeg = picture(tmp_path / "real.jpg", (200, 10, 10), (8, 8))
    wrong = tmp_path / "wrong.png"
    wrong.write_bytes(jpeg.read_bytes())
    assert np.array_equal(RGB(wrong), RGB(jpeg))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such picture"),
        (b"", "the file is empty"),
        (b"words, no picture", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", ""),
    ],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        RGB(path)
    assert str(path) in caught.value.message and message in caught.value.message and caught.value.exit_code == 3


KINDS = [("JPEG", {}), ("PNG", {}), ("BMP", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {})]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(("kind", "how"), KINDS, ids=[kind for kind, _ in KINDS])
def test_truncated_pictures_are_refused(tmp_path: Path, kind: str, how: dict[str, str]) -> None:
    """At any length: no wrong pixels, no exception but DataError."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(buffer, kind, **how)
    whole = buffer.getvalue()
    path = tmp_path / "x.jpg"
    path.write_bytes(whole)
    pixels = RGB(path)
    for length in range(1, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:length])
        try:
            again = RGB(path)
        except DataError as error:
            assert str(path) in error.message
        else:  # only what does not carry pixels may be missing
            assert np.array_equal(again, pixels)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from([kind for kind, _ in KINDS]))
def test_damaged_pictures_never_raise_anything_else(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for reader in (RGB, PictureReader("L", exif=True)):
        try:
            assert reader(path).dtype == np.uint8
        except DataError as error:
            assert str(path) in error.message


def test_no_program_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow goes by the content, and hands PostScript to Ghostscript, where that is installed."""
    ran = tmp_path / "ran"
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch {ran}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ghostscript.parent}:{os.environ['PATH']}")
    path = tmp_path / "a.jpg"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"a\.jpg: EPS, whatever its name says"):
        PictureReader()(path)
    assert not ran.exists()


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # Pillow's own limit is set from ours
    monkeypatch.setattr(pictures, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="more than 100 pixels"):
        RGB(noise(tmp_path / "big.png", (40, 30)))


def test_listing_is_sorted_recursive_and_knows_endings(tmp_path: Path) -> None:
    for name in (
        "b.JPG",
        "a.jpeg",
        "sub/c.PnG",
        "sub/deep/d.bmp",
        "e.tiff",
        "f.webp",
        "no.txt",
        ".DS_Store",
        "._a.jpeg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    names = [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path)]
    assert names == ["a.jpeg", "b.JPG", "e.tiff", "f.webp", "sub/c.PnG", "sub/deep/d.bmp"]
    assert [path.name for path in list_pictures(tmp_path, recursive=False)] == ["a.jpeg", "b.JPG", "e.tiff", "f.webp"]


def test_hidden_folders_and_what_a_run_drew_are_no_input(tmp_path: Path) -> None:
    """A notebook keeps copies in .ipynb_checkpoints; a second run on `.` would find the pictures of the first."""
    for name in (
        "a.png", ".ipynb_checkpoints/a-checkpoint.png", "sub/.cache/b.png", "results/images_annotated/a.png",
        "results/confusion_matrix.png", "results/age_confusion_matrix.png", "results/own/c.png",
        "other/images_annotated/d.png", "other/confusion_matrix.png",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "results" / "status.json").touch()
    names = [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path)]
    assert names == ["a.png", "other/confusion_matrix.png", "other/images_annotated/d.png", "results/own/c.png"]
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "e.png").touch()
    assert [path.name for path in list_pictures(tmp_path / ".hidden")] == ["e.png"]  # asked for by name
    assert [path.name for path in list_pictures(tmp_path / "results" / "images_annotated")] == ["a.png"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").touch()
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "real")
    assert [path.name for path in list_pictures(tmp_path / "set")] == ["a.png"]


@pytest.mark.parametrize("recursive", [True, False])
def test_a_link_to_nowhere_is_listed_and_named_when_it_is_read(tmp_path: Path, recursive: bool) -> None:
    (tmp_path / "a.png").symlink_to("/not/mounted/a.png")
    (tmp_path / "folder.png").mkdir()
    found = list_pictures(tmp_path, recursive)
    assert found == [tmp_path / "a.png"]
    with pytest.raises(DataError, match=r"a\.png: a link to /not/mounted/a\.png, which does not exist here\."):
        RGB(found[0])


def test_several_folders_have_unique_names(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png", "y/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    samples = picture_samples([tmp_path / "x", tmp_path / "y", tmp_path / "x"])
    assert [sample.name for sample in samples] == ["a.png", "2/a.png", "b.png"]
    assert [sample.path.parent.name for sample in samples] == ["x", "y", "y"]
    assert [sample.name for sample in picture_samples(tmp_path / "y" / "b.png")] == ["b.png"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", "nowhere (some.key): no such folder"),
        (lambda root: root, "no picture in it; known endings: .jpg"),
        (lambda root: "", "No picture folder is given (some.key)"),
        (lambda root: [], "No picture folder is given (some.key)"),
        (lambda root: root / "x.txt", "x.txt (some.key): not a picture"),
    ],
)
def test_folders_without_pictures(tmp_path: Path, make: object, message: str) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(DataError) as caught:
        list_pictures(make(tmp_path), key="some.key")  # type: ignore[operator]
    assert message in caught.value.message


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").touch()
    real = os.scandir

    def deny(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(DataError, match="sub: cannot be listed: Permission denied"):
        list_pictures(tmp_path)
