# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Samples whose label cannot be used: one is like a picture that cannot be read, all of them are a wrong data set."""

from __future__ import annotations

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.network import Sample


def some_usable(samples: list[Sample], hint: str | None = None) -> list[Sample]:
    """The samples as they are, those with a `fault` among them.

    Args:
        samples: at least one.
        hint: the way out, for the message.

    Raises:
        DataError: every sample has a fault; says the first one.
    """
    if all(sample.fault for sample in samples):
        raise DataError(samples[0].fault, hint=hint)
    return samples
