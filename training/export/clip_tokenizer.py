"""CLIP's byte-pair encoding as a Hugging Face tokenizer.json, made of OpenCLIP's own vocabulary.

The ids are those of open_clip.SimpleTokenizer (https://github.com/mlfoundations/open_clip) for text that is free of
encoding accidents: OpenCLIP also mends mojibake with ftfy, which a tokenizer.json cannot say. Of what ftfy does to
sound text, curly quotes, ligatures and full-width forms are covered, and the HTML entities that people paste.
"""

from typing import Any, Final

import open_clip
from ftfy.chardata import LIGATURES, WIDTH_MAP
from open_clip.tokenizer import SimpleTokenizer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

_START, _END = "<start_of_text>", "<end_of_text>"
_WORDS: Final = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&nbsp;": " ", "&amp;": "&"}
_QUOTES: Final = {"[\u2018\u2019\u201a\u201b\u02bc]": "'", "[\u201c\u201d\u201e\u201f]": '"'}


def uses_clip_words(architecture: str) -> bool:
    """Whether OpenCLIP tokenizes this architecture's text with CLIP's own vocabulary, lower case, cut at the end."""
    text: dict[str, Any] = open_clip.get_model_config(architecture)["text_cfg"]
    options = text.get("tokenizer_kwargs", {})
    foreign = text.get("hf_tokenizer_name") or text.get("hf_model_name") or "siglip" in architecture.lower()
    return not foreign and options.get("clean", "lower") == "lower" and not options.get("reduction_mask")


def clip_tokenizer() -> Tokenizer:
    """Start and end tokens included; cutting and padding are the caller's to set: a cut text keeps its end token."""
    words = SimpleTokenizer()
    bpe = BPE(
        vocab=words.encoder,
        merges=list(words.bpe_ranks),
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        fuse_unk=False,
    )
    made = Tokenizer(bpe)
    made.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(old, new) for old, new in _ENTITIES.items()),
            *(normalizers.Replace(chr(old), new) for old, new in (LIGATURES | WIDTH_MAP).items()),
            *(normalizers.Replace(Regex(old), new) for old, new in _QUOTES.items()),
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            # Python's lower() knows a final sigma, this one goes letter by letter.
            normalizers.Replace(Regex(r"(?<=[\p{Lu}\p{Ll}])Σ(?![\p{Lu}\p{Ll}])"), "ς"),
            normalizers.Lowercase(),
        ]
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    start, end = words.encoder[_START], words.encoder[_END]
    made.add_special_tokens([AddedToken(_START, normalized=True), AddedToken(_END, normalized=True)])
    made.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_END}", special_tokens=[(_START, start), (_END, end)]
    )
    return made
