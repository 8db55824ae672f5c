# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Order, completeness and bounded memory of the pipeline, on an engine in memory that uses its buffers again."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvidia_tao_deploy.engine.contract import DYNAMIC, TensorInfo
from nvidia_tao_deploy.engine.feeds import check_feeds
from nvidia_tao_deploy.errors import DataError, EngineError
from nvidia_tao_deploy.network import Frame, Sample
from nvidia_tao_deploy.pipeline.run import READ_AHEAD, Pipeline, fitting_batch_size
from nvidia_tao_deploy.signature import Binding
from nvidia_tao_deploy.transforms.geometry import Geometry

WIDTH = 3


class FakeEngine:
    """y = 2 x + 1 on its own thread. As the contract allows, the arrays of a result are overwritten once `depth` more
    batches are submitted, and feeds are read late."""

    def __init__(self, batch: int = DYNAMIC, least: int = 1, most: int | None = None, depth: int = 2, delay: float = 0):
        minimum, maximum = ((least, WIDTH), (most, WIDTH)) if most else (None, None)
        self.inputs = (TensorInfo("x", "float32", (batch, WIDTH), minimum, minimum, maximum),)
        self.outputs = (TensorInfo("y", "float32", (batch, WIDTH)),)
        self.depth, self.submitted, self.rows = depth, 0, []  # type: ignore[var-annotated]
        self.allocated = 0
        self._least, self._most, self._delay = least, most, delay
        self._ring: list[np.ndarray] = [np.full((512, WIDTH), np.nan, np.float32) for _ in range(depth)]
        self._queue = ThreadPoolExecutor(1)

    def buffers(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        self.allocated += 1
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}

    def submit(self, feeds: Mapping[str, np.ndarray]) -> Future[Mapping[str, np.ndarray]]:
        check_feeds(self.inputs, feeds, "fake")
        count = len(feeds["x"])
        if count < self._least or (self._most and count > self._most):
            raise EngineError(f"{count} rows")
        out = self._ring[self.submitted % self.depth]
        self.submitted += 1
        self.rows.append(count)
        out[:] = np.nan  # this is where a result that is still in use would be lost
        return self._queue.submit(self._run, feeds["x"], out)

    def _run(self, x: np.ndarray, out: np.ndarray) -> Mapping[str, np.ndarray]:
        time.sleep(self._delay)
        out[: len(x)] = 2 * x + 1
        return {"y": out[: len(x)]}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: value.copy() for name, value in self.submit(feeds).result().items()}

    def close(self) -> None:
        self._queue.shutdown(cancel_futures=True)

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def binding(self) -> Binding:
        return Binding({"x": self.inputs[0]}, {"y": self.outputs[0]})


class Numbers:
    """Sample 'i' becomes a row of i; those in `broken` cannot be read."""

    def __init__(self, broken: set[int] | None = None, delays: Sequence[float] = (), single: bool = False) -> None:
        self.broken, self.delays, self._single = broken or set(), delays, single
        self.started = 0
        self.lock = threading.Lock()

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        return None if self._single else {"x": (WIDTH,)}

    def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
        with self.lock:
            self.started += 1
        index = int(sample.name)
        if self.delays:
            time.sleep(self.delays[index % len(self.delays)])
        if index in self.broken:
            raise DataError(f"{sample.name} is broken")
        rows["x"][:] = index
        return Frame(sample, (1, 1), Geometry())

    def single(self, sample: Sample) -> tuple[dict[str, np.ndarray], Frame]:
        batch = np.empty((1, WIDTH), np.float32)
        return {"x": batch}, self(sample, {"x": batch[0]})


def decode(outputs: Mapping[str, np.ndarray], frames: Sequence[Frame]) -> list[float]:
    assert len(outputs["y"]) == len(frames)
    return [float(row[0]) for row in outputs["y"]]


def samples(count: int) -> list[Sample]:
    return [Sample(str(index), Path(str(index))) for index in range(count)]


