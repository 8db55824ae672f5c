# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Text detection and recognition: public PP-OCRv4 models behind the tensors of `ocdnet` and `ocrnet`, rendered data."""
