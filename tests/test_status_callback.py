# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Status lines over HTTP, against a server in this process: what arrives, and what a bad server costs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nvidia_tao_deploy.errors import DataError
from nvidia_tao_deploy.status import Status
from nvidia_tao_deploy.status_callback import StatusCallback
from tests.conftest import ColourJob
from tests.makers import run_command, status_lines


@dataclass
class Received:
    """Requests in order; `codes` are the answers, the last one again and again; `delay` before each."""

    codes: list[int] = field(default_factory=lambda: [200])
    delay: float = 0.0
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    @property
    def statuses(self) -> list[str]:
        return [json.loads(body["status"])["status"] for _, _, body in self.requests]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    received = Received()
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(received.delay)
            received.requests.append((self.path, dict(self.headers), body))
            code = received.codes.pop(0) if len(received.codes) > 1 else received.codes[0]
            self.send_response(code)
            if code == 302:
                self.send_header("Location", f"{received.url}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            received.requests.append((self.path, dict(self.headers), {"status": '{"status": "redirected"}'}))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.url = f"http://127.0.0.1:{server.server_port}/api/v1/jobs/7"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield received
    server.shutdown()
    server.server_close()


@pytest.fixture
def cloud(service: Received, monkeypatch: pytest.MonkeyPatch) -> Received:
    monkeypatch.setenv("CLOUD_BASED", "True")
    monkeypatch.setenv("TAO_LOGGING_SERVER_URL", service.url)
    monkeypatch.setenv("TAO_ADMIN_KEY", "secret")
    monkeypatch.delenv("DEBUG_ENABLED", raising=False)
    monkeypatch.delenv("AUTOML_EXPERIMENT_NUMBER", raising=False)
    return service


def test_what_is_posted(cloud: Received, tmp_path: Path) -> None:
    with Status(tmp_path, "dino", "trt_evaluate") as status:
        status.kpi({"AP": 0.5})
    assert cloud.statuses == ["STARTED", "RUNNING", "RUNNING", "SUCCESS"]
    assert [json.loads(body["status"]) for _, _, body in cloud.requests] == status_lines(tmp_path)
    assert "uploaded to the cloud" in status_lines(tmp_path)[2]["message"]
    for path, headers, body in cloud.requests:
        assert path == "/api/v1/jobs/7:status_update"
        assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer secret", "application/json")
        assert set(body) == {"experiment_number", "status"} and body["experiment_number"] == "0"


def test_number_of_the_experiment_and_no_key(cloud: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOML_EXPERIMENT_NUMBER", "12")
    monkeypatch.delenv("TAO_ADMIN_KEY")
    with pytest.raises(DataError), Status(tmp_path, "dino", "trt_evaluate"):
        raise DataError("no pictures")
    assert cloud.statuses == ["STARTED", "FAILURE"]
    assert all(body["experiment_number"] == "12" for _, _, body in cloud.requests)
    assert not any("Authorization" in headers for _, headers, _ in cloud.requests)


@pytest.mark.parametrize(("name", "value"), [("CLOUD_BASED", "true"), ("CLOUD_BASED", ""), ("DEBUG_ENABLED", "true")])
def test_when_nothing_is_posted(
    cloud: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with Status(tmp_path, "dino", "trt_evaluate"):
        pass
    assert cloud.requests == [] and status_lines(tmp_path)[-1]["status"] == "SUCCESS"


@pytest.mark.parametrize("server", ["", "jobs/7", "file:///etc/passwd"])
def test_a_server_that_is_none(
    cloud: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, server: str
) -> None:
    monkeypatch.setenv("TAO_LOGGING_SERVER_URL", server)
    with Status(tmp_path, "dino", "trt_evaluate"):
        pass
    assert status_lines(tmp_path)[-1]["status"] == "SUCCESS"
    assert "TAO_LOGGING_SERVER_URL" in caplog.text and "no status is posted" in caplog.text


def quick(server: str, timeout: float = 5.0) -> StatusCallback:
    return StatusCallback(server, "secret", "0", pause=0.01, timeout=timeout)


@pytest.mark.parametrize(
    ("codes", "requests"), [([503, 500, 200], 4), ([404, 200], 2), ([401, 200], 2), ([302, 200], 2), ([429, 200], 3)]
)
def test_failures_of_the_server_are_tried_again_refusals_are_not(
    service: Received, caplog: pytest.LogCaptureFixture, codes: list[int], requests: int
) -> None:
    service.codes = list(codes)
    callback = quick(service.url)
    callback.post('{"status": "one"}')
    callback.post('{"status": "two"}')
    callback.close()
    assert len(service.requests) == requests and service.statuses[-1] == "two"
    assert "redirected" not in service.statuses
    assert ("not delivered: HTTP" in caplog.text) == (codes[0] in (404, 401, 302))
    assert "secret" not in caplog.text


def test_nobody_answers(caplog: pytest.LogCaptureFixture) -> None:
    callback = quick("http://127.0.0.1:9/jobs/7")  # the discard port: nothing listens
    for number in range(4):
        callback.post(f'{{"status": "{number}"}}')
    callback.close()
    assert caplog.text.count("status not delivered:") == 1
    assert "4 status lines were not delivered" in caplog.text


def test_a_server_that_hangs_does_not_hold_up_the_end(service: Received, caplog: pytest.LogCaptureFixture) -> None:
    service.delay = 2.0
    callback = quick(service.url, timeout=60)
    start = time.monotonic()
    callback.post('{"status": "one"}')
    assert time.monotonic() - start < 0.5
    callback.close(0.2)
    assert time.monotonic() - start < 1.5
    assert "the last status lines are not delivered" in caplog.text


def test_a_key_that_no_header_can_carry(service: Received, caplog: pytest.LogCaptureFixture) -> None:
    callback = StatusCallback(service.url, "sec\nret", "0", pause=0.01)
    callback.post('{"status": "one"}')
    callback.close()
    assert "ValueError in TAO_LOGGING_SERVER_URL or TAO_ADMIN_KEY" in caplog.text
    assert "nret" not in caplog.text
    assert service.requests == []


@pytest.mark.parametrize("alive", [True, False])
def test_a_command(colours: ColourJob, service: Received, alive: bool) -> None:
    server = service.url if alive else "http://127.0.0.1:9/jobs/7"
    env = {"CLOUD_BASED": "True", "TAO_LOGGING_SERVER_URL": server, "TAO_ADMIN_KEY": "secret"}
    ran = run_command("classification_pyt", "evaluate", "-e", colours.spec, "evaluate.trt_engine=nowhere", env=env)
    assert ran.code == 5
    assert service.statuses == (["STARTED", "FAILURE"] if alive else [])
    assert ("status not delivered" in ran.text) != alive
    assert "secret" not in ran.text
