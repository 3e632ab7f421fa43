"""Tests of how an image file becomes an array."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from nnclassify.errors import InputError
from nnclassify.files.images import image_format
from nnclassify.files.images.image_format import ImageFormat, Resize


def save(path: Path, pixels: object) -> Path:
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
    return path


def test_gray_and_rgb(tmp_path: Path) -> None:
    red = save(tmp_path / "red.png", np.full((2, 2, 3), [200, 0, 0]))
    assert ImageFormat(2, 2, "rgb").decode(red).pixels[:, 0, 0].tolist() == [200, 0, 0]
    gray = ImageFormat(2, 2, "gray").decode(red).pixels
    assert gray.shape == (1, 2, 2)
    assert gray[0, 0, 0] == round(0.299 * 200)  # ITU-R BT.601


# Left half black, right half white, twice as wide as high: (2, 4).
HALVES = [[0, 0, 255, 255], [0, 0, 255, 255]]


@pytest.mark.parametrize(
    ("resize", "expected"),
    [("crop", [[0, 255], [0, 255]]), ("pad", [[0, 0, 0, 0], [0, 0, 255, 255], [0, 0, 255, 255], [0, 0, 0, 0]])],
)
def test_resize_meets_another_aspect_ratio(resize: Resize, expected: list[list[int]], tmp_path: Path) -> None:
    size = len(expected)
    pixels = ImageFormat(size, size, "gray", resize).decode(save(tmp_path / "halves.png", HALVES)).pixels
    assert pixels[0].tolist() == expected


def test_squash_keeps_every_part(tmp_path: Path) -> None:
    wide = [[0] * 4 + [255] * 4] * 4
    pixels = ImageFormat(4, 4, "gray", "squash").decode(save(tmp_path / "wide.png", wide)).pixels[0]
    assert pixels[0, 0] == 0 and pixels[0, -1] == 255
    assert (pixels == pixels[0]).all()


def test_exif_rotation_is_obeyed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to view
    picture = Image.fromarray(np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8))
    picture.save(tmp_path / "turned.png", exif=exif)
    assert ImageFormat(3, 2, "gray").decode(tmp_path / "turned.png").pixels[0].tolist() == [
        [40, 10],
        [50, 20],
        [60, 30],
    ]


def test_transparency_is_shown_over_white(tmp_path: Path) -> None:
    clear = save(tmp_path / "clear.png", np.full((2, 2, 4), [0, 0, 0, 0]))
    assert (ImageFormat(2, 2, "rgb").decode(clear).pixels == 255).all()


def test_sixteen_bit_gray_is_scaled(tmp_path: Path) -> None:
    deep = np.full((2, 2), 0x8000, dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert (ImageFormat(2, 2, "gray").decode(tmp_path / "deep.png").pixels == 128).all()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_file_that_is_no_image_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"bad\.png: not a readable image \(.+\); expected (a whole|one of AVIF, BLP, BMP)"
    ):
        ImageFormat(2, 2, "rgb").decode(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif"])
def test_a_truncated_image_is_named(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, size=(64, 64, 3))
    whole = save(tmp_path / f"whole.{suffix}", noise).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"cut\.{suffix}: not a readable image"):
        ImageFormat(64, 64, "rgb").decode(path)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png", compress_level=1)
    with pytest.raises(InputError, match=r"bomb\.png"):
        ImageFormat(2, 2, "rgb").decode(tmp_path / "bomb.png")


@pytest.mark.parametrize("ending", ["png", "webp", "jpg"])
def test_broken_exif_data_harms_no_pixel(ending: str, tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 4), (200, 0, 0))
    picture.save(tmp_path / f"a.{ending}", exif=b"Exif\0\0nonsense", lossless=True)
    assert abs(ImageFormat(4, 4, "rgb").decode(tmp_path / f"a.{ending}").pixels[:, 0, 0] - [200.0, 0, 0]).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_as_pillow_turns_it(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        turned = np.asarray(ImageOps.exif_transpose(picture))
    assert (ImageFormat(len(turned), len(turned[0]), "gray").decode(tmp_path / "a.png").pixels[0] == turned).all()


def test_the_first_frame_of_several_is_read_and_said(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    for ending in ("gif", "png", "tif", "webp"):
        frames[0].save(tmp_path / f"two.{ending}", save_all=True, append_images=frames[1:])
        frames[0].save(tmp_path / f"one.{ending}")
        two, one = (ImageFormat(4, 4, "gray").decode(tmp_path / f"{name}.{ending}") for name in ("two", "one"))
        assert (two.has_frames, one.has_frames) == (True, False)
        assert abs(two.pixels.astype(int) - 10).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_brought_to_bytes(mode: str, tmp_path: Path) -> None:
    picture = Image.new("L", (4, 4), 255)
    picture.putpixel((0, 0), 0)
    deep = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    (deep if mode == "I;16" else picture.convert(mode)).save(tmp_path / "a.tif")
    assert ImageFormat(4, 4, "rgb").decode(tmp_path / "a.tif").pixels[:, 0].tolist() == [[0, 255, 255, 255]] * 3


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "CMYK", "RGB", "HSV"])
def test_colors_of_every_space_are_shown(mode: str, tmp_path: Path) -> None:
    """From the color itself, not from what Pillow makes of it: (128, 64, 64) is L* 36, a* 28, b* 13 in CIELAB."""
    values = {
        "YCbCr": (83, 117, 160),
        "LAB": (91, 128 + 28, 128 + 13),
        "CMYK": (127, 191, 191, 0),
        "RGB": (128, 64, 64),
        "HSV": (0, 128, 128),
    }
    image = Image.new(mode, (4, 4), values[mode])
    if mode in ("HSV", "YCbCr"):  # no file format has HSV; Pillow 12 cannot read the YCbCr that it writes
        pixels = ImageFormat(4, 4, "rgb").decode_image(image, "image")
    else:
        image.save(tmp_path / "a.tif")
        pixels = ImageFormat(4, 4, "rgb").decode(tmp_path / "a.tif").pixels
    assert abs(pixels[:, 0, 0] - [128.0, 64, 64]).max() <= 4


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "La", "RGBa", "RGB"])
@pytest.mark.parametrize(("background", "value"), [("white", 255), ("black", 0), ("#808080", 128)])
def test_the_background_shows_through_transparent_pixels(mode: str, background: str, value: int) -> None:
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 255))
    clear.putpixel((0, 0), (0, 0, 0, 0))
    if mode == "P":
        image = Image.new("P", (2, 2), 1)
        image.putpalette([0, 0, 0, 0, 0, 0])
        image.putpixel((0, 0), 0)
        image.info["transparency"] = 0
    elif mode == "RGB":
        image = Image.new("RGB", (2, 2))
        image.putpixel((0, 0), (1, 2, 3))
        image.info["transparency"] = (1, 2, 3)
    elif mode == "PA":
        image = Image.new("PA", (2, 2), (0, 255))
        image.putpixel((0, 0), (0, 0))
    else:
        image = clear.convert("LA").convert(mode) if mode == "La" else clear.convert(mode)
    pixels = ImageFormat(2, 2, "gray", background=background).decode_image(image, "image")
    assert pixels[0].tolist() == [[value, 0], [0, 0]]


def test_heic_and_avif_are_read_or_said_what_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = tmp_path / "a.heic"
    heif.write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    avif = tmp_path / "a.avif"
    avif.write_bytes(b"\0\0\0\x18ftypavif" + bytes(20))
    monkeypatch.setattr(image_format, "file_formats", lambda: ["PNG"])
    with pytest.raises(
        InputError, match=r"a\.heic: .* \(HEIC\); install what reads it: pip install 'nnclassify\[heif\]'"
    ):
        ImageFormat(2, 2, "rgb").decode(heif)
    with pytest.raises(InputError, match=r"a\.avif: .* \(AVIF\); install what reads it: pip install 'pillow>=11.3'"):
        ImageFormat(2, 2, "rgb").decode(avif)


@pytest.mark.parametrize(("ending", "module"), [("heic", "pillow_heif"), ("avif", "PIL.AvifImagePlugin")])
def test_pictures_of_phones_are_read(ending: str, module: str, tmp_path: Path) -> None:
    pytest.importorskip(module)
    if ending not in " ".join(image_format.file_formats()).lower().replace("heif", "heic"):
        pytest.skip("this build does not read it")
    Image.new("RGB", (64, 64), (200, 100, 0)).save(tmp_path / f"a.{ending}")
    assert abs(ImageFormat(8, 8, "rgb").decode(tmp_path / f"a.{ending}").pixels[:, 0, 0] - [200.0, 100, 0]).max() <= 6


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 1)])
@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_a_image_that_is_one_pixel_wide_is_read(size: tuple[int, int], resize: Resize, tmp_path: Path) -> None:
    Image.new("L", size, 70).save(tmp_path / "a.png")
    pixels = ImageFormat(8, 8, "gray", resize).decode(tmp_path / "a.png").pixels
    assert pixels.max() == 70


def chunk(name: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """One of a PNG file's."""
    right = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", right if checksum is None else checksum)


