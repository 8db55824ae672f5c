# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Build, score and run the example models with the very commands that a user types, and show what came out.

python examples/demo.py demo          after: python examples/prepare.py demo --small
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUBTASKS = {"gen_trt_engine": "gen_trt_engine", "evaluate": "trt_evaluate", "inference": "trt_inference"}


@dataclass(frozen=True)
class Show:
    """One network of the demo.

    Attributes:
        network: command and spec (examples/specs/<network>.yaml).
        figure: key of results.json, and its name in the table.
        look: what is worth opening, as a pattern below the inference results.
        model, pictures: below the folder, for networks with options of their own (examples/specs/<network>.txt).
    """

    network: str
    figure: tuple[str, str]
    look: str
    model: str = ""
    pictures: str = ""


SHOWS = (
    Show("classification_pyt", ("top_k_accuracy", "top-1 accuracy"), "result.csv"),
    Show("rtdetr", ("AP", "mAP 0.5:0.95"), "images_annotated/**/*.jpg"),
    Show("dino", ("AP", "mAP 0.5:0.95"), "images_annotated/**/*.jpg"),
    Show("ocdnet", ("F-measure", "H-mean"), "**/*_result.jpg"),
    Show("ocrnet", ("Accuracy", "exact match"), "*.csv"),
    Show("optical_inspection", ("total_accuracy", "right, in %"), "*.csv"),
    Show("visual_changenet", ("miou", "mIoU"), "combined_visualisation/**/*.jpg"),
    Show("segformer", ("miou", "mIoU"), "vis_overlay/**/*.jpg"),
    Show("ml_recog", ("recall_at_1", "recall@1"), "images_annotated/**/*.jpg"),
    Show(
        "lprnet",
        ("Accuracy", "exact match"),
        "images_annotated/*.jpg",
        model="models/lprnet/lprnet.onnx",
        pictures="data/lprnet/image",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that examples/prepare.py filled")
    parser.add_argument("--only", default="", help="networks, separated by commas")
    arguments = parser.parse_args()
    wanted = [name for name in arguments.only.split(",") if name] or [show.network for show in SHOWS]
    unknown = sorted(set(wanted) - {show.network for show in SHOWS})
    if unknown:
        parser.error(f"unknown network {', '.join(unknown)}; known: {', '.join(show.network for show in SHOWS)}")
    if not (arguments.folder / "models").is_dir():
        parser.error(f"{arguments.folder} holds no models; first run: python examples/prepare.py {arguments.folder}")
    rows, start = [], time.monotonic()
    for show in SHOWS:
        if show.network in wanted:
            code = run(show, arguments.folder)
            if code:
                return code
            rows.append(row(show, arguments.folder))
    table(rows)
    print(f"{time.monotonic() - start:.0f} s in all")
    return 0


def run(show: Show, folder: Path) -> int:
    """The three subtasks; returns the exit code of the first that fails."""
    for subtask in SUBTASKS:
        spec = HERE / "specs" / f"{show.network}.{'txt' if show.model else 'yaml'}"
        command = [show.network, subtask, "-e", str(spec)]
        results = folder / "results" / show.network
        command += options(show, subtask, folder) if show.model else [f"results_dir={results}"]
        print(f"\n$ {' '.join(command)}", flush=True)
        code = subprocess.run([sys.executable, "-m", "nvidia_tao_deploy", *command], check=False).returncode
        if code:
            print(f"{show.network} {subtask} ended with exit code {code}", file=sys.stderr)
            return code
    return 0


def options(show: Show, subtask: str, folder: Path) -> list[str]:
    """What a network with a protobuf-text spec is told on the command line."""
    results = folder / "results" / show.network
    engine, where = str(results / "model.engine"), ["-r", str(results / SUBTASKS[subtask])]
    if subtask == "gen_trt_engine":
        return [*where, "-m", str(folder / show.model), "--engine_file", engine, "--max_batch_size", "16"]
    shown = ["-i", str(folder / show.pictures), "inference.annotate=true"] if subtask == "inference" else []
    return [*where, "-m", engine, "-b", "16", *shown]


def row(show: Show, folder: Path) -> tuple[str, ...]:
    """Network, backend, precision, figure, pictures, rate, what to open."""
    results = folder / "results" / show.network
    facts = json.loads(next(results.glob("*.json")).read_text(encoding="utf-8"))
    scores = json.loads((results / "trt_evaluate" / "results.json").read_text(encoding="utf-8"))
    evaluated = last_run(results / "trt_evaluate" / "status.json")
    predicted = last_run(results / "trt_inference" / "status.json")
    pictures = sorted((results / "trt_inference").glob(show.look))
    key, name = show.figure
    return (
        show.network,
        facts["backend"],
        facts["precision"],
        f"{name} {scores[key]:.3f} ({evaluated['samples']} pictures)",
        f"{predicted['rate']:.1f}",
        str(pictures[0]) if pictures else "-",
    )


def last_run(status: Path) -> dict[str, float]:
    """The newest status line that carries a rate."""
    lines = [json.loads(line) for line in status.read_text(encoding="utf-8").splitlines()]
    return next(line for line in reversed(lines) if "rate" in line)


def table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(title="What the example models reach here", title_justify="left")
    for column in ("network", "backend", "precision", "accuracy", "pictures/s"):
        shown.add_column(column, no_wrap=True)
    for line in rows:
        shown.add_row(*line[:-1])
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print("\n", shown)
    print("Worth opening:")
    for line in rows:
        print(f"  {line[0]:20} {line[-1]}")


if __name__ == "__main__":
    sys.exit(main())
