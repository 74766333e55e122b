"""The hardware for a layer of a checkpoint: its shape, slices that cut no block of weights, a format of weights."""

from collections.abc import Sequence

from trajectile.scripts.errors import UserError
from trajectile.sw_model import config as configuration
from trajectile.sw_model.checkpoints.four_bits import code_bits
from trajectile.sw_model.checkpoints.moe_layer import MoeLayer, top_k_of
from trajectile.sw_model.config import BLOCK_INPUTS, Config, ceil_div
from trajectile.sw_model.numerics.down_bias import units_ff
from trajectile.sw_model.numerics.weights import WeightFormat

#: formats of checkpoints whose codes the hardware has; GPTQ, AWQ and compressed-tensors if their codes have 4 bits
MXFP4_SOURCES, INT4_SOURCES = {"MXFP4"}, {"GPTQ", "AWQ", "compressed-tensors", "Q4_0"}


def fitted_slices(d_ff: int, width: int) -> tuple[int, int]:
    """Slices of an expert near ``width`` columns wide that cut no block of 32, and the columns that it then has.

    If ``d_ff`` has no divisor for that, hidden units of zeros fill it up.
    """
    if d_ff > BLOCK_INPUTS:
        # whole blocks, or as much of one as a narrow slice has
        part = min(BLOCK_INPUTS, 1 << width.bit_length() - 1)
        d_ff = ceil_div(d_ff, part) * part
    legal = [n for n in configuration.divisors(d_ff)
             if n <= 256 and (d_ff <= BLOCK_INPUTS or d_ff // n % BLOCK_INPUTS == 0 or BLOCK_INPUTS % (d_ff // n) == 0)]
    return min(legal, key=lambda n: abs(d_ff / n - width), default=1), d_ff


def weight_format(layer: MoeLayer) -> WeightFormat:
    """The format of the hardware in which a checkpoint's weights lose least for their size."""
    there = set(layer.dtype.split(", "))
    if there <= MXFP4_SOURCES:
        return WeightFormat("mxfp4")
    if there <= INT4_SOURCES and (there == {"Q4_0"} or code_bits(layer.checkpoint.model.quantisation) == 4):
        return WeightFormat("int4", mantissa=True)
    return WeightFormat("mx8")


def fitted(hardware: str, overrides: Sequence[str], layer: MoeLayer, top_k: int | None, shared: int) -> Config:
    """The hardware of a configuration with the layer's shape; ``shared`` experts are added, which every token meets.

    Raises:
        ConfigError: if that cannot be built.
        UserError: if the overrides give the layer another shape, or nothing says ``top_k``.
    """
    base = configuration.load(hardware)
    given = {".".join(configuration.parse_override(text)[:2]) for text in overrides}
    own_ff = units_ff(layer.d_ff) if layer.biased else layer.d_ff
    slices, d_ff = fitted_slices(own_ff, base.slice_ff)
    if "tile.slices" in given:
        d_ff = own_ff
    shape: dict[str, int | str] = {
        "layer.d_model": layer.d_model, "layer.d_ff": d_ff, "layer.experts": layer.experts + shared,
        "layer.activation": layer.function.activation, "layer.bias": str(layer.biased).lower()}
    if other := sorted(given & set(shape)):
        raise UserError(f"--set {other[0]} is not legal with a checkpoint; legal value: {shape[other[0]]}, as it has it")
    top_k = top_k if top_k is not None else top_k_of(layer)
    if top_k is None and "layer.top_k" not in given:
        raise UserError("--top-k is missing, and neither config.json (num_experts_per_tok) nor GGUF metadata "
                        f"(expert_used_count) says it; legal values: 1 to {layer.experts}")
    # the shape first: how many slices there can be depends on it
    configuration.LayerConfig(d_model=layer.d_model, d_ff=d_ff, experts=layer.experts + shared, top_k=1)
    fields = {**shape, "layer.top_k": 1 if top_k is None else top_k + shared, "tile.slices": slices}
    if not given & {"tile.weights", "tile.scale_mantissa"}:
        kind = weight_format(layer)
        fields |= {"tile.weights": kind.name, "tile.scale_mantissa": kind.mantissa_bits}
    try:
        return configuration.load(hardware, [*(f"{field}={value}" for field, value in fields.items()), *overrides])
    except configuration.ConfigError as error:
        if error.field.startswith("layer.") or error.field in given or not error.where:
            raise
        raise configuration.ConfigError(  # a field that nobody gave: say whose it is
            error.field, error.value, f"{error.legal}, for this layer ({layer.d_model} x {layer.d_ff}) on the hardware of "
            f"--config {hardware}; --config or --set takes another", error.where) from error
