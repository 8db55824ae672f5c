# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST: a small classifier for `classification_pyt` and the 10,000 test pictures."""
