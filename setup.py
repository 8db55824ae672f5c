# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Packaging: two packages (`nvidia_tao_deploy`, `tao_deploy`), one console script per network command."""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"


def constants(*parts: str) -> dict[str, object]:
    """The module-level names of a file that imports nothing of ours."""
    return runpy.run_path(str(HERE.joinpath(*parts)))


VERSION = constants("release", "python", "version.py")["__version__"]
COMMANDS = constants("nvidia_tao_deploy", "registry.py")["COMMANDS"]

setup(
    name="nvidia-tao-deploy",
    version=VERSION,
    description="Turn trained ONNX networks and their TAO spec files into TensorRT engines, accuracy and predictions",
    long_description=README.read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=[*find_packages(include=["nvidia_tao_deploy", "nvidia_tao_deploy.*"]), "tao_deploy"],
    package_dir={"tao_deploy": "runner/tao_deploy"},
    include_package_data=True,
    install_requires=[
        "hydra-core>=1.3.2,<1.4",
        "numpy>=1.24",
        "omegaconf>=2.3,<2.4",
        "onnx>=1.19",
        "onnxruntime>=1.21",
        "opencv-python-headless>=4.10.0.84",  # the first for NumPy 2, which Python 3.13 needs
        "pillow>=10.1",
        "pyclipper>=1.3.0.post2",  # the first with wheels for Python 3.10
        "pyyaml>=6",
        "rich>=13",
        "scikit-learn>=1.3",
        "setuptools>=68,<81",  # hydra-core 1.3 imports pkg_resources
        "shapely>=2.0.2",  # before, valid polygons gave RuntimeWarnings
        "threadpoolctl>=3.1",  # scikit-learn for Python 3.13 demands it
    ],
    extras_require={
        "launcher": ["docker>=7"],
        "gpu": ["tensorrt>=8.5", "cuda-python>=11.8"],
        # Named so that installations need not change when decoding on the GPU and evaluation on several GPUs come.
        "gpu-decode": ["nvidia-nvimgcodec-cu12>=0.5"],
        "mpi": ["mpi4py>=3.1"],
        "tensorfile": ["h5py>=3.8"],
        "dev": [
            "docker>=7",
            "faster-coco-eval>=1.6",  # a second opinion on our COCO metric: examples/score.py, benchmarks/
            "h5py>=3.8",
            "hypothesis>=6",
            "mypy>=1.8",
            "pexpect>=4.8",
            "pycocotools>=2.0.7",  # the reference that our COCO metric is tested against
            "pytest>=8",
            "pytest-timeout>=2",
            "pytest-xdist>=3",
            "ruff>=0.6",
            "types-PyYAML",
            "types-docker",  # without it mypy takes the folder docker/ for the package
        ],
    },
    entry_points={
        "console_scripts": [
            "tao_deploy = tao_deploy.__main__:main",
            *(f"{name} = nvidia_tao_deploy.entry:commands.{name}" for name in COMMANDS),
        ]
    },
    classifiers=[
        "Environment :: Console",
        "Environment :: GPU :: NVIDIA CUDA",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
