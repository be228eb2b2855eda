"""What an image says of itself, and the list of what is in it: from the Dockerfile and the lock, without a builder."""

import json
import re
import subprocess
import sys
from importlib import metadata

from tests.conftest import ROOT

DOCKERFILE = (ROOT / "deploy" / "images" / "Dockerfile").read_text()
OCI = "org.opencontainers.image."


def test_the_image_has_labels_is_nobodys_root_and_its_base_can_be_pinned() -> None:
    (labels,) = re.findall(r"^LABEL ((?:.*\\\n)*.*)", DOCKERFILE, re.MULTILINE)
    named = dict(re.findall(r'(\S+)="([^"]*)"', labels))
    assert {name.removeprefix(OCI) for name in named if name.startswith(OCI)} == {
        "title",
        "description",
        "licenses",
        "version",
        "revision",
        "base.name",
    }
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    given = set(re.findall(r"\$\{(\w+)\}", " ".join(named.values())))
    assert given == {"VERSION", "REVISION", "PYTHON_IMAGE", "VARIANT"}
    assert given == set(re.findall(r"^ARG (\w+)", last, re.MULTILINE)), "a stage sees only what it asks for"
    assert given <= set(re.findall(r"--build-arg (\w+)", (ROOT / "Makefile").read_text()))
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}", "scratch"}


def test_the_list_of_packages_is_what_the_image_is_built_of() -> None:
    said = json.loads(subprocess.check_output([sys.executable, ROOT / "scripts" / "sbom"], text=True))
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    assert said["metadata"]["component"]["version"] == metadata.version("omma")
    components = {one["name"]: one for one in said["components"]}
    assert len(components) == len(said["components"]), "a package has one version"
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "locks" / "cluster.txt").read_text(), re.MULTILINE))
    assert locked - components.keys() == {"colorama", "httpx2-jsfetch"}, "of Windows and of browsers"
    assert components.keys() <= locked
    for name in ("faiss-cpu", "onnxruntime", "grpcio", "numpy"):
        one = components[name]
        assert one["purl"] == f"pkg:pypi/{name}@{one['version']}"
        assert re.fullmatch("[0-9a-f]{64}", one["externalReferences"][0]["hashes"][0]["content"])


def test_what_goes_on_top_for_gpus_is_what_is_tested_but_for_faiss() -> None:
    locks = [
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "locks" / name).read_text(), re.MULTILINE))
        for name in ("cluster.txt", "gpu.txt")
    ]
    tested, gpu = locks
    shared = tested.keys() & gpu.keys()
    assert {name: tested[name] for name in shared} == {name: gpu[name] for name in shared}
    assert "faiss-gpu-cu12" in gpu and "faiss-cpu" not in gpu
