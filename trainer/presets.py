"""Shapes to start from: Llama models by name, as data. The vocabulary is the tokenizer's, so counts depend on it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """A Llama shape. Every preset has tied embeddings and heads of 32 or 64, which vLLM accepts on a CPU too."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    mlp: int

    def config(self, vocabulary: int, context: int) -> dict[str, Any]:
        """Return the fields of a transformers LlamaConfig."""
        return {
            "vocab_size": vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.mlp,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.width // self.heads,
            "max_position_embeddings": context,
            "tie_word_embeddings": True,
            "rms_norm_eps": 1e-5,
        }

    def parameters(self, vocabulary: int) -> int:
        """Return how many parameters the model has with this vocabulary."""
        attention = self.width * self.width * 2 + self.width * (self.width // self.heads) * self.kv_heads * 2
        return vocabulary * self.width + self.layers * (attention + 3 * self.width * self.mlp + 2 * self.width) + self.width


PRESETS = {
    "tiny": Preset(layers=4, width=128, heads=4, kv_heads=4, mlp=384),
    "small": Preset(layers=6, width=256, heads=8, kv_heads=8, mlp=704),
    "medium": Preset(layers=8, width=384, heads=12, kv_heads=12, mlp=1024),
    "30m": Preset(layers=8, width=512, heads=8, kv_heads=8, mlp=1408),
    "60m": Preset(layers=10, width=640, heads=10, kv_heads=10, mlp=1728),
    "125m": Preset(layers=12, width=768, heads=12, kv_heads=12, mlp=2048),
}
"""With a vocabulary of 4,096: 1.4M, 5.9M, 15.7M, 27.8M, 52.2M, 88.1M parameters; 125m has its name with one of 49,152 (122.7M)."""
