# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""One spec for training and deployment: what only training reads is accepted, and is not taken for misspelt."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvidia_tao_deploy import registry
from nvidia_tao_deploy.engine.contract import TensorInfo
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.spec.compose import compose
from tests.makers import write_yaml

TASKS = {"evaluate": "checkpoint num_gpus gpu_ids num_nodes", "inference": "checkpoint num_gpus gpu_ids num_nodes"}
YAML_TOP = "model_name encryption_key wandb train export"
SPECS: dict[str, dict[str, str]] = {
    "classification_pyt": {
        "": f"{YAML_TOP} distill quantize",
        "dataset": "dataset num_classes workers shuffle train_dataset val_dataset "
        "train_nolabel quant_calibration_dataset",
        "dataset.augmentation": "random_flip random_rotate random_color random_erase random_aug with_random_crop "
        "blur_kernel",
        "model.backbone": "type pretrained_backbone_path freeze_backbone",
        "model.head": "type binary loss custom_args in_channels",
        "evaluate": f"{TASKS['evaluate']} is_quantized vis_after_n_batches exp_config",
        "inference": f"{TASKS['inference']} is_quantized vis_after_n_batches exp_config",
        "gen_trt_engine": "gpu_id opset_version input_channel input_width input_height",
    },
    "classification_tf1": {
        "": "random_seed",
        "model_config": "arch n_layers retain_head use_batch_norm use_bias use_pooling all_projections freeze_bn "
        "dropout freeze_blocks batch_norm_config activation byom_model",
        "train_config": "train_dataset_path val_dataset_path pretrained_model_path optimizer batch_size_per_gpu "
        "n_epochs n_workers reg_config lr_config enable_random_crop enable_center_crop mixup_alpha visualizer",
        "eval_config": "model_path n_workers",
    },
    "classification_tf2": {
        "": f"{YAML_TOP} num_gpus gpu_ids prune mpi_args cuda_blocking multi_node num_processes verbosity",
        "dataset": "train_dataset_path val_dataset_path num_classes",
        "dataset.augmentation": "enable_random_crop enable_color_augmentation disable_horizontal_flip mixup_alpha",
        "model": "backbone use_batch_norm use_bias use_pooling all_projections freeze_bn freeze_blocks dropout "
        "activation_type retain_head byom_model",
        "train": "qat checkpoint num_epochs batch_size_per_gpu lr_config optim_config reg_config bn_config",
        "evaluate": "checkpoint n_workers",
        "inference": "checkpoint",
    },
    "multitask_classification": {
        "": "random_seed training_config train_config",
        "model_config": "arch n_layers use_batch_norm all_projections freeze_blocks dropout",
        "dataset_config": "train_csv_path",
        "eval_config": "eval_dataset_path model_path top_k n_workers enable_center_crop",
    },
    "lprnet": {
        "": "random_seed training_config",
        "lpr_config": "hidden_units max_label_length arch nlayers freeze_bn",
        "augmentation_config": "max_rotate_degree rotate_prob gaussian_kernel_size blur_prob reverse_color_prob "
        "keep_original_prob",
        "eval_config": "validation_period_during_training",
        "dataset_config": "data_sources",
    },
    "ml_recog": {
        "": YAML_TOP,
        "dataset": "train_dataset workers prob re_prob gaussian_blur color_augmentation random_rotation num_instance",
        "model": "backbone feat_dim pretrained_model_path pretrained_trunk_path pretrained_embedder_path",
        "evaluate": f"{TASKS['evaluate']} report_accuracy_per_class",
        "inference": TASKS["inference"],
    },
    "ocrnet": {
        "": f"{YAML_TOP} prune dataset_convert quantize",
        "dataset": "train_dataset_dir train_gt_file val_dataset_dir val_gt_file max_label_length batch_size workers "
        "quant_calibration_dataset",
        "dataset.augmentation": "aug_prob reverse_color_prob rotate_prob max_rotation_degree blur_prob "
        "gaussian_radius_list",
        "model": "TPS num_fiducial backbone feature_channel sequence hidden_size quantize pruned_graph_path "
        "quantize_model_path",
        "gen_trt_engine": "gpu_id opset_version input_channel input_width input_height",
        "evaluate": TASKS["evaluate"],
        "inference": TASKS["inference"],
    },
    "ocdnet": {
        "": f"{YAML_TOP} prune quantize num_gpus name",
        "dataset": "train_dataset quant_calibration_dataset",
        "dataset.validate_dataset.args": "filter_keys",
        "dataset.validate_dataset.loader": "shuffle pin_memory num_workers collate_fn",
        "model": "backbone pretrained in_channels neck inner_channels head out_channels k load_pruned_graph "
        "pruned_graph_path pretrained_model_path enlarge_feature_map_size activation_checkpoint fuse_qkv_proj",
        "evaluate": TASKS["evaluate"],
        "inference": TASKS["inference"],
        "gen_trt_engine": "img_mode",
    },
}  # fmt: skip
"""Network -> section ("" is the top) -> keys that have no effect here, but stand in specs of training."""
VALUES: dict[str, Any] = {"num_gpus": 1, "gpu_id": 0, "gpu_ids": [0], "encryption_key": "k", "img_mode": "BGR"}


@pytest.mark.parametrize("network", SPECS)
def test_a_spec_of_training_is_taken_as_it_is(tmp_path: Path, network: str, caplog: pytest.LogCaptureFixture) -> None:
    tree: dict[str, Any] = {}
    for section, names in SPECS[network].items():
        place = tree
        for part in section.split(".") if section else ():
            place = place.setdefault(part, {})
        place.update({name: VALUES.get(name, {"any": 1}) for name in names.split()})
    declared = registry.load(network)
    with caplog.at_level(logging.INFO):
        composed = compose(
            declared.schema, write_yaml(tmp_path / "s.yaml", tree), (), declared.migrations, bool(declared.flags)
        )
    assert "no such key" not in caplog.text
    assert composed.ignored
    assert sum("Ignored (read only by training" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("network", ["ocdnet", "ocrnet", "ml_recog"])
@pytest.mark.parametrize("subtask", ["evaluate", "inference"])
def test_the_one_gpu_of_releases_before_6(tmp_path: Path, network: str, subtask: str) -> None:
    declared = registry.load(network)
    file = write_yaml(tmp_path / "s.yaml", {subtask: {"gpu_id": 1}})
    assert getattr(compose(declared.schema, file, (), declared.migrations).spec, subtask).gpu_ids == [1]
    later = compose(declared.schema, file, [f"{subtask}.gpu_id=2"], declared.migrations).spec
    assert getattr(later, subtask).gpu_ids == [2]


def test_pixel_statistics_of_releases_before_6(tmp_path: Path) -> None:
    declared = registry.load("classification_pyt")
    norm = {"mean": [127.5, 127.5, 127.5], "std": [51.0, 51.0, 51.0], "to_rgb": True}
    file = write_yaml(tmp_path / "s.yaml", {"dataset": {"img_norm_cfg": norm}})
    spec = compose(declared.schema, file, (), declared.migrations).spec
    info = TensorInfo("input", "float32", (-1, 3, 8, 8))
    normalise = declared.prepare(spec, Binding({"input": info}, {}), "evaluate").normalise
    row = np.zeros((3, 8, 8), np.float32)
    normalise(np.full((8, 8, 3), 255, np.uint8), row)
    np.testing.assert_allclose(row, (255 - 127.5) / 51, rtol=1e-5)
