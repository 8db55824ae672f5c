# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""CTC and attention decoding against plain loops and hand-worked cases."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvidia_tao_deploy.data.characters import Characters
from nvidia_tao_deploy.decode.ctc import DecodeText
from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.predictions import Text

LETTERS = "ab c漢😀"


def decode(prediction: str, ids: list[list[int]], probabilities: list[list[float]] | None = None) -> list[Text]:
    steps = np.array(ids, np.int32)
    values = np.full(steps.shape, 0.5, np.float32) if probabilities is None else np.array(probabilities, np.float32)
    decoder = DecodeText("output_id", "output_prob", prediction, Characters(LETTERS, Path("list.txt")))
    return decoder({"output_id": steps, "output_prob": values}, [None] * len(ids))  # type: ignore[list-item]


def plain_ctc(ids: list[int]) -> str:
    return "".join(LETTERS[key - 1] for key, _ in itertools.groupby(ids) if key)


def plain_attention(ids: list[int]) -> tuple[str, int]:
    """Text, and how many probabilities count."""
    end = ids.index(1) if 1 in ids else len(ids)
    return "".join(LETTERS[i - 2] for i in ids[:end] if i), end


rows = st.integers(1, 12).flatmap(
    lambda length: st.lists(st.lists(st.integers(0, len(LETTERS)), min_size=length, max_size=length), min_size=1)
)


@given(rows)
def test_ctc_equals_the_plain_loop(ids: list[list[int]]) -> None:
    probabilities = [[(7 * step + 3) % 10 / 10 + 0.05 for step in range(len(row))] for row in ids]
    for row, values, found in zip(ids, probabilities, decode("CTC", ids, probabilities), strict=True):
        assert found.text == plain_ctc(row)
        assert found.confidence == pytest.approx(math.prod(values), rel=1e-5)


@given(rows)
def test_attention_equals_the_plain_loop(ids: list[list[int]]) -> None:
    probabilities = [[(7 * step + 3) % 10 / 10 + 0.05 for step in range(len(row))] for row in ids]
    for row, values, found in zip(ids, probabilities, decode("Attn", ids, probabilities), strict=True):
        text, end = plain_attention(row)
        assert found.text == text
        assert found.confidence == pytest.approx(math.prod(values[: end or 1]), rel=1e-5)


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([0, 1, 1, 0, 1, 2], "aab"),
        ([1, 1, 1], "a"),
        ([0, 0], ""),
        ([1, 3, 2], "a b"),
        ([5, 6], "漢😀"),
        ([1], "a"),
        ([0], ""),
    ],
)
def test_ctc_by_hand(ids: list[int], text: str) -> None:
    (found,) = decode("CTC", [ids])
    assert found == Text(text, 0.5 ** len(ids)), "the confidence is the product over all steps"


@pytest.mark.parametrize(
    ("ids", "text", "counted"),
    [
        ([2, 3, 1, 2], "ab", 2),
        ([2, 3, 4, 5], "ab c", 4),  # no end symbol: nothing is cut off
        ([1, 2, 3], "", 1),  # empty: the confidence is that of the end symbol
        ([0, 2, 1, 0], "a", 2),  # a start symbol is no character, its probability counts
        ([7, 1, 1, 1], "😀", 1),
        ([1], "", 1),
        ([2], "a", 1),
    ],
)
def test_attention_by_hand(ids: list[int], text: str, counted: int) -> None:
    assert decode("Attn", [ids]) == [Text(text, 0.5**counted)]


@pytest.mark.parametrize(("prediction", "bad"), [("CTC", 7), ("CTC", -1), ("Attn", 8)])
def test_a_class_beyond_the_list_is_an_error(prediction: str, bad: int) -> None:
    with pytest.raises(DataError) as caught:
        decode(prediction, [[1, 2], [1, bad]])
    assert f"the model answers with class {bad}" in caught.value.message
    assert "list.txt" in caught.value.message
    assert "6 characters" in caught.value.message


def test_the_last_class_is_within_the_list() -> None:
    assert decode("CTC", [[6]])[0].text == decode("Attn", [[7]])[0].text == "😀"


def test_sixty_four_bit_ids_and_no_rows() -> None:
    decoder = DecodeText("i", "p", "CTC", Characters("ab", Path("list.txt")))
    (found,) = decoder({"i": np.array([[1, 2]]), "p": np.ones((1, 2))}, [None])  # type: ignore[list-item]
    assert found == Text("ab", 1.0)


def test_inputs_are_left_as_they_are() -> None:
    ids = np.array([[1, 1, 0, 2]], np.int32)
    decoder = DecodeText("i", "p", "CTC", Characters("ab", Path("list.txt")))
    decoder({"i": ids, "p": np.ones((1, 4), np.float32)}, [None])  # type: ignore[list-item]
    assert ids.tolist() == [[1, 1, 0, 2]]


def test_long_texts_keep_a_confidence_above_zero() -> None:
    (found,) = decode("CTC", [[1] * 200], [[0.5] * 200])
    assert found.confidence == pytest.approx(0.5**200), "single precision would give 0"