def run(engine: FakeEngine, prepare: Numbers, count: int, batch: int, workers: int = 2) -> tuple[list[Any], list[str]]:
    with engine, Pipeline(engine, engine.binding, prepare, decode, batch, workers) as pipeline:
        done = [(frame.sample.name, value) for part in pipeline.run(samples(count)) for frame, value in part]
        return done, [failure.sample.name for failure in pipeline.failures]


@settings(deadline=None, max_examples=120)
@given(data=st.data(), count=st.integers(0, 45), depth=st.integers(2, 4), workers=st.integers(1, 4))
@pytest.mark.parametrize("kind", ["dynamic", "static", "profile", "single", "single on static"])
def test_every_sample_once_and_in_order(data: st.DataObject, kind: str, count: int, depth: int, workers: int) -> None:
    broken = set(data.draw(st.lists(st.integers(0, max(count - 1, 0)), max_size=count))) if count else set()
    batch = data.draw(st.integers(1, 9))
    delays = data.draw(st.lists(st.sampled_from([0.0, 0.0005]), max_size=5))
    engine = {
        "dynamic": lambda: FakeEngine(depth=depth),
        "static": lambda: FakeEngine(batch=batch, depth=depth),
        "profile": lambda: FakeEngine(least=min(batch, 3), most=batch, depth=depth),
        "single": lambda: FakeEngine(depth=depth),
        "single on static": lambda: FakeEngine(batch=batch, depth=depth),
    }[kind]()
    prepare = Numbers(broken, delays, single=kind.startswith("single"))
    done, failed = run(engine, prepare, count, batch, workers)
    assert done == [(str(index), 2.0 * index + 1) for index in range(count) if index not in broken]
    assert failed == [str(index) for index in range(count) if index in broken]
    assert engine.allocated <= depth + READ_AHEAD  # whatever the number of samples


def test_memory_is_bounded_by_what_is_read_ahead() -> None:
    """A consumer that stops consuming stops the reading."""
    engine, prepare = FakeEngine(), Numbers()
    with engine, Pipeline(engine, engine.binding, prepare, decode, 4, 2) as pipeline:
        results = pipeline.run(samples(10_000))
        next(results)
        time.sleep(0.1)
        assert prepare.started <= 4 * (engine.depth + READ_AHEAD + 1)
        results.close()


def test_the_engine_is_kept_busy_while_samples_are_read() -> None:
    """Reading takes as long as computing; both together must take little longer than one of them."""
    engine, prepare = FakeEngine(delay=0.02), Numbers(delays=[0.005])
    start = time.monotonic()
    run(engine, prepare, 4 * 30, 4, workers=1)
    assert time.monotonic() - start < 1.5 * 30 * 0.02  # 0.6 s of each; one after the other would be 1.2 s


def test_a_last_batch_is_not_padded_where_it_need_not_be() -> None:
    engine = FakeEngine()
    run(engine, Numbers(), 10, 4)
    assert engine.rows == [4, 4, 2]
    engine = FakeEngine(least=3, most=4)
    run(engine, Numbers(), 9, 4)
    assert engine.rows == [4, 4, 3]


def test_a_batch_of_failures_does_not_reach_the_engine() -> None:
    engine = FakeEngine()
    done, failed = run(engine, Numbers(broken=set(range(4, 8))), 12, 4)
    assert engine.rows == [4, 4] and len(done) == 8 and len(failed) == 4


@pytest.mark.parametrize("single", [False, True])
def test_a_sample_with_a_fault_is_not_read(single: bool) -> None:
    engine, prepare = FakeEngine(), Numbers(single=single)
    known = [Sample("0", Path("0")), Sample("1", Path("1"), fault="no label"), Sample("2", Path("2"))]
    with engine, Pipeline(engine, engine.binding, prepare, decode, 4, 2) as pipeline:
        done = [frame.sample.name for part in pipeline.run(known) for frame, _ in part]
        assert done == ["0", "2"] and prepare.started == 2
        assert [(failure.sample.name, failure.message) for failure in pipeline.failures] == [("1", "no label")]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyError("k"), MemoryError()])
