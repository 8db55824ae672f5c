# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""The front end: command lines, help, exit codes, signals, and what a failing command leaves behind."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nvidia_tao_deploy import entry, registry
from nvidia_tao_deploy.cli_arguments import parse
from nvidia_tao_deploy.errors import SpecError
from tests.conftest import ColourJob
from tests.makers import (
    Ran,
    command_line,
    environment,
    noise,
    run_command,
    run_here,
    start_command,
    status_lines,
    write_yaml,
)

NETWORK = registry.load("classification_pyt")


def arguments(*argv: str) -> tuple[str, str | None, tuple[str, ...]]:
    read = parse(NETWORK, argv)
    return read.subtask, read.spec, read.overrides


@pytest.mark.parametrize(
    "argv",
    [
        ("evaluate", "-e", "s.yaml", "a=1", "~b"),
        ("-e", "s.yaml", "evaluate", "a=1", "~b"),
        ("evaluate", "a=1", "--experiment_spec_file", "s.yaml", "~b"),
        ("evaluate", "a=1", "--experiment_spec_file=s.yaml", "~b"),
        ("evaluate", "a=1", "~b", "-e=s.yaml"),
        ("evaluate", "a=1", "~b", "-es.yaml"),
        ("evaluate", "a=1", "~b", "--experiment_spec", "s.yaml"),
    ],
)
def test_orders_and_forms_that_work(argv: tuple[str, ...]) -> None:
    assert arguments(*argv) == ("evaluate", "s.yaml", ("a=1", "~b"))


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["evalute", "-e", "s"], "unknown subtask 'evalute'", "'evaluate'"),
        (["export", "-e", "s"], "unknown subtask 'export'", "belongs to TAO's training commands. Subtasks: gen_trt"),
        (["-e", "s"], "no subtask is given", "gen_trt_engine, evaluate, inference, default_specs"),
        (["evaluate"], "evaluate needs a spec file: -e SPEC", "--help"),
        (["evaluate", "-e"], "-e needs the path of a spec file", None),
        (["evaluate", "--experiment_spec_file="], "needs the path of a spec file", None),
        (["evaluate", "-e", "a", "-e", "b"], "two spec files are given: a and b", None),
        (["evaluate", "-e", "a", "b"], "'b' is neither an option nor an override", None),
        (["evaluate", "-e", "a", "--gpus", "1"], "unknown option --gpus", "keys instead of options: evaluate.gpu_ids="),
        (["inference", "-e", "a", "--num_gpus=1"], "unknown option --num_gpus", "inference.gpu_ids="),
        (["gen_trt_engine", "-e", "a", "-g", "0"], "unknown option -g", "gen_trt_engine.gpu_id="),
        (["evaluate", "-e", "a", "-r", "out"], "unknown option -r", "instead of options: evaluate.results_dir="),
        (["inference", "-e", "a", "-m", "x"], "unknown option -m", "inference.trt_engine="),
        (["gen_trt_engine", "-m", "x"], "unknown option -m", "gen_trt_engine.onnx_file="),
        (["gen_trt_engine", "-e", "a", "-k", "key"], "unknown option -k", "encryption_key="),
        (["evaluate", "-e", "a", "--gpu_index=1"], "unknown option --gpu_index", "evaluate.gpu_ids="),
        (["default_specs", "-r", "out"], "unknown option -r", "instead of options: results_dir="),
        (["-r", "out", "evaluate"], "unknown option -r", None),
        (["evaluate", "-e", "a", "--hlep"], "unknown option --hlep", "'--help'"),
        (["evaluate", "-e", "a", "--cfg", "job"], "unknown option --cfg", "experiment.yaml"),
        (["evaluate", "-e", "a", "--config-path=/specs"], "unknown option --config-path", "experiment.yaml"),
    ],
)
def test_wrong_command_lines(argv: list[str], message: str, hint: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        parse(NETWORK, argv)
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
    ran = run_here("classification_pyt", "", *argv)
    assert ran.code == 2 and ran.out == "" and ran.err.startswith(f"classification_pyt: {caught.value.message}\n")


def test_a_wrong_command_line_is_noted_where_its_results_would_be(colours: ColourJob) -> None:
    ran = run_here("classification_pyt", "evaluate", "-e", colours.spec, "dataset.batch_size", "=", "4")
    assert ran.code == 2
    last = colours.status("evaluate")[-1]
    assert last["status"] == "FAILURE"
    assert "'dataset.batch_size' is neither an option nor an override" in str(last["message"])


def test_a_wrong_command_line_is_noted_where_an_option_sends_its_results(tmp_path: Path) -> None:
    spec = write_yaml(tmp_path / "spec.yaml", {"results_dir": str(tmp_path / "of_spec")})
    ran = run_here("lprnet", "evaluate", "-e", spec, "-r", tmp_path / "results", "-m", "model.engine", "--foo", "1")
    assert ran.code == 2 and "unknown option --foo" in ran.err
    assert [line["status"] for line in status_lines(tmp_path / "results")][-1] == "FAILURE"
    assert not (tmp_path / "of_spec").exists()


def test_help() -> None:
    for argv in ((), ("--help",), ("-h",)):
        ran = run_here("classification_pyt", "", *argv)
        assert ran.code == 0 and ran.err == ""
        assert all(
            name in ran.out for name in ("gen_trt_engine", "evaluate", "inference", "default_specs", "exit codes")
        )
    ran = run_here("classification_pyt", "gen_trt_engine", "--help")
    assert "gen_trt_engine.tensorrt.data_type" in ran.out and "evaluate.trt_engine" not in ran.out


@pytest.mark.parametrize("command", ["dino", "lprnet", "model_agnostic"])
def test_options_of_help_are_aligned(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")  # none of them is folded
    lines = run_here(command, "", "--help").out.splitlines()
    first = lines.index("options:") + 1
    options = lines[first : lines.index("", first)]
    starts = {re.match(r"  .*?\S(?=  )\s+", line).end() for line in options}  # type: ignore[union-attr]
    assert len(options) >= 3 and len(starts) == 1, options


@pytest.mark.parametrize("width", [70, 80, 200])
def test_help_keeps_to_the_terminal_s_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {name: run_here(name, "", "--help").out for name in registry.COMMANDS}
    monkeypatch.setenv("COLUMNS", str(width))
    for name in registry.COMMANDS:
        text = run_here(name, "", "--help").out
        assert max(map(len, text.splitlines())) <= width, name
        assert text.split() == wide[name].split()
    for subtask in ("gen_trt_engine", "evaluate", "default_specs"):
        assert max(map(len, run_here("ml_recog", subtask, "--help").out.splitlines())) <= width


def test_examples_of_help_are_command_lines() -> None:
    """For every network: one example per subtask, which the command takes as it stands."""
    for name in registry.NETWORKS:
        network = registry.load(name)
        text = run_here(name, "", "--help").out.replace(" \\\n     ", "")
        examples = text.partition("\nexample:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split()[:2] for line in examples] == [[name, subtask] for subtask in network.subtasks]
        for line, subtask in zip(examples, network.subtasks, strict=True):
            parse(network, shlex.split(line)[1:])
            assert line in run_here(name, subtask, "--help").out.replace(" \\\n     ", "")


def test_help_of_specs_shows_their_own_usage() -> None:
    ran = run_here("dino", "default_specs", "--help")
    assert ran.out.startswith("usage: dino default_specs results_dir=FOLDER\n") and "-e" not in ran.out.split()
    ran = run_here("lprnet", "convert_specs", "--help")
    assert ran.out.startswith("usage: lprnet convert_specs OLD.txt NEW.yaml\n") and "key=value" not in ran.out


def test_module_lists_networks_and_suggests() -> None:
    ran = run_command("--help", "")
    assert ran.code == 0 and all(name in ran.out for name in registry.NETWORKS)
    ran = run_command("classification_pty", "evaluate")
    assert ran.code == 2 and "Did you mean 'classification_pyt'?" in ran.err


def test_console_scripts() -> None:
    assert callable(entry.commands.dino)
    with pytest.raises(AttributeError):
        _ = entry.commands.nothing


def test_spec_is_looked_for_in_the_current_folder(colours: ColourJob) -> None:
    ran = run_command("classification_pyt", "evaluate", "-e", "spec.yaml", cwd=colours.root)
    assert ran.code == 0, ran.text
    assert colours.status("evaluate")[-1]["status"] == "SUCCESS"


def test_relative_paths_are_of_the_current_folder(colours: ColourJob) -> None:
    overrides = ("results_dir=out here", "evaluate.trt_engine=./model.onnx", "dataset.test_dataset.images_dir=images")
    ran = run_command("classification_pyt", "evaluate", "-e", "spec.yaml", *overrides, cwd=colours.root)
    assert ran.code == 0, ran.text
    assert (colours.root / "out here" / "trt_evaluate" / "results.json").is_file()


@pytest.mark.parametrize(
    "name", ["with blank", "quote's", 'double"quote', "$HOME", "$(touch pwned)", "a;b", "[x]", "{x}", "ü", "a,b", "x=y"]
)
def test_shell_characters_in_values(colours: ColourJob, name: str) -> None:
    quoted = "'" + name.replace("'", "\\'") + "'"
    ran = run_here(
        "classification_pyt",
        "evaluate",
        "-e",
        colours.spec,
        f"results_dir={colours.root}/x/",
        f"evaluate.results_dir={quoted[0]}{colours.root}/{quoted[1:]}",
    )
    assert ran.code == 0, ran.text
    assert (colours.root / name / "status.json").is_file()
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such spec file"),
        (b"", "the file is empty"),
        (b"a: [1\nb: 2", "broken.yaml:2:2: not YAML"),
        (b"\x89PNG\r\n\x1a\n\x00", "not a text file"),
        (b"a: \x00", "not YAML"),
        (b"evaluate: {trt_engin: x}", "evaluate.trt_engin: no such key"),
        (b"evaluate: {batch_size: many}", "broken.yaml:1: evaluate.batch_size: found 'many'; expected int"),
        ("folder", "a folder, not a spec file"),
    ],
)
def test_unreadable_specs_end_in_one_line_and_a_failure_status(
    tmp_path: Path, content: bytes | str | None, message: str
) -> None:
    spec = tmp_path / "broken.yaml"
    if content == "folder":
        spec.mkdir()
    elif isinstance(content, bytes):
        spec.write_bytes(content)
    ran = run_here("classification_pyt", "evaluate", "-e", spec, f"results_dir={tmp_path}/r")
    assert ran.code == 2 and ran.out.count("\n") == 1 and ran.out.endswith("Execution status: FAIL\n")
    first, *hint = ran.err.splitlines()
    assert message in first and "Traceback" not in ran.err and len(hint) <= 1
    lines = status_lines(tmp_path / "r" / "trt_evaluate")
    assert lines[-1]["status"] == "FAILURE" and message in lines[-1]["message"]
    assert lines[-1]["message"].startswith("Configuration error: ")


def test_a_broken_spec_without_results_dir_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_here("classification_pyt", "evaluate", "-e", tmp_path / "nothing.yaml").code == 2
    assert list(tmp_path.iterdir()) == []


def test_early_failure_reads_results_dir_as_the_task_would(colours: ColourJob) -> None:
    quoted = f"evaluate.results_dir='{colours.root}/a b'"
    assert colours.run("evaluate", "evaluate.zzz=1", quoted).code == 2
    assert status_lines(colours.root / "a b")[-1]["status"] == "FAILURE"
    assert colours.run("evaluate", "evaluate.zzz=1").code == 2
    assert colours.status("evaluate")[-1]["status"] == "FAILURE"


def test_no_results_dir(colours: ColourJob) -> None:
    ran = colours.run("evaluate", "results_dir=''")
    assert ran.code == 2 and "neither evaluate.results_dir nor results_dir is set" in ran.err


@pytest.mark.parametrize("where", ["is a file", "below a file"])
def test_results_dir_that_cannot_be_written(colours: ColourJob, where: str) -> None:
    (colours.root / "file").write_text("mine")
    folder = colours.root / "file" if where == "is a file" else colours.root / "file" / "deeper"
    ran = colours.run("evaluate", f"evaluate.results_dir={folder}")
    file = colours.root / "file"
    assert ran.code == 2 and f"results_dir: {folder}: {file} is a file; expected a folder" in ran.err
    assert (colours.root / "file").read_text() == "mine"


def test_results_dir_that_is_a_link_to_nowhere(colours: ColourJob) -> None:
    (colours.root / "link").symlink_to(colours.root / "lost")
    ran = colours.run("evaluate", f"results_dir={colours.root / 'link'}")
    assert ran.code == 2 and f"link is a link to {colours.root / 'lost'}, which does not exist here" in ran.err


def test_keys_of_other_sections_that_evaluate_reads_are_in_its_help() -> None:
    for subtask in ("gen_trt_engine", "evaluate", "inference"):
        assert "gen_trt_engine.plugins" in run_here("rtdetr", subtask, "--help").out
    assert "gen_trt_engine.onnx_file" not in run_here("rtdetr", "evaluate", "--help").out


def test_read_only_results_dir(colours: ColourJob) -> None:
    folder = colours.root / "ro"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        ran = colours.run("evaluate", f"results_dir={folder}")
        assert ran.code == 1 and "Read-only file system" in ran.err and "Choose another results_dir" in ran.err
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("boom"), "RuntimeError: boom"),
        (KeyError("k"), "KeyError: 'k'"),
        (AssertionError("not so"), "AssertionError: not so"),
        (MemoryError(), "MemoryError"),
        (IndexError("i"), "IndexError: i"),
        (AttributeError("a"), "AttributeError: a"),
        (ValueError("v"), "Parameter validation error: v"),
        (NotImplementedError("later"), "Feature not implemented: later"),
        (OSError(28, "No space left on device"), "File system error: [Errno 28] No space left on device"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
@pytest.mark.parametrize("moment", ["composing", "running"])
def test_every_exception_ends_in_one_line_exit_1_and_a_failure_status(
    colours: ColourJob, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str, moment: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    target = (
        "nvidia_tao_deploy.spec.compose.migrate" if moment == "composing" else "nvidia_tao_deploy.tasks.evaluate.run"
    )
    monkeypatch.setattr(target, fail)
    ran = colours.run("evaluate")
    assert ran.code == 1 and "Traceback" not in ran.text
    assert ran.err.splitlines()[0].endswith(f"[ERROR] {message}")
    assert "TAO_LOGGING_LEVEL=DEBUG" in ran.err
    last = colours.status("evaluate")[-1]
    assert (last["status"], last["message"]) == ("FAILURE", message)


def test_the_last_line_is_the_one_that_users_of_tao_look_for(colours: ColourJob) -> None:
    for subtask, override, word in (("evaluate", "dataset.batch_size=3", "PASS"), ("evaluate", "a=b=c[", "FAIL")):
        ran = colours.run(subtask, override)
        assert (ran.code == 0) == (word == "PASS")
        assert ran.out.splitlines()[-1].endswith(f"[INFO] Execution status: {word}")


def test_debug_shows_where(colours: ColourJob) -> None:
    ran = run_command(
        "classification_pyt", "evaluate", "-e", colours.spec, "evaluate.trt_engine=/nowhere",
        env={"TAO_LOGGING_LEVEL": "DEBUG"},
    )  # fmt: skip
    assert ran.code == 5 and "Traceback" in ran.text


def test_default_specs(tmp_path: Path) -> None:
    for _ in range(2):
        ran = run_here("classification_pyt", "default_specs", f"results_dir={tmp_path}")
        assert ran.code == 0
    assert "replaced" in ran.out
    text = (tmp_path / "experiment.yaml").read_text()
    assert "onnx_file: ???" in text and "data_type: FP32" in text
    again = run_here("classification_pyt", "evaluate", "-e", tmp_path / "experiment.yaml", f"results_dir={tmp_path}/r")
    assert again.code == 2 and "evaluate.trt_engine is not set" in again.err
    assert run_here("classification_pyt", "default_specs").code == 2
    ran = run_here("classification_pyt", "default_specs", f"results_dir={tmp_path}/experiment.yaml")
    assert ran.code == 2 and "experiment.yaml is a file; expected a folder" in ran.err


def test_a_closed_pipe_is_quiet(colours: ColourJob) -> None:
    for argv in (["--help"], ["-e", str(colours.spec)]):
        line = command_line("classification_pyt", "evaluate", *argv)
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, env=environment(), text=True, check=False)
        os.close(writer)
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
        assert done.returncode == 0
    assert colours.status("evaluate")[-1]["status"] == "SUCCESS"


def stopped(colours: ColourJob, number: int, *overrides: str) -> tuple[Ran, float]:
    """Start a long evaluate, send a signal in its midst; how it ended and how long that took."""
    process = start_command("classification_pyt", "evaluate", "-e", str(colours.spec), *overrides)
    status = colours.results / "trt_evaluate" / "status.json"
    try:
        for _ in range(400):
            if status.exists() or process.poll() is not None:
                break
            time.sleep(0.025)
        time.sleep(0.7)
        assert process.poll() is None, process.communicate()
        start = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        return Ran(process.returncode, out, err), time.monotonic() - start
    finally:
        process.kill()


@pytest.fixture
def endless(colours: ColourJob) -> ColourJob:
    """A job that would take minutes: many names for one large picture."""
    folder = colours.images / "red"
    noise(folder / "0.png", size=(1600, 1200))
    for index in range(4000):
        (folder / f"link{index}.png").symlink_to("0.png")
    return colours


@pytest.mark.parametrize(
    ("number", "code", "word", "status"),
    [
        (signal.SIGINT, 130, "Interrupted", "interrupted"),
        (signal.SIGTERM, 143, "Terminated", "terminated"),
        (signal.SIGHUP, 129, "Hung up", "hung up"),
    ],
)
def test_signals_end_a_run_at_once(endless: ColourJob, number: int, code: int, word: str, status: str) -> None:
    slow = ("dataset.batch_size=1", f"evaluate.trt_engine={endless.model}")
    os.environ["TAO_DEPLOY_WORKERS"] = "2"
    try:
        ran, seconds = stopped(endless, number, *slow)
    finally:
        del os.environ["TAO_DEPLOY_WORKERS"]
    assert ran.code == code, ran.text
    assert seconds < 3
    assert word in ran.err and "Traceback" not in ran.err
    last = endless.status("evaluate")[-1]
    assert last["status"] == "FAILURE" and last["message"] == f"User/System interruption: Trt_evaluate was {status}"
    assert not (endless.results / "trt_evaluate" / "results.json").exists()


def test_nohup_is_respected(colours: ColourJob) -> None:
    line = ["nohup", *command_line("classification_pyt", "evaluate", "-e", str(colours.spec))]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), text=True)
    status = colours.results / "trt_evaluate" / "status.json"
    while not status.exists() and process.poll() is None:
        time.sleep(0.025)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out


