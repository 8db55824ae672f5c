# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m nvidia_tao_deploy`: the same commands as the console scripts, for trees that are not installed."""

import sys

from nvidia_tao_deploy.entry import module

sys.exit(module())
