# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Reading ~/.tao_mounts.json: the known keys, and messages for everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tao_deploy.errors import LauncherError
from tao_deploy.mounts_file import read_mounts_file
from tao_deploy.values import Mount


def write(folder: Path, content: object) -> Path:
    path = folder / "mounts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_all_keys(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    settings = read_mounts_file(
        write(
            tmp_path,
            {
                "Mounts": [
                    {"source": str(tmp_path), "destination": "/workspace/all/"},
                    {"source": "data", "destination": "/data", "read_only": True},
                ],
                "Envs": [{"variable": "A", "value": "x=y"}, {"variable": "B", "value": 2}],
                "DockerOptions": {
                    "shm_size": "16G",
                    "ulimits": {"memlock": -1, "stack": 67108864, "nofile": {"soft": 1, "hard": 2}},
                    "user": "1000:1000",
                    "ports": {"8888": 8889, "53/udp": ["127.0.0.1", 5353]},
                    "network": "host",
                    "privileged": False,
                    "tty": False,
                },
            },
        )
    )
    assert settings.mounts == {
        "/workspace/all": Mount(tmp_path, "/workspace/all"),
        "/data": Mount(tmp_path / "data", "/data", ("ro",)),
    }
    assert settings.envs == {"A": "x=y", "B": "2"}
    assert settings.shm_size == "16G"
    assert settings.ulimits == {"memlock": "-1", "stack": "67108864", "nofile": "1:2"}
    assert (settings.user, settings.network) == ("1000:1000", "host")
    assert settings.ports == {"8888/tcp": "8889:8888", "53/udp": "127.0.0.1:5353:53/udp"}
    assert (settings.privileged, settings.tty) == (False, False)


def test_empty_object_says_nothing(tmp_path: Path) -> None:
    settings = read_mounts_file(write(tmp_path, {}))
    assert not settings.mounts and not settings.envs and settings.shm_size is None


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "mounts.json"
    path.write_bytes(b'\xef\xbb\xbf{"Envs": [{"variable": "A", "value": "1"}]}\r\n')
    assert read_mounts_file(path).envs == {"A": "1"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"Mounts": [}', r"is not JSON: .* \(line 1, column 13\)"),
        ('{"Envs": [],\n "Envs": []}', "the key 'Envs' appears twice"),
        ("[]", "expected an object"),
        ({"Mount": []}, r"unknown key 'Mount' \(did you mean 'Mounts'\?\)"),
        ({"mounts": []}, r"did you mean 'Mounts'\?"),
        ({"Something": 1}, "unknown key 'Something'"),
        ({"Mounts": {}}, "Mounts: expected a list, found {}"),
        ({"Mounts": ["/data"]}, r"Mounts\[0\]: expected .*source.*, found \"/data\""),
        ({"Mounts": [{"source": "."}]}, r"Mounts\[0\]: 'destination' is missing"),
        ({"Mounts": [{"source": ".", "destination": "/x", "target": "/y"}]}, r"Mounts\[0\]: unknown key 'target'"),
        ({"Mounts": [{"source": "gone", "destination": "/x"}]}, r"Mounts\[0\].source: no such .*/gone"),
        ({"Mounts": [{"source": ".", "destination": "x"}]}, "container path 'x' is not absolute"),
        ({"Mounts": [{"source": 3, "destination": "/x"}]}, r"Mounts\[0\].source: expected a path, found 3"),
        ({"Envs": [{"variable": "A"}]}, r"Envs\[0\]: 'value' is missing"),
        ({"Envs": [{"variable": "A B", "value": ""}]}, "'A B' is not a variable's name"),
        ({"Envs": [{"variable": "A", "value": None}]}, r"Envs\[0\].value: expected a string or a number, found null"),
        ({"Envs": [{"variable": "A", "value": True}]}, "found true"),
        ({"DockerOptions": {"shm": "1g"}}, r"DockerOptions: unknown key 'shm' \(did you mean 'shm_size'\?\)"),
        ({"DockerOptions": {"shm_size": "big"}}, "DockerOptions.shm_size: 'big' is not a size"),
        ({"DockerOptions": {"ulimits": ["nofile"]}}, "DockerOptions.ulimits: expected an object"),
        ({"DockerOptions": {"ulimits": {"nofile": "x"}}}, "'nofile=x' is not a limit"),
        ({"DockerOptions": {"ports": {"8888": "x"}}}, "DockerOptions.ports: 'x:8888' is not a pair of ports"),
        ({"DockerOptions": {"ports": {"8888": [1]}}}, "DockerOptions.ports: expected a port or"),
        ({"DockerOptions": {"user": ""}}, "DockerOptions.user: is empty"),
        ({"DockerOptions": {"tty": "no"}}, "DockerOptions.tty: expected true or false"),
    ],
)
def test_wrong_content_is_named(tmp_path: Path, content: object, expected: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(LauncherError, match=expected) as caught:
        read_mounts_file(path)
    assert str(path) in caught.value.message


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match=r"mounts file not found: .*/nowhere\.json"):
        read_mounts_file(tmp_path / "nowhere.json")


def test_binary_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LauncherError, match="cannot read the mounts file"):
        read_mounts_file(tmp_path / "file")
