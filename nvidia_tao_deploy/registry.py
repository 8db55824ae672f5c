# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Which commands exist, and where each network is declared. Imports nothing: setup.py reads it too."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvidia_tao_deploy.network import Network

# command -> (module in `networks`, one line for the list of commands)
NETWORKS: dict[str, tuple[str, str]] = {
    "classification_pyt": ("classification_pyt", "image classification (PyTorch backbones)"),
    "classification_tf1": (
        "classification_tf1",
        "image classification (TensorFlow 1 networks, protobuf-text specs)",
    ),
    "classification_tf2": ("classification_tf2", "image classification (TensorFlow 2 networks)"),
    "deformable_detr": ("detr", "object detection with Deformable DETR"),
    "dino": ("detr", "object detection with DINO"),
    "lprnet": ("lprnet", "licence plate recognition on cropped plates (protobuf-text specs)"),
    "mae": ("backbones", "masked auto-encoder backbones and what is fine-tuned from them (engines only)"),
    "ml_recog": ("ml_recog", "recognition by the nearest pictures of a labelled gallery (metric learning)"),
    "multitask_classification": (
        "multitask_classification",
        "several classifications of one picture (TensorFlow 1 networks, protobuf-text specs)",
    ),
    "nvdinov2": ("backbones", "DINOv2 backbones, feature extractors (engines only)"),
    "ocdnet": ("ocdnet", "text detection with DBNet"),
    "ocrnet": ("ocrnet", "text recognition on word crops (CTC or attention)"),
    "optical_inspection": ("optical_inspection", "defects by comparing units with golden pictures (siamese network)"),
    "rtdetr": ("detr", "real-time object detection with RT-DETR"),
    "segformer": ("segformer", "semantic segmentation"),
    "visual_changenet": ("visual_changenet", "changes between two pictures, per pixel or as a score"),
}

AGNOSTIC = "model_agnostic"
"""The command that reads the name of the network from the spec."""

COMMANDS = (*NETWORKS, AGNOSTIC)


def load(command: str) -> Network:
    """Import the module that declares `command` and return the declaration.

    Raises KeyError for a command that does not exist.
    """
    module = importlib.import_module(f"nvidia_tao_deploy.networks.{NETWORKS[command][0]}")
    return module.NETWORKS[command]
