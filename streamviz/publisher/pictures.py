"""Arrays and files as pictures: 8-bit pixels packed with zlib, or the bytes of a file as they are.

Law: a picture fits what its kind may have, thinned out by a whole number until it does and saying
so; no image library is used.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

import numpy as np

from streamviz.publisher.arrays import as_array, described, numbers
from streamviz.publisher.values import Unusable

__all__ = ["MOST_BOXES", "MOST_PIXELS", "media_body", "picture_body", "sniffed"]

MOST_PIXELS = 1 << 22
"""Pixels of a picture: what a large screen shows; a larger one is thinned out first."""
MOST_BOXES = 1000
"""Boxes on a picture."""
_GRID_COLUMNS = 8
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)
_CHUNK = 1 << 16


def picture_body(
    image: object,
    layout: str,
    caption: str,
    boxes: object,
    labels: Sequence[object] | None,
    most: int,
    rescale: float = 1.0,
) -> tuple[dict[str, object], int]:
    """Return a picture as the body of an item, and how many of its values were not finite.

    Args:
        image: An array, see ``Publisher.image``.
        layout: Its axes.
        caption: To be read below it.
        boxes: ``float[n, 4]`` of x0, y0, x1, y1 in pixels, or ``None``.
        labels: Text for each box.
        most: Bytes that the body may have.
        rescale: Pixels of the picture for each of the array's.

    Raises:
        Unusable: It is no picture.
    """
    pixels = _arranged(as_array(image), layout)
    if rescale != 1.0:
        pixels = _rescaled(pixels, rescale)
    height, width, channels = pixels.shape
    extra = _boxes(boxes, labels, rescale)
    room = most - 512 - len(caption.encode("utf-8", "replace"))
    room -= sum(len(data) for data in extra.values())
    if room < _CHUNK // 64:
        raise Unusable("a picture that leaves no room", f"its boxes and caption fill {most} bytes")
    every = 1
    while -(-height // every) * -(-width // every) > MOST_PIXELS:
        every += 1
    not_finite = 0
    while True:
        thin = pixels[::every, ::every]
        thin, not_finite = _bytes_of(thin)
        data, part = _packed(thin, room)
        if data is not None:
            break
        # As much fewer as what did not fit says, and one step at least.
        every = max(every + 1, int(every * (1 / part) ** 0.5))
        if every > max(height, width):
            raise Unusable("a picture that leaves no room", f"{most} bytes are allowed")
    if every > 1:
        said = f"thinned to 1/{every} of {width} x {height}"
        caption = f"{caption} ({said})" if caption else said
        extra = _boxes(boxes, labels, rescale / every)
    body: dict[str, object] = {
        "width": thin.shape[1],
        "height": thin.shape[0],
        "channels": channels,
        "pixels": data,
        **extra,
    }
    if caption:
        body["caption"] = caption.encode("utf-8", "replace").decode()
    return body, not_finite


def media_body(data: bytes, caption: str, most: int) -> dict[str, object]:
    """Return a picture's file as the body of an item.

    Raises:
        Unusable: It is none that a browser shows, or too large.
    """
    media = sniffed(data)
    if media is None:
        raise Unusable(
            "bytes that are no picture",
            f"they begin with {data[:8]!r}; send those of a PNG, JPEG, GIF, WebP or SVG file",
        )
    body: dict[str, object] = {"media": media, "data": data}
    if media == "image/png" and len(data) >= 24:
        body["width"] = int.from_bytes(data[16:20], "big")
        body["height"] = int.from_bytes(data[20:24], "big")
    if caption:
        body["caption"] = caption.encode("utf-8", "replace").decode()
    if len(data) > most - 512:
        raise Unusable(
            "a picture's file that is too large",
            f"{len(data)} bytes, at most {most - 512}: send it smaller, or its pixels as an array",
        )
    return body


def sniffed(data: bytes) -> str | None:
    """Return the media type of a picture's file, ``None`` if it is none that a browser shows."""
    for magic, media in _MAGIC:
        if data.startswith(magic):
            return media
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    return "image/svg+xml" if start.startswith(b"<") and b"<svg" in start else None


