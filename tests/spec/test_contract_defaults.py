# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Keys that a spec leaves out have TAO's defaults: specs in use rely on them."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from nvidia_tao_deploy import registry

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PLAIN_TENSORRT = {"data_type": "FP32", "workspace_size": 1024, **dict.fromkeys(("min_batch_size", "opt_batch_size"), 1)}
BUILD = {
    "gen_trt_engine": {
        "timing_cache": None, "batch_size": -1, "verbose": False, "gpu_id": 0,
        "tensorrt": {**PLAIN_TENSORRT, "max_batch_size": 1, "layers_precision": []},
    }
}  # fmt: skip
GB2 = {"gen_trt_engine": {"tensorrt": {**PLAIN_TENSORRT, "workspace_size": 2048, "max_batch_size": 1}}}
FLAGS = {
    "gen_trt_engine": {"tensorrt": {"workspace_size": 2048, "calibration": {"cal_batch_size": 1, "cal_batches": 10}}}
}
DB = {"post_processing": {"args": {"thresh": 0.3, "box_thresh": 0.55, "max_candidates": 1000, "unclip_ratio": 1.5}}}
LIGHTS = {"num_input": 8, "image_ext": None, "input_map": None, "concat_type": None, "grid_map": None}
RGB = {"augmentation_config": {f"rgb_input_{name}": value for name, value in IMAGENET.items()}}
FOLDERS = {
    "image_folder_name": "A", "change_image_folder_name": "B", "list_folder_name": "list",
    "annotation_folder_name": "label", "test_split": "test", "predict_split": "test",
}  # fmt: skip

DEFAULTS: dict[str, list[dict[str, Any]]] = {
    "classification_tf1": [
        FLAGS,
        {"model_config": {"resize_interpolation_method": "bilinear"}, "train_config": {"preprocess_mode": "caffe"}},
        {"eval_config": {"enable_center_crop": False, "top_k": 5}},
    ],
    "classification_tf2": [
        GB2,
        {"data_format": "channels_first", "model": {"resize_interpolation_method": "bilinear", "input_image_depth": 8}},
        {"dataset": {"preprocess_mode": "caffe", "image_mean": [103.939, 116.779, 123.68]}},
        {"dataset": {"augmentation": {"enable_center_crop": True}}, "evaluate": {"batch_size": 64, "top_k": 3}},
        {"gen_trt_engine": {"tensorrt": {"calibration": {"cal_batch_size": 1, "cal_batches": 1}}}},
    ],
    "classification_pyt": [
        BUILD,
        {"dataset": {"root_dir": "", "batch_size": 8, "augmentation": IMAGENET}, "model": {"head": {"topk": [1]}}},
    ],
    "multitask_classification": [FLAGS, {"model_config": {"resize_interpolation_method": "bilinear"}}],
    "lprnet": [{"gen_trt_engine": {"tensorrt": {"workspace_size": 2048}}}],
    "ml_recog": [
        BUILD,
        {"model": {"input_channels": 3, "input_height": 224, "input_width": 224}},
        {"dataset": {"class_map": None, "pixel_mean": IMAGENET["mean"], "pixel_std": [0.226] * 3}},
        {"evaluate": {"trt_engine": None, "batch_size": 4, "topk": 1}, "inference": {"batch_size": 1, "topk": 1}},
        {"inference": {"trt_engine": None, "inference_input_type": "classification_folder"}},
    ],
    "optical_inspection": [
        BUILD,
        {"model": {"margin": 2.0}, "evaluate": {"batch_size": -1}, "inference": {"batch_size": 1}},
        {"dataset": {**LIGHTS, **RGB, "image_width": 128, "image_height": 128}},
    ],
    "segformer": [
        BUILD,
        {"dataset": {"segment": {"root_dir": "", "validation_split": "val", "predict_split": "test"}}},
        {"dataset": {"segment": {"batch_size": -1}}},
        {"dataset": {"segment": {"label_transform": "norm", "augmentation": {"mean": [0.5] * 3, "std": [0.5] * 3}}}},
        {"dataset": {"segment": {"palette": [
            {"seg_class": "foreground", "label_id": 0, "mapping_class": "foreground", "rgb": [0, 0, 0]},
            {"seg_class": "background", "label_id": 1, "mapping_class": "background", "rgb": [1, 1, 1]},
        ]}}},
        {"evaluate": {"trt_engine": None, "batch_size": -1}, "inference": {"trt_engine": None, "batch_size": -1}},
    ],
    "visual_changenet": [
        {"model": {"backbone": {"type": "fan_small_12_p4_hybrid"}}},
        {"model": {"classify": {"difference_module": "euclidean", "eval_margin": 2.0}}},
        {"evaluate": {"batch_size": -1}, "inference": {"batch_size": -1}},
        {"gen_trt_engine": {"tensorrt": {**PLAIN_TENSORRT, "max_batch_size": 8}}},
        {"dataset": {"segment": {**FOLDERS, "img_size": 224, "batch_size": 8, "num_classes": 2, "data_name": "LEVIR"}}},
        {"dataset": {"segment": {"label_transform": "norm", "label_suffix": ".png", "color_map": None}}},
        {"dataset": {"segment": {"augmentation": {"mean": [0.5] * 3, "std": [0.5] * 3}}}},
        {"dataset": {"classify": {**LIGHTS, **RGB, "image_width": 224, "image_height": 224, "batch_size": 8}}},
        {"dataset": {"classify": {"num_golden": 1}}},
    ],
    "nvdinov2": [BUILD],
    "mae": [BUILD],
    "ocdnet": [
        BUILD,
        {"gen_trt_engine": {"width": 1280, "height": 736}, "inference": {"width": 1280, "height": 736}},
        {"evaluate": {**DB, "metric": {"args": {"is_output_polygon": False}}}, "inference": DB},
        {"inference": {"polygon": False, "show": False}},
        {"dataset": {"validate_dataset": {"data_name": "ICDAR2015Dataset", "data_path": []}}},
        {"dataset": {"validate_dataset": {"args": {"img_mode": "BGR", "ignore_tags": ["*", "###"]}}}},
    ],
    "ocrnet": [
        BUILD,
        {"model": {"prediction": "CTC", "input_channel": 1, "input_width": 100, "input_height": 32}},
        {"dataset": {"character_list_file": None}, "evaluate": {"batch_size": 1, "test_dataset_gt_file": None}},
        {"inference": {"batch_size": 1}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("network", DEFAULTS)
def test_defaults_are_those_of_the_contract(network: str) -> None:
    have = OmegaConf.to_container(OmegaConf.structured(registry.load(network).schema))
    for expected in DEFAULTS[network]:
        assert _picked(have, expected) == expected


def _picked(have: Any, like: Any) -> Any:
    """The part of a tree that has the keys of another."""
    return {key: _picked(have[key], value) for key, value in like.items()} if isinstance(like, dict) else have