def png_of(data: bytes, *, is_interlaced: bool = False) -> bytes:
    """Return a gray PNG of 8x8 pixels with this unpacked data."""
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, is_interlaced)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_png_that_lacks_rows_is_no_image() -> None:
    # A row is a filter and 8 pixels; interlaced, the passes are 1x1, 1x1, 2x1, 2x2, 4x2, 4x4 and 8x4 pixels.
    passes = 2 + 2 + 3 + 2 * 3 + 2 * 5 + 4 * 5 + 4 * 9
    for rows, is_interlaced in ((8 * 9, False), (passes, True)):
        black = png_of(bytes(rows), is_interlaced=is_interlaced)
        assert ImageFormat(8, 8, "gray").decode("a.png", black).pixels.sum() == 0
        short = png_of(bytes(rows - 18), is_interlaced=is_interlaced)
        with pytest.raises(InputError, match=r"a.png: not a readable image \(rows are missing\); expected a complete"):
            ImageFormat(8, 8, "gray").decode("a.png", short)


@pytest.mark.parametrize(
    ("mode", "side"), [(mode, side) for mode in ("1", "L", "P", "RGBA", "I;16") for side in (1, 7)]
)
def test_a_black_png_is_whole(mode: str, side: int) -> None:
    file = BytesIO()
    Image.new(mode, (side, 5)).save(file, "PNG")
    assert ImageFormat(2, 2, "gray").decode("a.png", file.getvalue()).pixels.shape == (1, 2, 2)


