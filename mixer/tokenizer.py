"""Tokenizers: a byte-level BPE trained on what a policy keeps, or one loaded from a model's folder.

Either way a folder that transformers and vLLM open as it is. A tokenizer's identity is the sha256 of its tokenizer.json.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Coder

from catalog.errors import InputError, RecipeError
from mixer.template import CHATML, Template

VERSION = 1
EOS, TURN, TURN_END, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
SPECIALS = (EOS, TURN, TURN_END, PAD)
SMALLEST = 256 + len(SPECIALS)
"""A vocabulary holds at least every byte and the special tokens."""

PIECES = r"'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""Where merges may not cross: words with the one sign before them, at most two digits, runs of signs, line ends, blanks."""

FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")


def train(texts: Iterable[str], vocab: int, folder: str | Path) -> str:
    """Train a byte-level BPE of at most `vocab` tokens and write its folder; return the sha256 of tokenizer.json.

    Lossless (no normalisation), any bytes can be encoded, and the same texts give the same file with any number of threads.
    Raises RecipeError when `vocab` cannot hold the bytes.
    """
    if vocab < SMALLEST:
        raise RecipeError(f"tokenizer: a vocabulary of {vocab} is too small; the bytes and special tokens take {SMALLEST}")
    coder = Coder(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    coder.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])  # type: ignore[assignment, unused-ignore]
    coder.decoder = decoders.ByteLevel()  # type: ignore[assignment, unused-ignore]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIALS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    coder.train_from_iterator(iter(texts), trainer)
    return _write(coder, Path(folder))


def _write(coder: Coder, folder: Path) -> str:
    tokens = {"bos_token": EOS, "eos_token": EOS, "pad_token": PAD}
    config = {
        **tokens,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHATML,
        "additional_special_tokens": [TURN, TURN_END],
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "unk_token": None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    coder.save(str(folder / "tokenizer.json"))
    for name, value in (("tokenizer_config.json", config), ("special_tokens_map.json", tokens)):
        (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return identity(folder)


def identity(folder: str | Path) -> str:
    """Return the sha256 of a folder's tokenizer.json. Raises InputError when there is none."""
    file = Path(folder) / "tokenizer.json"
    if not file.is_file():
        raise InputError(f"{folder}: no tokenizer.json; name the folder of a transformers tokenizer")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def copy(folder: str | Path, to: str | Path) -> None:
    """Copy the files that make a tokenizer, and nothing else of a model's folder."""
    Path(to).mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (Path(folder) / name).is_file():
            shutil.copyfile(Path(folder) / name, Path(to) / name)


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer that is open. `eos` ends each document; `size` is the largest id and one."""

    folder: str
    sha256: str
    eos: int
    pad: int
    size: int
    specials: tuple[str, ...]
    template: Template | None
    coder: Coder

    @property
    def dtype(self) -> str:
        """How a shard stores its ids, little-endian."""
        return "uint16" if self.size <= 1 << 16 else "uint32"

    @cached_property
    def token_bytes(self) -> npt.NDArray[np.int64]:
        """How many bytes of text each id stands for, int64 [size]."""
        return token_bytes(self.folder)

    def encode(self, texts: Sequence[str], *, markup: bool = False) -> list[npt.NDArray[np.int64]]:
        """Return the ids of each text, in parallel over texts.

        Text is data: `<|endoftext|>` inside it is encoded as letters. Only in `markup`, which a template rendered, do the
        special tokens mean themselves.
        """
        self.coder.encode_special_tokens = not markup
        found = self.coder.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(one.ids, np.int64) for one in found]

    def decode(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> str:
        """Return the text of ids, special tokens written out."""
        return str(self.coder.decode([int(i) for i in ids], skip_special_tokens=False))

    def joins(self) -> bool:
        """Whether encoding a text piece by piece loses nothing: true of byte-level tokenizers, not of those that prepend a blank."""
        pieces = self.encode(["x\n", "y z", " w"])
        return self.decode(np.concatenate(pieces)) == "x\ny z w"


def load(folder: str | Path, threads: int | None = None) -> Tokenizer:
    """Open a tokenizer's folder. `threads` (all cores allowed to us if None) holds for the first one opened in a process.

    Raises InputError where tokenizer.json or the end-of-text token is missing.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads or len(os.sched_getaffinity(0))))
    sha = identity(folder)
    coder = Coder.from_file(str(Path(folder) / "tokenizer.json"))
    coder.no_truncation()
    coder.no_padding()
    config = _config(Path(folder))
    tokens = {name: text for name in NAMES if (text := _text(config.get(name)))}
    eos = coder.token_to_id(tokens.get("eos_token", ""))
    if eos is None:
        raise InputError(f"{folder}: tokenizer_config.json names no eos_token that tokenizer.json knows; documents need an end")
    pad = coder.token_to_id(tokens.get("pad_token", ""))
    added = coder.get_added_tokens_decoder()
    source = _template(Path(folder), config)
    specials = tuple(sorted(token.content for token in added.values() if token.special))
    return Tokenizer(
        folder=str(folder),
        sha256=sha,
        eos=int(eos),
        pad=int(eos if pad is None else pad),
        size=max(coder.get_vocab(with_added_tokens=True).values()) + 1,
        specials=specials,
        template=Template(source, tokens, specials) if source else None,
        coder=coder,
    )


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _text(token: Any) -> str:
    """A special token is written as a string, or as a mapping with its content."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _template(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = config.get("chat_template") or ""
    if isinstance(found, list):
        found = next((one["template"] for one in found if one.get("name") == "default"), "")
    return str(found)


def stops(folder: str | Path) -> list[int]:
    """Return the ids that end what a model writes: the end of text, and the token that ends the template's assistant turn."""
    tokenizer = load(folder)
    found = [tokenizer.eos]
    if tokenizer.template is not None:
        chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        said = [text for text, supervised in tokenizer.template.segments(chat) if supervised]
        last = int(tokenizer.encode(said[-1:], markup=True)[0][-1])
        if tokenizer.coder.id_to_token(last) in tokenizer.specials and last not in found:
            found.append(last)
    return found


def token_bytes(folder: str | Path) -> npt.NDArray[np.int64]:
    """Return how many UTF-8 bytes of text each id stands for, int64 [vocabulary]; special tokens none.

    Read from tokenizer.json: in a byte-level vocabulary each character is a byte; in a SentencePiece one ▁ is a blank and
    <0x0A> a byte.
    """
    spec = json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))
    listed = spec["model"]["vocab"]
    pieces = listed if isinstance(listed, dict) else {piece: i for i, (piece, _) in enumerate(listed)}
    added = {token["id"]: token for token in spec.get("added_tokens", [])}
    sizes = np.zeros(max([*pieces.values(), *added]) + 1, np.int64)
    byte_level = '"ByteLevel"' in json.dumps([spec.get("pre_tokenizer"), spec.get("decoder")])
    for piece, i in pieces.items():
        sizes[i] = len(piece) if byte_level else _piece_bytes(piece)
    for i, token in added.items():
        sizes[i] = 0 if token["special"] else len(token["content"].encode())
    return sizes


def _piece_bytes(piece: str) -> int:
    return 1 if len(piece) == 6 and piece.startswith("<0x") else len(piece.replace("▁", " ").encode())
