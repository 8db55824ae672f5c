# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: an engine's accuracy on labelled data."""

from __future__ import annotations

import logging

from nvidia_tao_deploy import logs
from nvidia_tao_deploy.files import to_json, write_together
from nvidia_tao_deploy.tasks.context import Context
from nvidia_tao_deploy.tasks.running import opened_engine, pipeline, report_failures, results, run_reference
from nvidia_tao_deploy.tasks.writing import Ordered, finish

logger = logging.getLogger(__name__)


def run(context: Context) -> None:
    """Score <evaluate.trt_engine>; writes results.json and pictures, prints tables; figures go into status.json."""
    assert context.network.evaluation is not None
    with opened_engine(context) as opened:
        job = context.network.evaluation(context.spec, opened.binding)
        unusable = run_reference(context, opened, job)
        writers = job.writers(context.folder)
        keep = any(writer.keeps_picture for writer in writers)
        with pipeline(context, opened, job.decode, keep) as running:
            ordered = Ordered(running, writers)
            for frame, prediction in results(context, running, job.samples):
                job.metric.update(frame, prediction)
                ordered.add(frame, prediction)
            ordered.drain()
    finish(context, writers)
    if len(running.failures) == len(job.samples):
        report_failures(context, job, unusable, running.failures)  # raises: nothing can be scored
    report = job.metric.compute()
    found, failed = dict(report.results), len(unusable) + len(running.failures)
    if failed:  # figures of a part of the data say so themselves, wherever the file is copied to
        found["num_failed"] = failed
    files: dict[str, bytes | str] = {"results.json": to_json(found, indent=2) + "\n", **report.files}
    write_together({context.folder / name: content for name, content in files.items()})
    for table in report.tables:
        logs.show_table(table)
    for name in files:
        logger.info("Written: %s", context.folder / name)
    context.status.kpi(report.kpi)
    report_failures(context, job, unusable, running.failures)
