"""`omma ingest --watch`: a picture that comes is found, one that goes is not, Ctrl-C ends it."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.process import OMMA, Folder
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(300)


def test_what_comes_and_goes_is_taken_over_until_ctrl_c(tmp_path: Path) -> None:
    folder, pictures = Folder(tmp_path / "data"), tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (pictures / name).write_bytes(encoded(scene(64, 48, seed=ord(name[0]))))
    for name in ("IMG_1.MOV", "IMG_1.CR3", "IMG_1.AAE"):
        (pictures / name).write_bytes(b"of a camera")
    with (
        folder.up() as server,
        server.client() as rest,
        subprocess.Popen(
            # Ctrl-C is ignored by what a shell has in its background, and by what that starts: not by this.
            ["env", "--default-signal=INT", *OMMA, "ingest", str(pictures), "--watch", "--json"],
            env=folder.environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as watching,
    ):
        try:
            first = read_document(watching)
            assert (first["created"], first["skipped"]) == (2, 3)
            assert first["result"]["skipped"] == {".aae": 1, ".cr3": 1, ".mov": 1}
            (pictures / "c.jpg").write_bytes(encoded(scene(64, 48, seed=9)))
            assert read_document(watching)["created"] == 1
            (pictures / "a.jpg").unlink()
            assert read_document(watching)["vanished"] == 1
            assert rest.get("/images").json()["count"] == 2
            watching.send_signal(signal.SIGINT)
            assert watching.wait(60) == 130
        finally:
            watching.kill()


def read_document(process: "subprocess.Popen[str]") -> dict[str, int]:
    """The next one that was printed, over as many lines as it has."""
    text = ""
    while True:
        line = process.stdout.readline()
        assert line, "it ended"
        text += line
        try:
            return json.loads(text)
        except ValueError:
            continue
