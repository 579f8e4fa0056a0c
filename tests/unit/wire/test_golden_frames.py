"""Frames whose bytes are for ever, and the page that explains them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamviz.counters import HELP
from streamviz.wire import codec
from streamviz.wire import frames as kinds
from streamviz.wire.codec import decode, decode_ack, encode, encode_ack
from streamviz.wire.delivery import FIRST_WINDOW_BYTES, STALL_S
from streamviz.wire.frames import Ack, Batch, Frame, Kind, Span

ROOT = Path(__file__).parents[3]
GOLDEN: dict[str, dict[str, Any]] = json.loads(
    (ROOT / "tests" / "golden" / "frames.json").read_text(encoding="utf-8")
)
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```hex (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
BINARY = ("stream", "parent", "body")


def as_batch(batch: dict[str, Any]) -> Batch:
    """Return a batch from its readable form."""
    values = [[float(value) for value in row] for row in batch["values"]]
    return Batch(
        batch["schema"],
        np.array(batch["steps"], "<i8").tobytes(),
        np.array(batch["times"], "<f8").tobytes(),
        np.array(values, "<f8").tobytes(),
    )


def as_frame(golden: dict[str, Any]) -> Frame | Ack:
    """Return a frame from its readable form."""
    fields: dict[str, Any] = {
        name: bytes.fromhex(value) if name in BINARY and value else value
        for name, value in golden["fields"].items()
    }
    for name in ("span", "base_span"):
        if fields.get(name):
            fields[name] = Span(*fields[name])
    if "names" in fields:
        fields["names"] = tuple(fields["names"])
    if "batches" in fields:
        fields["batches"] = tuple(as_batch(batch) for batch in fields["batches"])
        fields["rows"] = sum(len(batch.steps) // 8 for batch in fields["batches"])
    frame: Frame | Ack = getattr(kinds, golden["kind"].capitalize())(**fields)
    return frame


@pytest.mark.parametrize("name", GOLDEN)
def test_a_frame_has_exactly_these_bytes(name: str) -> None:
    """Encoding the frame gives its golden bytes, and decoding those gives the frame."""
    frame = as_frame(GOLDEN[name])
    data = bytes.fromhex("".join(GOLDEN[name]["hex"]))

    if isinstance(frame, Ack):
        assert encode_ack(frame) == data
        assert decode_ack(data) == frame
    else:
        assert encode(frame) == data
        assert decode(data) == frame


def test_the_page_shows_the_same_bytes() -> None:
    """The page has each golden frame, byte for byte, and no other."""
    shown = {name: block.split() for name, block in BLOCKS.items()}

    assert shown == {name: golden["hex"] for name, golden in GOLDEN.items()}


def test_every_kind_has_a_golden_frame() -> None:
    """No kind of frame is without its bytes, and each says what it means."""
    assert {golden["kind"] for golden in GOLDEN.values()} == {kind.name.lower() for kind in Kind}
    assert all(golden["meaning"].endswith(".") for golden in GOLDEN.values())


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_the_page_explains_every_kind(kind: Kind) -> None:
    """Each kind has its part of the page, with its number."""
    assert f"### {kind.name.lower()} (kind {int(kind)})\n" in PAGE


@pytest.mark.parametrize("kind", ["Hello", "Gap", "Heartbeat", "Schema", "Item", "Ack"])
def test_the_page_names_every_field_in_order(kind: str) -> None:
    """A kind's table has the fields of the frame, in their order on the wire."""
    part = PAGE.split(f"### {kind.lower()} (kind")[1].split("```")[0]
    told = re.findall(r"^\| \d+ \| (\w+) \|", part, re.MULTILINE)
    fields = [
        name
        for name in getattr(kinds, kind)._fields
        if name not in ("stream", "wall", "mono", "seq", "base_seq")
    ]

    assert told == (["version", "kind", *fields] if kind == "Ack" else fields)


def test_the_page_states_the_limits_that_hold() -> None:
    """The numbers on the page are those of the code."""
    for number in (
        codec.MAX_FRAME_BYTES,
        codec.MAX_METRICS,
        codec.MAX_BATCHES,
        codec.MAX_SCHEMAS - 1,
        codec.MAX_CONFIG_ENTRIES,
        codec.MAX_TOTALS,
        codec.MAX_FLUSH_MS,
        codec.MAX_ITEM_BYTES,
    ):
        assert f"{number:,}" in PAGE
    assert f"at most {codec.MAX_CONFIG_DEPTH} deep" in PAGE
    assert f"{FIRST_WINDOW_BYTES // 1024} KiB" in PAGE
    assert f"for {STALL_S:g} s and nothing was" in PAGE
    assert all(f"| `{reason}` |" in PAGE for reason in codec.REASONS)
    assert "frames_bad_total" in HELP
