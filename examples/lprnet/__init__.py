# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Licence plates: a public recogniser behind the tensors of `lprnet`, and rendered plates."""