LATE = """
import os, signal, sys
from nvidia_tao_deploy import cli, status
write = status.Status.write
def late(self, state, message, **data):
    write(self, state, message, **data)
    if state is status.State.SUCCESS:
        os.kill(os.getpid(), signal.SIGTERM)
status.Status.write = late
sys.exit(cli.run_module(["classification_pyt", "evaluate", "-e", sys.argv[1]]))
"""


def test_a_signal_after_success_changes_nothing(colours: ColourJob) -> None:
    line = [sys.executable, "-c", LATE, str(colours.spec)]
    ran = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Execution status: PASS" in ran.stdout and colours.status("evaluate")[-1]["status"] == "SUCCESS"


AGAIN = """
import os, signal, sys
from nvidia_tao_deploy import cli, status
from nvidia_tao_deploy.tasks import early
def twice(function):
    def interrupted(*arguments, **keywords):
        os.kill(os.getpid(), signal.SIGINT)
        result = function(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGINT)
        return result
    return interrupted
if sys.argv[2] == "early":
    from nvidia_tao_deploy.spec import compose
    compose.compose = twice(compose.compose)
    early.likely_folder = twice(early.likely_folder)
else:
    from nvidia_tao_deploy.tasks import context
    context.save_experiment = twice(context.save_experiment)
    status.line = twice(status.line)
sys.exit(cli.run_module(["classification_pyt", "evaluate", "-e", sys.argv[1]]))
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_ctrl_c_pressed_again_and_again_is_one_failure(colours: ColourJob, when: str) -> None:
    line = [sys.executable, "-c", AGAIN, str(colours.spec), when]
    ran = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 130 and "Traceback" not in ran.stderr, ran.stdout + ran.stderr
    last = colours.status("evaluate")[-1]
    assert last["status"] == "FAILURE" and last["message"] == "User/System interruption: Trt_evaluate was interrupted"


DROPPED = """
import os, signal, sys
from nvidia_tao_deploy import cli
from nvidia_tao_deploy.spec import compose
from nvidia_tao_deploy.tasks import context
def dropped(*arguments, **keywords):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise AttributeError("what the library was about to do is missing")
module = {"compose": compose, "save_experiment": context}[sys.argv[2]]
setattr(module, sys.argv[2], dropped)
sys.exit(cli.run_module(["classification_pyt", "evaluate", "-e", sys.argv[1]]))
"""


@pytest.mark.parametrize("where", ["compose", "save_experiment"])
def test_ctrl_c_that_a_library_makes_an_error_of_is_still_ctrl_c(colours: ColourJob, where: str) -> None:
    """OmegaConf does, while it reads the spec."""
    line = [sys.executable, "-c", DROPPED, str(colours.spec), where]
    ran = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 130, ran.stdout + ran.stderr
    assert colours.status("evaluate")[-1]["message"] == "User/System interruption: Trt_evaluate was interrupted"


TORN_DOWN = """
import atexit, os, signal, sys
from nvidia_tao_deploy import cli, status
atexit.register(print, "Python is torn down")
write = status.Status.write
def early(self, state, message, **data):
    write(self, state, message, **data)
    if state is status.State.STARTED:
        os.kill(os.getpid(), int(sys.argv[2]))
