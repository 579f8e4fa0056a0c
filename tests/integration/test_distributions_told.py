"""Distributions and layers, as the page's port tells them, whatever was sent."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from pageserver import send, serving

from streamviz.store import Store
from streamviz.views.distributions import MOST_STEPS
from streamviz.wire.bodies import pack_body

PATH = "/api/v1/distribution?run=r&name="


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine, with a deadline in place of a hang."""
    asyncio.run(asyncio.wait_for(test, 30))


def body(edges: list[float], counts: list[float]) -> bytes:
    """Return a histogram's body."""
    return pack_body(
        {
            "edges": np.array(edges, "<f8").tobytes(),
            "counts": np.array(counts, "<f8").tobytes(),
            "count": 1,
        }
    )


def put(
    store: Store, data: bytes, *, step: int, rank: int = 0, attempt: int = 0, name: str = "w"
) -> None:
    """Put a histogram into the store as the collector does."""
    worker = store.open_worker("r", rank, attempt)
    store.add_item("r", worker, "histogram", name, step, 1e9 + step, data)


def test_ranks_are_merged_and_told_apart() -> None:
    """All ranks merged, one of them alone, and a name whose letters mean something elsewhere."""

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            name = 'gradients/<img src=x onerror="1">&"/\u202e'
            for step in (0, 10):
                put(store, body([0, 1, 2], [1, 3]), step=step, rank=0, name=name)
                put(store, body([-1, 0, 1], [2, 2]), step=step, rank=1, name=name)
            both = await server.get_json(PATH + quote(name))
            assert both["steps"] == [0, 10]
            assert both["times"] == [1e9, 1e9 + 10]
            assert both["ranks"] == [0, 1]
            assert both["merged"] is True
            assert [sum(row) for row in both["counts"]] == pytest.approx([8, 8])
            assert len(both["edges"]) == len(both["counts"][0]) + 1
            assert both["percentiles"]["p"] == [0, 7, 16, 31, 50, 69, 84, 93, 100]
            values = both["percentiles"]["values"][1]
            assert values[0] == -1
            assert values[-1] == 2
            assert values == sorted(values)
            one = await server.get_json(PATH + quote(name) + "&rank=1&bins=4")
            assert one["ranks"] == [1]
            assert one["merged"] is False
            assert one["edges"] == [-1, -0.5, 0, 0.5, 1]
            assert one["counts"] == [[1, 1, 1, 1]] * 2

    run(test())


def test_what_cannot_be_read_is_left_out() -> None:
    """Hostile bodies are counted; the others are told; alone they are refused with a sentence."""
    hostile = [
        b"",
        b"\xc1",
        pack_body({}),
        pack_body({"edges": "0 1", "counts": 3}),
        pack_body({"edges": b"\0" * 7, "counts": b"\0" * 8}),
        body([0, 1], []),
        body([0], []),
        body([1, 0], [1]),
        body([0, 0], [1]),
        body([0, math.nan], [1]),
        body([0, math.inf], [1]),
        body([-1e308, 1e308], [1]),
        body([0, 1], [-1]),
        body([0, 1], [math.nan]),
        body([0, 1], [math.inf]),
        body([0, 1, 2], [1.7e308, 1.7e308]),
        body(list(range(514)), [1.0] * 513),
    ]

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            for step, data in enumerate(hostile):
                put(store, data, step=step)
            answer = await server.get(PATH + "w")
            assert answer.code == 422
            assert b"histogram" in answer.body
            put(store, body([0, 1], [5]), step=100)
            put(store, body([3, 3 + 1e-15], [0]), step=101)
            told = await server.get_json(PATH + "w")
            assert told["unreadable"] == len(hostile)
            assert told["steps"] == [100, 101]
            assert told["percentiles"]["values"][1] == [None] * 9
            assert [sum(row) for row in told["counts"]] == pytest.approx([5, 0])

    run(test())


def test_what_lies_far_out_is_told_apart() -> None:
    """A few far values have bins of their own at the ends, and the answer says so."""

    async def test() -> None:
        async with serving() as server:
            near, far = body([0, 0.5, 1], [500, 500]), body([-900, 0, 1, 900], [1, 998, 1])
            for step in range(10):
                put(server.dashboard.store, near if step else far, step=step)
            told = await server.get_json(PATH + "w")
            assert told["tails"] == [True, True]
            assert (told["edges"][0], told["edges"][-1]) == (-900, 900)
            assert told["edges"][1] > -2
            assert told["edges"][-2] < 3
            assert sum(told["counts"][0]) == pytest.approx(1000)

    run(test())


