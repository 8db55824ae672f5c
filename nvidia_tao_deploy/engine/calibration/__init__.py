# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""INT8 and FP8 calibration: ranges of activations, where they come from, and the files that keep them."""
