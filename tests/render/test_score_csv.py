# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The csv with scores: every line, plain numbers, nothing lost."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from nvidia_tao_deploy.data.pairs import Lights, read_pairs
from nvidia_tao_deploy.network import Frame
from nvidia_tao_deploy.predictions import Score
from nvidia_tao_deploy.render.score_csv import ScoreCsv
from nvidia_tao_deploy.transforms.geometry import Geometry


def test_lines_keep_their_cells_and_order(tmp_path: Path) -> None:
    text = 'input_path,golden_path,object_name,remark\nu,g,001,"a, b"\nu,g,002,\nu,g,003,"say ""so"""\n'
    (tmp_path / "in.csv").write_text(text, encoding="utf-8")
    table = read_pairs(tmp_path / "in.csv", tmp_path, Lights((), ".png"), False, False, "k")
    writer = ScoreCsv(tmp_path / "out.csv", table)
    value = float(np.float32(1 / 3))
    for sample, score in ((table.samples[2], 12.0), (table.samples[0], value)):  # the second could not be read
        frame = Frame(sample, (1, 1), Geometry())
        writer.record(frame, writer.write(frame, Score(score)))
    assert not (tmp_path / "out.csv").exists()
    assert writer.finish() == [tmp_path / "out.csv"]
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["input_path", "golden_path", "object_name", "remark", "output_score"]
    assert [row[:4] for row in rows[1:]] == [
        ["u", "g", "001", "a, b"],
        ["u", "g", "002", ""],
        ["u", "g", "003", 'say "so"'],
    ]
    assert rows[2][4] == "" and rows[3][4] == "12"
    assert np.float32(rows[1][4]) == np.float32(1 / 3)


def test_scores_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    text = "input_path,output_score,golden_path,object_name\nu,9,g,001\nu,,g,002\n"
    (tmp_path / "in.csv").write_text(text, encoding="utf-8")
    table = read_pairs(tmp_path / "in.csv", tmp_path, Lights((), ".png"), False, False, "k")
    writer = ScoreCsv(tmp_path / "out.csv", table)
    for sample in table.samples:
        writer.record(Frame(sample, (1, 1), Geometry()), "0.5")
    writer.finish()
    expected = "input_path,golden_path,object_name,output_score\nu,g,001,0.5\nu,g,002,0.5\n"
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == expected
