# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges from quantisation-aware training: the json file of TAO's TF1-era exports (`cal_json_file`)."""

from __future__ import annotations

import json
import math
from pathlib import Path

from nvidia_tao_deploy.errors import DataError

FIELD = "tensor_scales"
ALGORITHM = "quantisation-aware training"
"""What the json files beside cache and engine name as the algorithm."""


def read(path: Path) -> dict[str, float]:
    """Tensor name -> largest magnitude (amax), from `{"tensor_scales": {name: amax}}`.

    Raises:
        DataError: the file is missing, no JSON, or has no such map; a range is no positive finite number.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"cal_json_file: {path}: no such file.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"cal_json_file: {path}: cannot be read as JSON: {error}") from error
    scales = content.get(FIELD) if isinstance(content, dict) else None
    if not isinstance(scales, dict) or not scales:
        found = f"keys {', '.join(map(str, content))}" if isinstance(content, dict) else type(content).__name__
        raise DataError(f'cal_json_file: {path}: expected {{"{FIELD}": {{tensor: range}}}}, found {found or "nothing"}')
    for name, value in scales.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise DataError(f"cal_json_file: {path}: {FIELD}.{name} is {value}; expected a positive number")
    return {str(name): float(value) for name, value in scales.items()}
