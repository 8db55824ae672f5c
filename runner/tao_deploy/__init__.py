# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The host launcher: starts the base development container with volumes, GPUs, user and terminal set up."""
