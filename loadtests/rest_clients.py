"""Locust's clients of the REST face: photographs uploaded as queries, crops of them, stored pictures, words.

Run by loadtests.rest_load in the benches' venv. From the environment: OMMA_LOAD_PICTURES (a folder of query
photographs), OMMA_LOAD_IDS (stored pictures, comma-separated), OMMA_LOAD_RATE (searches a second of all clients),
OMMA_LOAD_CLIENTS, OMMA_LOAD_WORDS (1: the model knows words), OMMA_LOAD_WARM_UP (seconds not counted) and
OMMA_LOAD_TOLD (the file that gets every request's start, milliseconds, kind and fault).
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, task

BOUNDARY = "omma-load"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
WORDS = ("a red chair", "an elephant", "a motorbike", "a starfish", "a watch", "a piano", "a sunflower", "a face")
RATE, CLIENTS = float(os.environ["OMMA_LOAD_RATE"]), int(os.environ["OMMA_LOAD_CLIENTS"])
IDS = [int(one) for one in os.environ["OMMA_LOAD_IDS"].split(",")]
HAS_WORDS = os.environ["OMMA_LOAD_WORDS"] == "1"

told: list[tuple[float, float, str, str]] = []
started = time.time()


def _form(picture: bytes, fields: dict[str, str]) -> bytes:
    texts = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return f"{texts}{file}".encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()


PICTURES = [path.read_bytes() for path in sorted(Path(os.environ["OMMA_LOAD_PICTURES"]).iterdir())]
WHOLE = [_form(one, {}) for one in PICTURES]
CROPS = [_form(one, {"bbox": "0.2,0.2,0.8,0.8", "bbox_unit": "fraction"}) for one in PICTURES]


class Client(FastHttpUser):
    """One client at a steady mean pace, whatever the answers take: a slow answer makes it late, not less eager.

    Its turns vary by half a period either way: at Locust's own constant pace all clients ask at the same moment.
    """

    def on_start(self) -> None:
        self._due = time.time()

    def wait_time(self) -> float:
        """Seconds until its next turn."""
        self._due += random.uniform(0.5, 1.5) * CLIENTS / RATE
        return max(0.0, self._due - time.time())

    @task(6)
    def photograph(self) -> None:
        self._search("photograph", data=random.choice(WHOLE), headers=MULTIPART)

    @task(1)
    def crop(self) -> None:
        self._search("crop", data=random.choice(CROPS), headers=MULTIPART)

    @task(2)
    def stored(self) -> None:
        self._search("stored picture", json={"image_id": random.choice(IDS)})

    @task(1)
    def words(self) -> None:
        if HAS_WORDS:
            self._search("words", json={"text": random.choice(WORDS)})
        else:
            self.stored()

    def _search(self, kind: str, **request: Any) -> None:
        begun = time.time()
        with self.client.post("/search", name=kind, catch_response=True, **request) as answer:
            took = (time.time() - begun) * 1e3
            fault = (
                "" if answer.status_code == 200 else f"{answer.status_code} {str(answer.error or answer.text)[:200]}"
            )
            if not fault and '"degraded":[]' not in answer.text.replace(" ", ""):
                fault = "degraded"
            if fault:
                answer.failure(fault)
            told.append((begun - started, took, kind, fault))


@events.quitting.add_listener
def _tell(**_: Any) -> None:
    warm_up = float(os.environ["OMMA_LOAD_WARM_UP"])
    counted = [one for one in told if one[0] >= warm_up]
    Path(os.environ["OMMA_LOAD_TOLD"]).write_text(json.dumps(counted))
