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
    """Of searches by stored pictures' own bytes. again: tried again, whatever came of it. partial: answered for fewer
    than all. lost: without the picture.
    """

    answered: int = 0
    again: int = 0
    partial: int = 0
    lost: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@contextmanager
def searches(
    url: str, key: str, pictures: Sequence[tuple[Path, str]], clients: int = 2, tries: int = 1
) -> Iterator[Account]:
    """pictures: (file, id). tries: of each search, before it has failed. The account is whole when the block has
    ended.
    """
    account, ended, lock = Account(), threading.Event(), threading.Lock()

    def search() -> None:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            for file, image_id in cycle(pictures):
                if ended.is_set():
                    return
                for left in reversed(range(tries)):
                    answer = _answer(client, file)
                    if left == 0 or (isinstance(answer, httpx.Response) and answer.status_code == 200):
                        break
                with lock:
                    account.again += left < tries - 1
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


def _answer(client: httpx.Client, file: Path) -> httpx.Response | httpx.HTTPError:
    try:
        return client.post(
            "/search",
            files={"image": file.read_bytes()},
            data={"k": "5", "timeout_ms": "30000", "near_duplicates": "keep"},
        )
    except httpx.HTTPError as error:
        return error


def _note(account: Account, answer: httpx.Response | httpx.HTTPError, image_id: str) -> None:
    if isinstance(answer, httpx.HTTPError):
        account.failed.append(repr(answer))
        return
    if answer.status_code != 200:
        account.failed.append(f"{answer.status_code} {answer.text[:300]}")
        return
    said = answer.json()
    account.answered += 1
    if said["coverage"]["fraction"] < 1:
        account.partial += 1
    elif image_id not in [str(hit["id"]) for hit in said["results"]]:
        account.lost.append(image_id)
