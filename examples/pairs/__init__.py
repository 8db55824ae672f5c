# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Toy models and composed data for the networks that compare two pictures: optical_inspection, visual_changenet."""
