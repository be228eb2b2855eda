"""`omma eval` on drawn pictures with tiny models: what it prints, writes and refuses."""

import json
import re
from pathlib import Path

import onnx_graphs
import pytest
from pictures import encoded
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from typer.testing import CliRunner

from omma.evaluation import held_out
from services.egs.manifest import ImageTower, Manifest, Preprocessing, TextTower
from services.egs.registry import register, sha256_of_file
from services.standalone.cli import command_line

COLOURS = {"red": (200, 40, 30), "green": (30, 180, 60), "blue": (40, 60, 200)}


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models, each a random matrix."""
    monkeypatch.setenv("OMMA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("OMMA_EGS__MODELS_DIR", str(tmp_path / "models"))
    for name, seed in (("first", 1), ("second", 2)):
        (tmp_path / f"{name}.onnx").write_bytes(onnx_graphs.image_tower(8, 6, seed))
        file = tmp_path / f"{name}.onnx"
        manifest = Manifest(
            name=name,
            version="1.0.0",
            dim=6,
            image=ImageTower(file=file.name, input="pixels", output="vector"),
            preprocessing=Preprocessing(size=8, mean=(128, 128, 128), std=(64, 64, 64)),
            files={file.name: sha256_of_file(file)},
        )
        register(tmp_path / "models", manifest, {file.name: file})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five pictures each of three colours, by subfolder, and a file that is no picture whatever its name."""
    for label, (red, green, blue) in COLOURS.items():
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(5):
            picture = Image.new("RGB", (20 + number, 16), (red - 5 * number, green, blue + 9 * number))
            (tmp_path / "pictures" / label / f"{label}{number}.png").write_bytes(encoded(picture, "PNG"))
    (tmp_path / "pictures" / "red" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path / "pictures"


def omma_eval(*said: object):
    return CliRunner().invoke(command_line(), ["eval", *map(str, said)])


def test_a_model_as_json(folder: Path) -> None:
    done = omma_eval(folder, "--model", "first", "-k", 3, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["pictures"], said["queries"], said["unreadable"]) == (15, 15, ["red/torn.png"])
    assert said["judgments"] == "names of subfolders"
    (model,) = said["models"]
    assert model["model"] == "first@1.0.0"
    assert model["measures"]["nDCG@3"] == {"mean": 1, "low": 1, "high": 1, "queries": 15}  # colours are easy
    assert "comparison" not in said


def test_two_models_are_compared_and_the_report_is_one_file(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = omma_eval(folder, "--model", "second", "--against", "first", "--html", page, "--json")
    comparison = json.loads(done.stdout)["comparison"]
    assert (comparison["first"], comparison["second"]) == ("first@1.0.0", "second@1.0.0")
    assert comparison["verdict"].startswith("No difference between first@1.0.0 and second@1.0.0 can be shown")
    html = page.read_text()
    assert comparison["verdict"].split(":")[0] in html
    assert html.count("<svg") >= 4
    assert "data:image/webp;base64," in html
    assert not re.search(r"(src|href)=\"(?!data:)|<script|@import|url\(", html), "it must need nothing from elsewhere"


def test_the_table_for_people(folder: Path) -> None:
    done = omma_eval(folder, "--model", "first", "--against", "second")
    assert done.exit_code == 0, done.output
    assert "nDCG@10" in done.stdout
    assert "1 pictures could not be read" in done.stdout
    assert "No difference" in done.stdout


def test_only_what_training_leaves_out(folder: Path) -> None:
    done = omma_eval(folder, "--model", "first", "--held-out", 0.6, "--json")
    said = json.loads(done.stdout)
    kept = [path for path in folder.rglob("*.png") if held_out(path.name, 0.6) and path.stem != "torn"]
    assert said["pictures"] == len(kept) < 15
    assert said["held_out"] == 0.6


def test_judgments_from_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_text("red0\tred/red1.png\t5\nblue0.png\tblue1\t3\n")
    done = omma_eval(folder, "--model", "first", "--judgments", tmp_path / "g.tsv", "--json")
    said = json.loads(done.stdout)
    assert (said["queries"], said["pictures"], said["judgments"]) == (2, 15, "grades in g.tsv")


@pytest.mark.parametrize(
    ("field", "exit_code", "said"),
    [
        ("DIR", 3, ["/no/such/folder"]),
        ("DIR", 2, ["EMPTY"]),
        ("judgments", 3, ["PICTURES", "--judgments", "/no/such.tsv"]),
        ("grade", 2, ["PICTURES", "--judgments", "BAD"]),
        ("text", 4, ["PICTURES", "--judgments", "WORDS"]),
        ("held-out", 2, ["PICTURES", "--held-out", "0.0000001"]),
        ("share", 2, ["PICTURES", "--held-out", "1.5"]),
        ("prompt", 2, ["PICTURES", "--prompt", "a photo"]),
        ("OMMA_MODEL", 3, ["PICTURES", "--model", "third"]),
        ("OMMA_MODEL", 3, ["PICTURES", "--against", "third"]),
    ],
)
def test_what_is_wrong_is_named(folder: Path, tmp_path: Path, field: str, exit_code: int, said: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.tsv").write_text("red0\tred1\t9\n")
    (tmp_path / "words.tsv").write_text("text:a red thing\tred1\t5\n")
    places = {"EMPTY": "empty", "BAD": "bad.tsv", "WORDS": "words.tsv", "PICTURES": "pictures"}
    arguments = [str(tmp_path / places[one]) if one in places else one for one in said]
    done = omma_eval(*arguments, *([] if "--model" in said else ["--model", "first"]))
    assert f"({field})" in done.stderr
    assert done.exit_code == exit_code


def test_a_report_that_cannot_be_written_is_said_before_the_work(folder: Path) -> None:
    done = omma_eval(folder, "--model", "first", "--html", "/no/such/folder/report.html")
    assert done.exit_code == 2
    assert "(html)" in done.stderr


def test_words_are_measured_when_the_model_has_them(folder: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("image.onnx", "text.onnx", "tokenizer.json")}
    files["image.onnx"].write_bytes(onnx_graphs.image_tower(8, 6))
    files["text.onnx"].write_bytes(onnx_graphs.text_tower(5, 6))
    tokenizer = Tokenizer(WordLevel({"[pad]": 0, "[unk]": 1, "red": 2, "green": 3, "blue": 4}, unk_token="[unk]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(files["tokenizer.json"]))
    manifest = Manifest(
        name="words",
        version="1.0.0",
        dim=6,
        image=ImageTower(file="image.onnx", input="pixels", output="vector"),
        text=TextTower(file="text.onnx", tokenizer="tokenizer.json", input="tokens", output="vector", max_tokens=4),
        preprocessing=Preprocessing(size=8, mean=(128, 128, 128), std=(64, 64, 64)),
        files={name: sha256_of_file(path) for name, path in files.items()},
    )
    register(tmp_path / "models", manifest, files)
    made = json.loads(omma_eval(folder, "--model", "words", "--json").stdout)["models"][0]["measures"]
    assert made["zero-shot accuracy"]["queries"] == 15
    assert made["words: precision@10"]["queries"] == 3
    both = json.loads(omma_eval(folder, "--model", "words", "--against", "first", "--json").stdout)
    assert "zero-shot accuracy" not in both["comparison"]["differences"]  # the other model knows no words
    (tmp_path / "g.jsonl").write_text('{"text": "red", "picture": "red/red1.png", "grade": 5}')
    asked = omma_eval(folder, "--model", "words", "--judgments", tmp_path / "g.jsonl", "--json", "--prompt", "a {}")
    assert json.loads(asked.stdout)["queries"] == 1