def test_an_attempt_is_told_up_to_the_next_one() -> None:
    """What was trained again stands as it was the second time, and what came before stays."""

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            for step in range(0, 60, 10):
                put(store, body([0, 1], [1]), step=step)
            for step in (30, 40):
                put(store, body([0, 1], [2]), step=step, attempt=1)
            told = await server.get_json(PATH + "w")
            assert told["steps"] == [0, 10, 20, 30, 40]
            assert [round(sum(row), 6) for row in told["counts"]] == [1, 1, 1, 2, 2]
            first = await server.get_json(PATH + "w&attempt=0")
            assert first["steps"] == [0, 10, 20, 30, 40, 50]

    run(test())


def test_an_answer_is_bounded() -> None:
    """Of more steps than are told every so many are, the first and the last among them."""

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            for step in range(400):
                put(store, body([0, 1], [1]), step=step, rank=step % 2)
            told = await server.get_json(PATH + "w&bins=128")
            assert len(told["steps"]) == MOST_STEPS
            assert (told["steps"][0], told["steps"][-1]) == (0, 399)
            assert told["left_off"] == 400 - MOST_STEPS
            assert len(told["edges"]) <= 129

    run(test())


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("run=r", 400, "name"),
        ("name=w", 400, "run"),
        ("run=r&name=w&bins=129", 400, "bins"),
        ("run=r&name=w&bins=3", 400, "bins"),
        ("run=r&name=w&rank=x", 400, "rank"),
        ("run=r&name=w&attempt=-1", 400, "attempt"),
        ("run=r&name=w&rank=7", 404, "no histogram"),
        ("run=r&name=other", 404, "no histogram"),
        ("run=other&name=w", 404, "other"),
        ("run=r&name=w&what=1", 400, "what"),
    ],
)
def test_what_is_asked_for_wrongly_is_said(query: str, status: int, word: str) -> None:
    """Each parameter is checked, and the answer says what was found."""

    async def test() -> None:
        async with serving() as server:
            put(server.dashboard.store, body([0, 1], [1]), step=0)
            answer = await server.get_json(f"/api/v1/distribution?{query}", status)
            assert word in answer["error"]

    run(test())


def test_layers_are_told_in_one_answer() -> None:
    """One measure of every layer over the steps, and the newest of several, NaN as a word."""

    async def test() -> None:
        async with serving() as server:
            store = server.dashboard.store
            for rank in (0, 1):
                send(store, "r", "watch/grad_norm/layer2.weight", rank, [1.0 + rank, 3.0 + rank])
                send(store, "r", "watch/grad_norm/layer10.weight", rank, [1.0, math.nan])
            send(store, "r", "watch/act_zero/layer2", 0, [0.25])
            send(store, "r", "loss", 0, [1.0])
            told = await server.get_json("/api/v1/layers?run=r&measure=grad_norm")
            assert told["layers"] == ["layer2.weight", "layer10.weight"]
            assert told["steps"] == [0, 1]
            assert told["values"] == [[1.5, 3.5], [1.0, "NaN"]]
            assert (told["ranks"], told["of_ranks"]) == ([0, 1], 2)
            one = await server.get_json("/api/v1/layers?run=r&measure=grad_norm&rank=1&points=1")
            assert one["values"] == [[3.0], ["NaN"]]
            assert one["width"] == 2
            newest = await server.get_json("/api/v1/newest?run=r&measure=grad_norm,act_zero,none")
            assert newest["step"] == 1
            assert newest["values"] == {
                "grad_norm": {"layer2.weight": 3.5, "layer10.weight": "NaN"},
                "act_zero": {"layer2": 0.25},
                "none": {},
            }
            for query, status in (
                ("run=r&measure=a,b", 400),
                ("run=r", 400),
                ("run=r&measure=a/b", 400),
                ("run=no&measure=a", 404),
            ):
                assert (await server.get(f"/api/v1/layers?{query}")).code == status

    run(test())


def test_a_thousand_ranks_are_sampled_and_it_is_said() -> None:
    """More ranks than are read are spread over all of them."""

    async def test() -> None:
        async with serving() as server:
            for rank in range(100):
                send(server.dashboard.store, "r", "watch/grad_norm/a", rank, [float(rank)])
            told = await server.get_json("/api/v1/layers?run=r&measure=grad_norm")
            assert told["of_ranks"] == 100
            assert told["ranks"] == list(range(0, 100, 4))
            assert told["values"] == [[48.0]]

    run(test())