def _arranged(array: np.ndarray, layout: str) -> np.ndarray:
    """Return an array as [height, width, channels], a batch as a grid of eight columns."""
    axes = str(layout).upper()
    if sorted(axes) not in (sorted("HW"), sorted("HWC"), sorted("NHWC"), sorted("NHW")):
        raise Unusable(
            "a layout that is none", f"found {str(layout)[:20]!r}, such as HWC, CHW, HW, NCHW"
        )
    if array.dtype.kind not in "buif":
        raise Unusable("a picture of no numbers", f"found {described(array)}")
    axes, found = _fitting(array, axes), f"{described(array)} as {axes}"
    if 0 in array.shape:
        raise Unusable("a picture without pixels", f"found {described(array)}")
    if "C" not in axes:
        array, axes = array[..., None], axes + "C"
    if "N" not in axes:
        array, axes = array[None], "N" + axes
    batch = array.transpose([axes.index(axis) for axis in "NHWC"])
    count, height, width, channels = batch.shape
    if channels not in (1, 3, 4):
        raise Unusable(
            "a picture of odd channels",
            f"found {channels} in {found}; 1, 3 or 4 are expected",
        )
    if count == 1:
        pixels: np.ndarray = batch[0]
        return pixels
    if height * width * count > MOST_PIXELS * 16:
        count = max(MOST_PIXELS * 16 // (height * width), 1)
    columns = min(count, _GRID_COLUMNS)
    grid = np.zeros((-(-count // columns) * height, columns * width, channels), batch.dtype)
    for index in range(count):
        top, left = index // columns * height, index % columns * width
        grid[top : top + height, left : left + width] = batch[index]
    return grid


def _fitting(array: np.ndarray, axes: str) -> str:
    """Return the axes that an array has: those said, or else the only ones that can be meant."""
    if array.ndim == len(axes):
        at = axes.find("C")
        if axes == "HWC" and array.shape[at] not in (1, 3, 4) and array.shape[0] in (1, 3):
            return "CHW"
        return axes
    if array.ndim == 2:
        return "WH" if axes.find("W") < axes.find("H") else "HW"
    if array.ndim == 4 and len(axes) == 3:
        return f"N{axes}"
    raise Unusable(
        "a picture whose layout does not fit", f"found {described(array)}, said to be {axes}"
    )


def _rescaled(pixels: np.ndarray, rescale: float) -> np.ndarray:
    height, width = (int(size * rescale) for size in pixels.shape[:2])
    if not 1 <= height * width <= MOST_PIXELS * 16:
        raise Unusable("a picture that cannot be rescaled", f"by {rescale}: {width} x {height}")
    rows = np.minimum((np.arange(height) / rescale).astype(int), pixels.shape[0] - 1)
    columns = np.minimum((np.arange(width) / rescale).astype(int), pixels.shape[1] - 1)
    picture: np.ndarray = pixels[rows][:, columns]
    return picture


def _bytes_of(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Return pixels as uint8, and how many of the values were not finite."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels), 0
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255), 0
    if pixels.dtype.kind in "iu":
        return pixels.clip(0, 255).astype(np.uint8), 0
    with np.errstate(all="ignore"):
        values = pixels.astype(np.float32)
        finite = np.isfinite(values)
        not_finite = int(values.size - np.count_nonzero(finite))
        if not_finite:
            values = np.where(finite, values, np.float32(0))
        return (values * 255).clip(0, 255).astype(np.uint8), not_finite


def _packed(pixels: np.ndarray, most: int) -> tuple[bytes | None, float]:
    """Return packed pixels; or, as soon as they do not fit, what part of them did."""
    raw = pixels.tobytes()
    packer = zlib.compressobj(1)
    packed: list[bytes] = []
    size = 0
    for start in range(0, len(raw), _CHUNK):
        packed.append(packer.compress(raw[start : start + _CHUNK]))
        size += len(packed[-1])
        if size > most:
            return None, min((start + _CHUNK) / len(raw), 0.98)
    packed.append(packer.flush())
    size += len(packed[-1])
    return (b"".join(packed), 1.0) if size <= most else (None, 0.98)


def _boxes(boxes: object, labels: Sequence[object] | None, scale: float) -> dict[str, bytes]:
    if boxes is None:
        return {}
    array = numbers(boxes, "boxes").astype(np.float64)
    if array.ndim == 1 and array.size == 4:
        array = array.reshape(1, 4)
    if array.size == 0:
        return {}
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise Unusable(
            "boxes that are none", f"found {described(array)}; finite [n, 4]: x0, y0, x1, y1"
        )
    body = {"boxes": (array[:MOST_BOXES] * scale).astype("<f8").tobytes()}
    if labels is not None:
        words = [str(label)[:200] for label in labels]
        if len(words) != len(array):
            raise Unusable(
                "boxes and labels that do not fit",
                f"found {len(array)} boxes and {len(words)} labels; one for each is expected",
            )
        text = json.dumps(words[:MOST_BOXES], ensure_ascii=False)
        body["box_labels"] = text.encode("utf-8", "replace")
    return body
