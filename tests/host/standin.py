# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Makes what the tests build on instead of NVIDIA's TensorRT container, and the packages that go into it:

python tests/host/standin.py REQUIREMENTS_FILE

* an image with a Debian root made by debootstrap, with Debian's Python and pip: `tao-deploy-test/standin:<key>`
* a folder with the wheels of REQUIREMENTS_FILE in the layout of a package index, fetched inside that image with the pip
  configuration of this machine

Both are kept in the user's cache folder and in the engine. Prints {"image": ..., "index": ...} as JSON.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-pip,python3-setuptools"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main(requirements: Path) -> dict[str, str]:
    """Make what is missing; one process at a time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "tao-deploy-tests"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        image = make_image(cache)
        return {"image": image, "index": str(make_index(cache, image, requirements))}


def key_of(*parts: str) -> str:
    """A short name for content."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def make_image(cache: Path) -> str:
    """The image; debootstrap's result is kept as an archive."""
    key = key_of(SUITE, PACKAGES)
    name = f"tao-deploy-test/standin:{key}"
    if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode == 0:
        return name
    archive = cache / f"root-{key}.tar"
    if not archive.exists():
        make_root(archive)
    subprocess.run(["docker", "import", "--change", 'CMD ["/bin/bash"]', archive, name], check=True, stdout=sys.stderr)
    return name


def make_root(archive: Path) -> None:
    """A Debian root as a tar archive, written whole or not at all."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        root, part = Path(work) / "root", Path(work) / "part.tar"
        bootstrap = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
        subprocess.run([*bootstrap, *mirror()], check=True, stdout=sys.stderr)
        shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
        # The certificates that this machine trusts: packages may come through a proxy of its own.
        if CERTIFICATES.exists():
            shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        subprocess.run(["tar", "--create", "--file", part, "--directory", root, "--one-file-system", "."], check=True)
        part.rename(archive)


def mirror() -> list[str]:
    """The mirror that this machine's apt uses for the suite; nothing for debootstrap's default."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages", f"Release: {SUITE}"],
        capture_output=True,
        text=True,
    )
    lines = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("http")]
    return lines[:1]


def make_index(cache: Path, image: str, requirements: Path) -> Path:
    """A folder `simple/<project>/<wheel>`, which any web server of files makes a package index."""
    index = cache / f"index-{key_of(image, requirements.read_text())}"
    if index.exists():
        return index
    with tempfile.TemporaryDirectory(dir=cache) as work:
        wheels, part = Path(work) / "wheels", Path(work) / "part"
        wheels.mkdir()
        fetch_wheels(image, requirements, wheels, Path(work))
        for wheel in sorted(wheels.glob("*.whl")):
            project = part / "simple" / re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
            project.mkdir(parents=True, exist_ok=True)
            shutil.move(wheel, project / wheel.name)
        part.chmod(0o755)
        part.rename(index)
    return index


def fetch_wheels(image: str, requirements: Path, wheels: Path, work: Path) -> None:
    """`pip wheel` in the image, as this machine's pip is configured: its options, and the local folders they name."""
    options, folders = pip_options()
    (work / "pip.conf").write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
    volumes = [f"{work / 'pip.conf'}:/etc/pip.conf:ro", f"{requirements}:/requirements.txt:ro", f"{wheels}:/wheels"]
    volumes += [f"{folder}:{folder}:ro" for folder in sorted(folders)]
    flags = [part for volume in volumes for part in ("--volume", volume)]
    wheel = ["python3", "-m", "pip", "wheel", "--quiet", "--wheel-dir=/wheels", "--requirement=/requirements.txt"]
    subprocess.run(["docker", "run", "--rm", "--network=host", *flags, image, *wheel], check=True, stdout=sys.stderr)


def pip_options() -> tuple[dict[str, str], set[Path]]:
    """pip's configuration on this machine, and the paths in it that exist here."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    options: dict[str, str] = {}
    paths: set[Path] = set()
    for name, value in re.findall(r"^(?:global|install|wheel|:env:)\.([\w-]+)=['\"](.*)['\"]$", listed, re.MULTILINE):
        options[name] = value.replace("\\n", "\n  ")
        words = (word.removeprefix("file://") for word in value.replace("\\n", " ").split())
        paths |= {Path(word) for word in words if word.startswith("/") and Path(word).exists()}
    # An index of local files is a folder inside one that holds its files.
    return options, {path.parent if path.name == "simple" else path for path in paths}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps(main(Path(sys.argv[1]).resolve())))
