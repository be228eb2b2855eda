"""`omma export`: files that NumPy and FAISS read, and that say where they come from."""

import json
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.e2e.process import Folder
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(300)
PICTURES = 300


def test_what_is_exported_is_found_by_faiss_as_by_omma(tmp_path: Path) -> None:
    folder, pictures, out = Folder(tmp_path / "data"), tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    for number in range(PICTURES):  # more than a page
        (pictures / f"{number:03}.jpg").write_bytes(encoded(scene(64, 48, seed=number)))
    (pictures / "captions.json").write_text(json.dumps({"007.jpg": {"tags": ["lamp"]}}))
    with folder.up() as server, server.client() as rest:
        assert folder.json("ingest", str(pictures))["created"] == PICTURES
        said = folder.json("export", str(out))
        assert said["pictures"] == PICTURES and said["model"] and said["checksum"]
        assert sorted(path.name for path in out.iterdir()) == ["embeddings.npy", "index.faiss", "metadata.jsonl"]

        vectors = np.load(out / "embeddings.npy")
        lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
        assert vectors.shape == (PICTURES, said["dim"]) and vectors.dtype == np.float32 and len(lines) == PICTURES
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        provenance = lines[0]["provenance"]
        assert (provenance["space"], provenance["checksum"]) == (said["space"], said["checksum"])
        assert provenance["exported_at"] == said["exported_at"]

        index = faiss.read_index(str(out / "index.faiss"))
        row = next(at for at, line in enumerate(lines) if line["tags"] == ["lamp"])
        scores, ids = index.search(vectors[row : row + 1], 5)
        asked = {"vector": vectors[row].tolist(), "space": said["space"], "k": 5, "near_duplicates": "keep"}
        hits = rest.post("/search", json={**asked, "exact": True, "timeout_ms": 20_000}).json()["results"]
        assert ids[0][0] == hits[0]["id"] == lines[row]["id"]
        np.testing.assert_allclose(scores[0], [hit["score"] for hit in hits], atol=2e-3)

        for script, made in (("export_embeds.py", tmp_path / "again"), ("build_index.py", tmp_path / "one.faiss")):
            command = [sys.executable, ROOT / "scripts" / script, made]
            subprocess.run(command, env=folder.environment(), check=True, capture_output=True)
        assert (tmp_path / "again" / "metadata.jsonl").exists()
        assert faiss.read_index(str(tmp_path / "one.faiss")).ntotal == PICTURES

        some = folder.json("export", str(out), "--filter", '{"tags": "lamp"}')
        assert some["pictures"] == 1 and np.load(out / "embeddings.npy").shape[0] == 1
        none = folder.run("export", str(out), "--filter", '{"tags": "nothing"}')
        assert none.returncode == 3 and np.load(out / "embeddings.npy").shape[0] == 1, "what was there stays"
