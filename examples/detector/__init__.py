# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""A small detector with the tensors of `deformable_detr`, `dino` and `rtdetr`, and composites to score it with."""
