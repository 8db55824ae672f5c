# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
import os

# From 1.29 on, ONNX Runtime's wheels report names, hashes and sizes of models to their maker, and leave files in the
# temporary folder and in the home folder. Nobody who builds engines asked for that; ORT_DISABLE_TELEMETRY=0 does.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
