"""Searches that go on while something else happens, and what became of each."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx


@dataclass
class Account:
    """Of searches by stored pictures' own bytes. partial: answered for fewer than all. lost: without the picture."""

    answered: int = 0
    partial: int = 0
    lost: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@contextmanager
def searches(url: str, key: str, pictures: Sequence[tuple[Path, str]], clients: int = 2) -> Iterator[Account]:
    """pictures: (file, id). The account is whole when the block has ended."""
    account, ended, lock = Account(), threading.Event(), threading.Lock()

    def search() -> None:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20) as client:
            for file, image_id in cycle(pictures):
                if ended.is_set():
                    return
                try:
                    answer = client.post(
                        "/search",
                        files={"image": file.read_bytes()},
                        data={"k": "5", "timeout_ms": "10000", "near_duplicates": "keep"},
                    )
                except httpx.HTTPError as error:
                    with lock:
                        account.failed.append(repr(error))
                    continue
                with lock:
                    _note(account, answer, image_id)

    threads = [threading.Thread(target=search, name=f"search-{number}") for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield account
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _note(account: Account, answer: httpx.Response, image_id: str) -> None:
    if answer.status_code != 200:
        account.failed.append(f"{answer.status_code} {answer.text[:300]}")
        return
    said = answer.json()
    account.answered += 1
    if said["coverage"]["fraction"] < 1:
        account.partial += 1
    elif image_id not in [str(hit["id"]) for hit in said["results"]]:
        account.lost.append(image_id)
