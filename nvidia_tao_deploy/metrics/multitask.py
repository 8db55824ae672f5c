# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of several classifications of one picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nvidia_tao_deploy.data.pictures import distinct
from nvidia_tao_deploy.files import MATRIX_FILE
from nvidia_tao_deploy.metrics.classification import TopK
from nvidia_tao_deploy.network import Frame, Report, Table
from nvidia_tao_deploy.predictions import Classes


class TaskAccuracy:
    """Top-1 accuracy of every task over the pictures that were scored.

    Args:
        classes: class names by task.
    """

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        self._tasks = {task: TopK(names, (1,)) for task, names in classes.items()}

    def update(self, frame: Frame, prediction: Mapping[str, Classes]) -> None:
        """`frame.sample.target` is {task: class number}."""
        for task, metric in self._tasks.items():
            metric.add(frame.sample.target[task], prediction[task].probabilities)

    def merge(self, other: TaskAccuracy) -> None:
        for task, metric in self._tasks.items():
            metric.merge(other._tasks[task])

    def compute(self) -> Report:
        reports = {task: metric.compute() for task, metric in self._tasks.items()}
        accuracy = {task: float(report.results["top_k_accuracy"]) for task, report in reports.items()}
        tables = [
            replace(table, title=f"{task}: {table.title[:1].lower()}{table.title[1:]}")
            for task, report in reports.items()
            for table in report.tables[:-1]
        ]
        pictures = next(iter(reports.values())).results["num_samples"]
        rows = (*accuracy.items(), ("pictures", pictures))
        stems = file_stems(reports)
        files = {f"{stems[task]}_{MATRIX_FILE}": report.files[MATRIX_FILE] for task, report in reports.items()}
        return Report(accuracy, accuracy, (*tables, Table("Accuracy", ("task", "value"), rows)), files)


def file_stems(tasks: Iterable[str]) -> dict[str, str]:
    """A file name for each task: the task's own, with `_` for what is not safe in file names. Where tasks would share
    one, it goes to the task whose own name it is; the others get a number before it: `a_b`, `2_a_b`."""
    plain = {task: re.sub(r"[^A-Za-z0-9_.-]", "_", task) for task in tasks}
    ordered = sorted(plain, key=lambda task: (plain[task] != task, task))
    return dict(zip(ordered, distinct((plain[task] for task in ordered), "_"), strict=True))
