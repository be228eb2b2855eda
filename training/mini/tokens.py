"""The tokenizer: whole words that were taught, and pieces for any other, as a tokenizer.json of Hugging Face."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import ascii_lowercase, digits
from typing import Final

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from training.mini.concepts import Concept
from training.mini.phrases import plural

PAD: Final = "[PAD]"
UNKNOWN: Final = "[UNK]"
MAX_TOKENS: Final = 16

_PIECES: Final = 3_000
_LEAST_CONFIDENCE: Final = 0.28
"""A word of a less sure concept is left to its pieces."""


def build_tokenizers(known: Mapping[str, Concept], said: Iterable[str]) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizer, and one that has its pieces alone, to train what a word that was never seen looks like.

    said: other words to keep whole, of templates and of doubt.
    """
    words: Counter[str] = Counter()
    for phrase, concept in known.items():
        if concept.confidence >= _LEAST_CONFIDENCE:
            words.update(phrase.replace("'", " ").split())
            if concept.core:
                words.update(plural(phrase).replace("'", " ").split())
    words.update(said)
    pieces = _pieces(words)
    whole = [word for word in sorted(words) if word not in pieces and word.isascii()]
    vocabulary = pieces | {word: len(pieces) + row for row, word in enumerate(whole)}
    return _plain(_word_piece(vocabulary)), _plain(_word_piece(pieces))


def _pieces(words: Iterable[str]) -> dict[str, int]:
    """Every letter, and the beginnings and continuations that stand for most letters of these words.

    Hugging Face's own trainer breaks ties by chance, and would make another tokenizer each time.
    """
    saved: Counter[str] = Counter()
    for word in words:
        if word.isascii() and word.isalpha():
            for start in range(len(word)):
                for end in range(start + 2, min(start + 7, len(word) + 1)):
                    saved[word[start:end] if start == 0 else f"##{word[start:end]}"] += end - start - 1
    letters = [mark + letter for letter in f"{ascii_lowercase}{digits}" for mark in ("", "##")]
    room = _PIECES - len(letters) - 2
    likely = [piece for piece, _ in sorted(saved.items(), key=lambda one: (-one[1], one[0]))[:room]]
    return {piece: row for row, piece in enumerate([PAD, UNKNOWN, *letters, *likely])}


def save(tokenizer: Tokenizer, path: Path) -> None:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(path), pretty=False)


def _word_piece(vocabulary: dict[str, int]) -> WordPiece:
    return WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=40)


def _plain(model: WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(length=MAX_TOKENS, pad_id=0)
    return tokenizer