status.Status.write = early
sys.exit(cli.run_module(["classification_pyt", "evaluate", "-e", sys.argv[1]]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_after_a_signal_python_is_not_torn_down(colours: ColourJob, number: int, code: int) -> None:
    """Threads of TensorRT RTX outlive a build that was stopped; Python's end under them crashed one time in three."""
    line = [sys.executable, "-c", TORN_DOWN, str(colours.spec), str(int(number))]
    ran = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Execution status: FAIL" in ran.stdout and "torn down" not in ran.stdout
    assert colours.status("evaluate")[-1]["status"] == "FAILURE"


AT_ONCE = """
import os, runpy, signal, sys
class Interrupt:
    def find_spec(self, name, *more):
        if name == "nvidia_tao_deploy.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize(
    "start",
    [
        "runpy.run_module('nvidia_tao_deploy', run_name='__main__', alter_sys=True)",
        "from nvidia_tao_deploy.entry import commands; sys.exit(commands.dino())",
    ],
)
def test_interrupted_while_the_front_end_is_imported(start: str) -> None:
    line = [sys.executable, "-c", f"{AT_ONCE}{start}", "dino", "--help"]
    ran = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.parametrize("delay", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_modules_are_imported_is_not_lost(
    colours: ColourJob, delay: float, number: int, code: int
) -> None:
    """Compiled modules turn an exception in their initialisation into an ImportError."""
    process = start_command("classification_pyt", "evaluate", "-e", str(colours.spec))
    status = colours.results / "trt_evaluate" / "status.json"
    try:
        while not status.exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    if process.returncode == 0:  # it was quicker than the signal
        assert colours.status("evaluate")[-1]["status"] == "SUCCESS"
        return
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    assert "interruption" in str(colours.status("evaluate")[-1]["message"])


@pytest.mark.parametrize(
    ("overrides", "remark"),
    [
        (["results_dir={0}/new"], True),
        (["++results_dir={0}/new"], True),
        ([], False),
        (["results_dir={0}"], False),  # the folder is below it
        (["results_dir={0}/new", "evaluate.results_dir={0}/own"], False),
    ],
)
def test_a_results_dir_that_the_spec_overrules(tmp_path: Path, overrides: list[str], remark: bool) -> None:
    """As with the experiment.yaml of an earlier run."""
    tree = {"results_dir": str(tmp_path), "evaluate": {"results_dir": f"{tmp_path}/own"}}
    spec = write_yaml(tmp_path / "s.yaml", tree)
    ran = run_here("classification_pyt", "evaluate", "-e", spec, *(item.format(tmp_path) for item in overrides))
    assert ran.code == 2 and "evaluate.trt_engine is not set" in ran.err
    said = f"results_dir={tmp_path}/new has no effect on evaluate, because evaluate.results_dir is {tmp_path}/own"
    assert (said in ran.text) == remark, ran.text
    assert (tmp_path / "own/status.json").is_file() and not (tmp_path / "new").exists()


@pytest.mark.parametrize(("folder", "noted"), [("~/r", True), ("$RES/r", False)])
def test_where_a_spec_that_does_not_load_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, noted: bool
) -> None:
    """In the home folder; no folder is made whose name is a variable's or ~."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    spec = write_yaml(tmp_path / "s.yaml", {"results_dir": folder, "evaluate": {"no_such_key": 1}})
    assert run_here("classification_pyt", "evaluate", "-e", spec).code == 2
    status = tmp_path / "home/r/trt_evaluate/status.json"
    assert status.is_file() == noted
    if noted:
        assert status_lines(status.parent)[-1]["status"] == "FAILURE"
    assert sorted(item.name for item in tmp_path.iterdir()) == (["home", "s.yaml"] if noted else ["s.yaml"])