def test_other_errors_stop_the_run_and_leave_no_thread(error: BaseException) -> None:
    before = threading.active_count()

    class Broken(Numbers):
        def __call__(self, sample: Sample, rows: Mapping[str, np.ndarray]) -> Frame:
            if sample.name == "7":
                raise error
            return super().__call__(sample, rows)

    with pytest.raises(type(error)):
        run(FakeEngine(), Broken(), 5000, 4)
    assert threading.active_count() == before


def test_samples_of_their_own_size_for_an_engine_that_takes_half_floats() -> None:
    engine = FakeEngine()
    engine.inputs = (TensorInfo("x", "float16", (DYNAMIC, WIDTH)),)
    with Pipeline(engine, engine.binding, Numbers(single=True), decode, 1, workers=1) as pipeline:
        found = [prediction for batch in pipeline.run(samples(3)) for _, prediction in batch]
    assert found == [1, 3, 5]


def test_an_error_of_the_engine_or_the_decoder_stops_the_run() -> None:
    class Failing(FakeEngine):
        def _run(self, x: np.ndarray, out: np.ndarray) -> Mapping[str, np.ndarray]:
            raise EngineError("out of memory")

    with pytest.raises(EngineError, match="out of memory"):
        run(Failing(), Numbers(), 50, 4)


def test_not_a_number_is_refused_with_the_picture() -> None:
    class NotANumber(FakeEngine):
        def _run(self, x: np.ndarray, out: np.ndarray) -> Mapping[str, np.ndarray]:
            result = super()._run(x, out)
            result["y"][np.isin(x[:, 0], [6, 9]), 1] = np.nan
            return result

    with pytest.raises(EngineError, match=r"output 'y' is not a number \(NaN\) for 6\.") as caught:
        run(NotANumber(), Numbers(), 50, 4)
    assert "FP32" in str(caught.value.hint)
    # rows of pictures that could not be read may hold anything
    done, _ = run(NotANumber(), Numbers(broken={6, 9}), 12, 4)
    assert len(done) == 10


@pytest.mark.parametrize(
    ("engine", "wanted", "size", "remark"),
    [
        (FakeEngine(), 8, 8, None),
        (FakeEngine(batch=4), 8, 4, "a fixed batch size of 4; 8 was asked for"),
        (FakeEngine(batch=4), 4, 4, None),
        (FakeEngine(least=1, most=4), 8, 4, "at most 4 pictures"),
        (FakeEngine(least=3, most=4), 2, 3, "at least 3 pictures"),
    ],
)
def test_fitting_batch_size(engine: FakeEngine, wanted: int, size: int, remark: str | None) -> None:
    found, said = fitting_batch_size(engine, wanted)
    assert found == size and ((said is None) if remark is None else (remark in str(said)))


def test_inputs_that_disagree_on_the_batch() -> None:
    engine = FakeEngine(batch=4)
    engine.inputs = (*engine.inputs, TensorInfo("z", "float32", (2, WIDTH)))
    with pytest.raises(EngineError, match=r"different batch sizes: \[2, 4\]"):
        fitting_batch_size(engine, 4)


def test_workers_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    from nvidia_tao_deploy.errors import SpecError
    from nvidia_tao_deploy.pipeline.reading import worker_count

    monkeypatch.setenv("TAO_DEPLOY_WORKERS", "3")
    assert worker_count() == 3
    for text in ("", "0"):
        monkeypatch.setenv("TAO_DEPLOY_WORKERS", text)
        assert worker_count() >= 1
    monkeypatch.setenv("TAO_DEPLOY_WORKERS", "many")
    with pytest.raises(SpecError, match="TAO_DEPLOY_WORKERS='many': expected a number"):
        worker_count()
