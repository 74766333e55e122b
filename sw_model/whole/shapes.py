"""What known models have beside their MoE layers: facts of the published ``config.json`` of each, by the preset's name.

The repository that each comes from is named in the preset (``configs/``). Only models whose every layer has attention over
all tokens, or over a window, are here; others have linear attention in most layers.
"""

from dataclasses import dataclass

#: bytes of a value of the cache of keys and values
CACHE_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Grouped-query attention: heads share keys and values. ``window`` is that of every second layer, if there is one."""

    heads: int
    kv_heads: int
    head_dim: int
    window: int = 0

    def weights(self, d_model: int) -> int:
        """Weights of a layer: queries, keys, values, output."""
        return 2 * d_model * self.head_dim * (self.heads + self.kv_heads)

    def cache(self, layers: int, context: int) -> int:
        """Values of the cache that a token of all layers reads."""
        near = layers // 2 if self.window else 0
        return 2 * self.kv_heads * self.head_dim * ((layers - near) * context + near * min(context, self.window))


@dataclass(frozen=True, kw_only=True)
class Latent:
    """Multi-head latent attention: keys and values come from a short vector, and that is what the cache holds."""

    heads: int
    q_rank: int
    kv_rank: int = 512
    rope_dim: int = 64
    head_dim: int = 128

    def weights(self, d_model: int) -> int:
        """Weights of a layer."""
        query = d_model * self.q_rank + self.q_rank * self.heads * (self.head_dim + self.rope_dim)
        rest = d_model * (self.kv_rank + self.rope_dim) + self.kv_rank * self.heads * 2 * self.head_dim
        return query + rest + self.heads * self.head_dim * d_model

    def cache(self, layers: int, context: int) -> int:
        """Values of the cache that a token of all layers reads."""
        return (self.kv_rank + self.rope_dim) * layers * context


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A model: MoE layers, the dense ones before them, attention in all of them, the output matrix."""

    moe_layers: int
    attention: Attention | Latent
    vocabulary: int
    dense_layers: int = 0
    dense_ff: int = 0

    @property
    def layers(self) -> int:
        """All layers."""
        return self.moe_layers + self.dense_layers

    def rest_weights(self, d_model: int, experts: int) -> int:
        """Weights that a step reads beside the experts: attention, gates, dense layers, output matrix."""
        return (self.layers * self.attention.weights(d_model) + self.moe_layers * d_model * experts
                + self.dense_layers * 3 * d_model * self.dense_ff + self.vocabulary * d_model)

    def cache_bytes(self, context: int) -> int:
        """Bytes of keys and values that a token reads."""
        return CACHE_BYTES * self.attention.cache(self.layers, context)


SHAPES = {
    "qwen3-30b-a3b": Shape(moe_layers=48, attention=Attention(heads=32, kv_heads=4, head_dim=128), vocabulary=151936),
    "qwen3-235b-a22b": Shape(moe_layers=94, attention=Attention(heads=64, kv_heads=4, head_dim=128), vocabulary=151936),
    "gpt-oss-20b": Shape(moe_layers=24, attention=Attention(heads=64, kv_heads=8, head_dim=64, window=128),
                         vocabulary=201088),
    "gpt-oss-120b": Shape(moe_layers=36, attention=Attention(heads=64, kv_heads=8, head_dim=64, window=128),
                          vocabulary=201088),
    "mixtral-8x7b": Shape(moe_layers=32, attention=Attention(heads=32, kv_heads=8, head_dim=128), vocabulary=32000),
    "olmoe-1b-7b": Shape(moe_layers=16, attention=Attention(heads=16, kv_heads=16, head_dim=128), vocabulary=50304),
    "phi-3.5-moe": Shape(moe_layers=32, attention=Attention(heads=32, kv_heads=8, head_dim=128), vocabulary=32064),
    "deepseek-moe-16b": Shape(moe_layers=27, dense_layers=1, dense_ff=10944, vocabulary=102400,
                              attention=Attention(heads=16, kv_heads=16, head_dim=128)),
    "deepseek-v3": Shape(moe_layers=58, dense_layers=3, dense_ff=18432, attention=Latent(heads=128, q_rank=1536),
                         vocabulary=129280),
    "kimi-k2": Shape(moe_layers=60, dense_layers=1, dense_ff=18432, attention=Latent(heads=64, q_rank=1536),
                     vocabulary=163840),
    "glm-4.5-air": Shape(moe_layers=45, dense_layers=1, dense_ff=10944, vocabulary=151552,
                         attention=Attention(heads=96, kv_heads=8, head_dim=128)),
}
