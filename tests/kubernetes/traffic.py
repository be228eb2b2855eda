"""Searches that go on while something else happens, and what became of each."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import monotonic

import httpx


@dataclass
class Account:
    """Of searches by stored pictures' own bytes. again: tried again, whatever came of it. partial: answered for fewer
    than all; partial_at: the last of them, monotonic. lost: without the picture.
    """

    answered: int = 0
    again: int = 0
    partial: int = 0
    partial_at: float = 0.0
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


@contextmanager
def reported(
    under_way: AbstractContextManager[Account], report: Callable[[str, object], None], what: str
) -> Iterator[Account]:
    """Searches while something happens; what became of them is written down when they have ended."""
    try:
        with under_way as account:
            yield account
    finally:
        counts = f"{account.answered} answered, {len(account.failed)} failed, {account.partial} partial"
        counts += f", {len(account.lost)} lost"
        counts += f", {account.again} answered at the second try" if account.again else ""
        report(f"searches during: {what}", counts)


def not_found(url: str, key: str, pictures: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Those of which a search by their own bytes knows nothing, or is not answered whole; each is sought once."""
    with (
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client,
        ThreadPoolExecutor(4) as pool,
    ):

        def found(one: tuple[Path, str]) -> bool:
            account = Account()
            _note(account, _answer(client, one[0]), one[1])
            return account.answered == 1 and not account.partial and not account.lost

        return [one for one, there in zip(pictures, pool.map(found, pictures), strict=True) if not there]


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
        account.partial_at = monotonic()
    elif image_id not in [str(hit["id"]) for hit in said["results"]]:
        account.lost.append(image_id)
