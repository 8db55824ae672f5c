# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`inference`: an engine's predictions on pictures, written in the forms that the network declares."""

from __future__ import annotations

from nvidia_tao_deploy.tasks.context import Context
from nvidia_tao_deploy.tasks.running import opened_engine, pipeline, report_failures, results, run_reference
from nvidia_tao_deploy.tasks.writing import Ordered, finish


def run(context: Context) -> None:
    """Predict with <inference.trt_engine>; one picture that cannot be read does not stop the others."""
    assert context.network.inference is not None
    with opened_engine(context) as opened:
        job = context.network.inference(context.spec, opened.binding, context.folder)
        unusable = run_reference(context, opened, job)
        keep = any(writer.keeps_picture for writer in job.writers)
        with pipeline(context, opened, job.decode, keep) as running:
            ordered = Ordered(running, job.writers)
            for frame, prediction in results(context, running, job.samples):
                ordered.add(frame, prediction)
            ordered.drain()
    finish(context, job.writers)
    report_failures(context, job, unusable, running.failures)
