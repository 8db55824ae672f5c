# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Status lines to TAO's service over HTTP, as its jobs are followed when CLOUD_BASED is True.

Each line of status.json is posted to `$TAO_LOGGING_SERVER_URL:status_update`, in order, from a thread of its own: a
server that is slow, wrong or away costs a warning, never the run.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time

logger = logging.getLogger(__name__)

SERVER, KEY, EXPERIMENT = "TAO_LOGGING_SERVER_URL", "TAO_ADMIN_KEY", "AUTOML_EXPERIMENT_NUMBER"
TRIES = 3
PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0
CLOSING_SECONDS = 30.0
"""How long the end of a task waits for lines that are still to be delivered."""


def in_cloud() -> bool:
    """Whether TAO's service runs this job."""
    return os.environ.get("CLOUD_BASED") == "True"


def from_environment() -> StatusCallback | None:
    """The callback that the environment asks for; None without one, and where DEBUG_ENABLED turns it off."""
    if not in_cloud() or os.environ.get("DEBUG_ENABLED") == "true":
        return None
    server = os.environ.get(SERVER, "").strip()
    if not server.startswith(("http://", "https://")):
        found = f"is '{server}'; expected http://... or https://..." if server else "is not set"
        logger.warning("CLOUD_BASED is True, but %s %s: no status is posted", SERVER, found)
        return None
    return StatusCallback(server, os.environ.get(KEY, ""), os.environ.get(EXPERIMENT) or "0")


class StatusCallback:
    """Posts status lines in order from a thread.

    Args:
        server: URL of the job, without `:status_update`.
        key: bearer token; "" sends none.
        experiment: number of the AutoML experiment.
        pause, timeout: seconds between tries, and for one try.
    """

    def __init__(
        self, server: str, key: str, experiment: str, pause: float = PAUSE_SECONDS, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self.url = f"{server}:status_update"
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._experiment, self._pause, self._timeout = experiment, pause, timeout
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="status callback", daemon=True)
        self._thread.start()

    def post(self, text: str) -> None:
        """Take a status line (its json text); returns at once."""
        self._lines.put(text)

    def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """Wait for what is still to be delivered, but no longer than this."""
        self._lines.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            logger.warning("%s: no answer; the last status lines are not delivered", self.url)
        elif self._lost > 1:
            logger.warning("%s: %d status lines were not delivered", self.url, self._lost)

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            # once a line is lost the server is given up on: later ones get one try, so that the end need not wait
            problem = self._deliver(text, 1 if self._lost else TRIES)
            if problem and not self._lost:
                logger.warning("%s: status not delivered: %s; status.json has it", self.url, problem)
            self._lost += bool(problem)

    def _deliver(self, text: str, tries: int) -> str:
        """What went wrong; "" when the server has the line."""
        body = json.dumps({"experiment_number": self._experiment, "status": text}).encode()
        problem = ""
        for attempt in range(tries):
            if attempt:
                time.sleep(self._pause)
            problem, again = self._send(body)
            if not problem or not again:
                break
        return problem

    def _send(self, body: bytes) -> tuple[str, bool]:
        """(what went wrong, whether another try may help)."""
        import http.client
        import urllib.error
        import urllib.request

        class NoRedirect(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                """A redirect would turn the request into a GET and carry the key to another host."""

        request = urllib.request.Request(self.url, body, self._headers, method="POST")
        try:
            with urllib.request.build_opener(NoRedirect).open(request, timeout=self._timeout):
                return "", False
        except urllib.error.HTTPError as error:
            error.close()
            return f"HTTP {error.code} {error.reason}", error.code >= 500 or error.code == 429
        except urllib.error.URLError as error:
            return str(error.reason), True
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__, True
        except ValueError as error:  # a URL or a key that no request can carry
            return f"{type(error).__name__} in {SERVER} or {KEY}", False