@pytest.mark.parametrize(
    "note",
    [
        chunk(b"tEXt", b"Comment\0hello", checksum=7),
        chunk(b"eXIf", b"MM\0*", checksum=7),
        chunk(b"pHYs", b"\0\1"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**7))),
    ],
)
def test_a_damaged_note_in_a_png_harms_no_pixel(note: bytes, tmp_path: Path) -> None:
    whole = save(tmp_path / "a.png", np.full((2, 2, 4), [200, 0, 0, 255])).read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:33] + note + whole[33:])
    assert ImageFormat(2, 2, "rgb").decode(tmp_path / "a.png").pixels[:, 0, 0].tolist() == [200, 0, 0]
    (tmp_path / "a.png").write_bytes(whole[:33] + note + whole[33:-20])
    with pytest.raises(InputError, match=r"a.png: not a readable image"):
        ImageFormat(2, 2, "rgb").decode(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\n<!DOCTYPE HTML><html><body>404", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d", "a pointer of Git LFS"),
        (b"\xef\xbb\xbf<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "XML"),
        (b'{"error": "rate limited"}', "JSON"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04" + bytes(60), "a zip archive"),
        (b"\x1f\x8b\x08" + bytes(60), "compressed by gzip"),
        (b"\x93NUMPY\x01\x00", "an array of NumPy"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(60), "a video"),
        (bytes(128) + b"DICM" + bytes(60), "DICOM"),
        (b"just text", "in no known format"),
        (b"", "an empty file"),
    ],
)
def test_what_is_no_image_is_said(content: bytes, kind: str, here: Path) -> None:
    Path("a.jpg").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.jpg: not a readable image \({kind}.*\); expected one of "):
        image_format.look_at("a.jpg", lambda image: image.size)
