# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Time of reading 10,000 texts from the outputs of CTC models, as ocrnet and lprnet do, against a plain loop.

    python benchmarks/ctc_decode.py [--texts 10000] [--steps 40] [--characters 6624] [--batch 16]

Steps repeat characters and hold blanks as real outputs do. The plain version goes through the steps one by one. Both
give the same texts and the same confidences.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.timing import fastest
from nvidia_tao_deploy.data.characters import Characters
from nvidia_tao_deploy.decode.ctc import DecodePlate, DecodeText
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.predictions import Text
from nvidia_tao_deploy.transforms.geometry import Geometry


def outputs(texts: int, steps: int, classes: int, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """(texts, steps) class ids and probabilities: characters are repeated, half of the steps are blank."""
    random = np.random.default_rng(0)
    ids = random.integers(0, classes, (texts, steps))
    repeated = random.random((texts, steps)) < 0.4
    repeated[:, 0] = False
    for step in range(1, steps):
        ids[:, step] = np.where(repeated[:, step], ids[:, step - 1], ids[:, step])
    ids[random.random((texts, steps)) < 0.5] = blank
    return ids.astype(np.int32), random.uniform(0.5, 1.0, (texts, steps)).astype(np.float32)


def plain(ids: np.ndarray, probabilities: np.ndarray, characters: list[str], blank: int, every: bool) -> Iterator[Text]:
    """The same texts, step by step; `every`: the probabilities of all steps count, not only those of characters."""
    for row, chances in zip(ids, probabilities, strict=True):
        text, confidence, last = "", 1.0, -1
        for number, chance in zip(row, chances, strict=True):
            starts = number not in (blank, last)
            if starts:
                text += characters[number]
            if starts or every:
                confidence *= float(chance)
            last = number
        yield Text(text, confidence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=10000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--characters", type=int, default=6624)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    letters = [chr(0x4E00 + index) for index in range(args.characters)]
    frames = [Frame(Sample("a", Path("a")), (1, 1), Geometry())] * args.batch
    print(f"{args.texts} texts of {args.steps} steps, {args.characters} characters, batches of {args.batch}, one core")
    for name, decode, blank, table in (
        ("ocrnet", DecodeText("i", "p", "CTC", Characters("".join(letters), "list")), 0, ["", *letters]),
        ("lprnet", DecodePlate("i", "p", tuple(letters), "list"), args.characters, letters),
    ):
        ids, chances = outputs(args.texts, args.steps, args.characters, blank)

        def ours(decode: Callable = decode, ids: np.ndarray = ids, chances: np.ndarray = chances) -> list[Text]:
            found: list[Text] = []
            for first in range(0, len(ids), args.batch):
                part = slice(first, first + args.batch)
                found += decode({"i": ids[part], "p": chances[part]}, frames[: len(ids[part])])
            return found

        loop = partial(plain, ids, chances, table, blank, name == "ocrnet")
        seconds, found = fastest({"ours": ours, "loop": lambda loop=loop: list(loop())}, 5)
        fast, slow = seconds["ours"], seconds["loop"]
        texts, expected = found["ours"], found["loop"]
        assert [item.text for item in texts] == [item.text for item in expected]
        np.testing.assert_allclose(
            [item.confidence for item in texts], [item.confidence for item in expected], rtol=1e-6
        )
        print(f"  {name}  {1e6 * fast / args.texts:5.1f} us a text, a plain loop {slow / fast:5.1f} times as long")


if __name__ == "__main__":
    main()
