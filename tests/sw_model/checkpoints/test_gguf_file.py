"""Layers found in GGUF files, in every layout and type; what is missing, unknown, cut or a lie is named."""

import struct
import sys

import numpy as np
import pytest

from tests.support import checkpoints, gguf_files
from trajectile.sw_model.checkpoints.gguf_file import GgufFile
from trajectile.sw_model.checkpoints.moe_layer import find, top_k_of
from trajectile.sw_model.checkpoints.opened import opened
from trajectile.sw_model.checkpoints.tensors import CheckpointError, MissingLibraryError
from trajectile.sw_model.gates.router import Rule, Scoring
from trajectile.sw_model.numerics.layers import GluFunction

STEM = "blk.3."


def layer_of(kind="F32", experts=3):
    size = 256 if kind == "Q4_K" else 32
    return checkpoints.weights(experts=experts, d_ff=size, d_model=2 * size)


def read(found):
    """The three matrices of all routed experts."""
    parts = list(found.read())[:found.experts]
    return [np.concatenate([getattr(part, name) for part in parts]) for name in ("w_gate", "w_up", "w_down")]


@pytest.mark.parametrize("layout", ["stacked", "fused", "single"])
@pytest.mark.parametrize("kind", ["F32", "F16", *gguf_files.DECODE])
def test_every_type_and_layout(tmp_path, kind, layout):
    """Experts are what their blocks stand for, to the bit."""
    layer, router = layer_of(kind)
    table, expected = gguf_files.tensors(layer, router, kind=kind, layout=layout)
    path = gguf_files.write(tmp_path / "model.gguf", table)
    with opened(path) as checkpoint:
        found = find(checkpoint)
        for matrix, wanted in zip(read(found), expected, strict=True):
            np.testing.assert_array_equal(matrix, wanted)
        np.testing.assert_array_equal(found.router(2).weight, router)
        assert found.router(2).rule == Rule(top_k=2) and top_k_of(found) == 2
    _, d_ff, d_model = layer.w_gate.shape
    assert (found.number, found.d_model, found.d_ff, found.experts, found.dtype) == (3, d_model, d_ff, 3, kind)
    assert found.naming == {"stacked": "GGUF", "fused": "GGUF, gate and up fused",
                            "single": "GGUF, a tensor per expert"}[layout]


@pytest.mark.parametrize("layout", ["stacked", "fused"])
def test_gpt_oss_has_biases(tmp_path, layout):
    """As its converter writes them: gate outputs before up outputs, biases of all matrices and of the gate."""
    layer, router = layer_of()
    table, expected = gguf_files.tensors(layer, router, kind="MXFP4", layout=layout)
    rng = np.random.default_rng(2)
    gate, up, down, own = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 32), (3, 32), (3, 64), 3))
    parts = {"gate_up": np.concatenate([gate, up], axis=1)} if layout == "fused" else {"gate": gate, "up": up}
    table |= {f"{STEM}ffn_{part}_exps.bias": (values, "F32") for part, values in (parts | {"down": down}).items()}
    table[STEM + "ffn_gate_inp.bias"] = own, "F32"
    path = gguf_files.write(tmp_path / "model.gguf", table, "gpt-oss")
    with opened(path) as checkpoint:
        found = find(checkpoint)
        parts = list(found.read())
        np.testing.assert_array_equal(found.router(2).bias, own)
        for matrix, wanted in zip(read(found), expected, strict=True):
            np.testing.assert_array_equal(matrix, wanted)
    for name, wanted in (("gate_bias", gate), ("up_bias", up), ("down_bias", down)):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), wanted)
    assert found.biased and found.function == GluFunction("quick_gelu", 7.0, 7.0, 1.0)
    del table[STEM + "ffn_down_exps.bias"]
    gguf_files.write(path, table, "gpt-oss")
    with opened(path) as checkpoint, pytest.raises(CheckpointError, match=r"ffn_down_exps\.bias is missing"):
        find(checkpoint)


def test_matrices_of_different_types(tmp_path):
    """As most quantisers write them: the report names each."""
    layer, router = layer_of()
    table, expected = gguf_files.tensors(layer, router, kind="Q4_0", down="Q8_0")
    with opened(gguf_files.write(tmp_path / "model.gguf", table)) as checkpoint:
        found = find(checkpoint)
        np.testing.assert_array_equal(read(found)[2], expected[2])
    assert found.dtype == "Q4_0, Q8_0"


def test_the_shared_expert_and_its_gate(tmp_path):
    """Twice as wide as a routed one: two parts; its weight is the sigmoid of its own gate."""
    layer, router = layer_of()
    table, _ = gguf_files.tensors(layer, router)
    rng = np.random.default_rng(5)
    raw, shared = {}, {}
    for part, shape in (("gate", (64, 64)), ("up", (64, 64)), ("down", (64, 64))):
        raw[part], shared[part] = gguf_files.stored(rng.standard_normal(shape), "Q8_0")
    table |= {f"{STEM}ffn_{part}_shexp.weight": (content, "Q8_0") for part, content in raw.items()}
    table[STEM + "ffn_gate_inp_shexp.weight"] = router[0], "F32"
    path = gguf_files.write(tmp_path / "m.gguf", table, "qwen2moe", {"expert_shared_feed_forward_length": 64})
    with opened(path) as checkpoint:
        found = find(checkpoint)
        *_, first, second = found.read()
        np.testing.assert_array_equal(found.shared_gate(), router[0])
    assert (found.shared_parts, found.shared_ff) == (2, 64)
    np.testing.assert_array_equal(np.concatenate([first.w_up[0], second.w_up[0]]), shared["up"])
    np.testing.assert_array_equal(np.concatenate([first.w_down[0], second.w_down[0]], axis=1), shared["down"])
    assert not found.checkpoint.model.normalise


@pytest.mark.parametrize("name", ["exp_probs_b.bias", "exp_probs_b"])
def test_the_correction_of_the_choice(tmp_path, name):
    """As DeepSeek-V3 has it, with groups and a factor."""
    layer, router = layer_of(experts=8)
    correction = np.linspace(-1, 1, 8, dtype=np.float32)
    table, _ = gguf_files.tensors(layer, router)
    table[STEM + name] = correction, "F32"
    path = gguf_files.write(tmp_path / "m.gguf", table, "deepseek2", {
        "expert_gating_func": 2, "expert_group_count": 4, "expert_group_used_count": 2, "expert_weights_scale": 2.5,
        "expert_weights_norm": True, "expert_count": 8})
    with opened(path) as checkpoint:
        gate = find(checkpoint).router(2)
    np.testing.assert_array_equal(gate.correction, correction)
    assert (gate.rule.scoring, gate.rule.groups, gate.rule.top_groups, gate.rule.scaling) == (Scoring.SIGMOID, 4, 2, 2.5)


def test_parts_of_a_model(tmp_path):
    """Any part, or their folder, stands for all; metadata is in the first."""
    layer, router = layer_of()
    table, expected = gguf_files.tensors(layer, router)
    names = sorted(table)
    files = [tmp_path / f"m-0000{part + 1}-of-00002.gguf" for part in range(2)]
    gguf_files.write(files[0], {name: table[name] for name in names[::2]}, part=(0, 2))
    gguf_files.write(files[1], {name: table[name] for name in names[1::2]}, metadata={"expert_used_count": None}, part=(1, 2))
    for path in (*files, tmp_path):
        with opened(path) as checkpoint:
            found = find(checkpoint)
            np.testing.assert_array_equal(read(found)[1], expected[1])
            assert top_k_of(found) == 2
    files[1].unlink()
    with pytest.raises(CheckpointError, match=r"of-00002\.gguf: no such file; legal: a \.gguf file, all its parts"):
        opened(files[0])
    files[0].rename(tmp_path / "whole.gguf")
    with pytest.raises(CheckpointError, match=r"split\.count = 2 is not legal; legal: 1"):
        opened(tmp_path / "whole.gguf")


def test_folders_and_names(tmp_path):
    """Two models, a part that there cannot be, the same tensor twice; a file without its ending is known by how it begins."""
    layer, router = layer_of()
    table, _ = gguf_files.tensors(layer, router)
    path = gguf_files.write(tmp_path / "a.gguf", table)
    path.rename(tmp_path / "sha256-abc")
    assert isinstance(opened(tmp_path / "sha256-abc"), GgufFile)
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        gguf_files.write(tmp_path / "two" / f"{name}.gguf", table)
    with pytest.raises(CheckpointError, match=r"two: 2 files \*\.gguf; legal: one, or all parts of one"):
        opened(tmp_path / "two")
    with pytest.raises(CheckpointError, match="part 3 of 2 is not legal"):
        opened(tmp_path / "m-00003-of-00002.gguf")
    for part in (0, 1):
        gguf_files.write(tmp_path / f"m-0000{part + 1}-of-00002.gguf", table, part=(part, 2))
    with pytest.raises(CheckpointError, match=r"is in m-00001-of-00002\.gguf too; legal: once"):
        opened(tmp_path / "m-00001-of-00002.gguf")
    for name in ("nothing.gguf", "a" * 300, "a" * 300 + ".gguf"):
        with pytest.raises(CheckpointError, match="legal: "):
            opened(tmp_path / name)


def f32(*shape):
    return np.zeros(shape, np.float32), "F32"


def int8(*shape):
    return np.zeros(shape, np.int8), "I8"


#: name in the layer, tensor (None leaves it out), architecture, what is refused
WRONG = [
    ("ffn_up_exps.weight", None, "qwen3moe", "blk.3.ffn_up_exps.weight is missing"),
    ("ffn_up_exps.weight", f32(3, 16, 64), "qwen3moe", "ffn_up_exps.weight has shape [16, 64]; legal: [32, 64]"),
    ("ffn_up_exps.weight", f32(2, 32, 64), "qwen3moe", "ffn_up_exps.weight has shape [2, 32, 64]; legal: 1 to 1024 experts"),
    ("ffn_down_exps.weight", f32(64, 32), "qwen3moe", "ffn_down_exps.weight has shape [64, 32]; legal: [experts, outputs"),
    ("ffn_up_exps.weight", int8(3, 32, 64), "qwen3moe", "ffn_up_exps.weight of type I8: "),
    ("ffn_up_exps.bias", f32(3, 32), "qwen3moe", "ffn_gate_exps.bias is missing; legal: [3, 32]"),
    ("ffn_down_exps.scale", f32(3), "qwen3moe", "ffn_down_exps.scale is not legal; legal names"),
    ("ffn_gate_up_exps.weight", f32(3, 64, 64), "qwen3moe", "ffn_gate_up_exps.weight is not legal beside"),
    ("ffn_gate.0.weight", f32(32, 64), "qwen3moe", "are both there; legal: either"),
    ("ffn_gate_inp.bias", f32(3), "qwen3moe", "ffn_gate_inp.bias is not legal; legal: none"),
    ("ffn_gate_inp.scale", f32(64), "qwen3moe", "--accept ffn_gate_inp.scale"),
    ("ffn_norm_exps.weight", f32(64), "qwen3moe", "ffn_norm_exps.weight is not known"),
    ("ffn_gate.weight", f32(32, 64), "qwen3moe", "ffn_gate.weight is not known"),
    ("ffn_gate_inp.weight", f32(2, 64), "qwen3moe", "ffn_gate_inp.weight has shape [2, 64]; legal: [3, 64]"),
    ("exp_probs_b.bias", f32(3), "qwen3moe", "exp_probs_b.bias is not legal; legal: none (the file's metadata says of no "
     "correction of the choice: general.architecture, expert_gating_func)"),
    ("ffn_up_shexp.weight", f32(32, 64), "qwen2moe", "blk.3.ffn_gate_shexp.weight is missing"),
    ("ffn_gate_inp_shexp.weight", f32(64), "qwen2moe", "ffn_gate_inp_shexp.weight is not legal without a shared expert"),
    ("ffn_norm.weight", f32(64), "glm4moe", "blk.3.exp_probs_b.bias is missing; legal: [3], as the file's metadata says"),
]


@pytest.mark.parametrize(("name", "tensor", "architecture", "named"), WRONG, ids=range(len(WRONG)))
def test_tensors_that_do_not_fit(tmp_path, name, tensor, architecture, named):
    """Tensor, shape, what is legal."""
    layer, router = layer_of()
    table, _ = gguf_files.tensors(layer, router)
    table.pop(STEM + name, None)
    if tensor is not None:
        table[STEM + name] = tensor
    path = gguf_files.write(tmp_path / "m.gguf", table, architecture, {"expert_weights_norm": True})
    with opened(path) as checkpoint, pytest.raises(CheckpointError, match="legal") as error:
        find(checkpoint)
    assert named in str(error.value)


@pytest.mark.parametrize(("shape", "named"), [
    ({"fused": (3, 63, 64)}, "ffn_gate_up_exps.weight has shape [3, 63, 64]; legal: [experts, 2 d_ff, d_model]"),
    ({"fused": (3, 60, 64)}, "ffn_down_exps.weight has shape [64, 32]; legal: [64, 30]"),
    ({"single": "ffn_up.1.weight"}, "blk.3.ffn_up.1.weight is missing; legal: all three matrices of experts 0 to 2")])
def test_other_layouts_that_do_not_fit(tmp_path, shape, named):
    """Fused, and a tensor per expert."""
    (layout, change), = shape.items()
    layer, router = layer_of()
    table, _ = gguf_files.tensors(layer, router, layout=layout)
    if layout == "fused":
        table[STEM + "ffn_gate_up_exps.weight"] = f32(*change)
    else:
        del table[STEM + change]
    with (opened(gguf_files.write(tmp_path / "m.gguf", table)) as checkpoint,
          pytest.raises(CheckpointError, match="legal") as error):
        find(checkpoint)
    assert named in str(error.value)


def test_layers_metadata_and_values(tmp_path):
    """No experts, no such layer, other numbers of experts, values that are not finite, a tensor that is accepted."""
    layer, router = layer_of()
    table, _ = gguf_files.tensors(layer, router)
    none = gguf_files.write(tmp_path / "n.gguf", {"blk.0.ffn_gate.weight": f32(4, 64)})
    with opened(none) as checkpoint, pytest.raises(CheckpointError, match=r"no layer has routed experts; .*: blk\.L"):
        find(checkpoint)
    with opened(gguf_files.write(tmp_path / "m.gguf", table, metadata={"expert_count": 4})) as checkpoint:
        with pytest.raises(CheckpointError, match=r"--layer = 1 is not in .*; legal values: 3"):
            find(checkpoint, 1)
        with pytest.raises(CheckpointError, match="has 3 experts; legal: 4, as the file's metadata says"):
            find(checkpoint)
    broken = np.full((3, 32, 64), np.nan, np.float32)
    wrong = table | {STEM + "ffn_gate_inp.scale": f32(64), STEM + "ffn_up_exps.weight": (broken, "F32")}
    with opened(gguf_files.write(tmp_path / "w.gguf", wrong), frozenset({"ffn_gate_inp.scale"})) as checkpoint:
        found = find(checkpoint)
        with pytest.raises(CheckpointError, match=r"blk\.3\.ffn_up_exps\.weight holds a value that is not finite"):
            list(found.read())


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def header(*parts, tensors=0, keys=0, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(parts)


def tensor(*dimensions, kind=0, offset=0):
    return string("a") + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset)


@pytest.mark.parametrize(("content", "named"), [
    (b"", "does not begin with GGUF"), (b"GGUF", "ends within its header"), (b"\x80\x04K\x01.", "does not begin with GGUF"),
    (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "little endian"), (header(version=1), "version 0x1"),
    (header(tensors=2**63), "tensors; at most"), (header(keys=2**40), "keys; at most"), (header(keys=1), "ends within"),
    (header(struct.pack("<Q", 2**63), keys=1), "bytes in a name"),
    (header(string("a"), struct.pack("<IQ", 8, 2**60), keys=1), "bytes in a string"),
    (header(string("a"), struct.pack("<IIQ", 9, 0, 2**60), keys=1), "entries in an array"),
    (header(string("a"), struct.pack("<IIQ", 9, 0, 2**20), keys=1), "ends within its header"),
    (header(string("a"), struct.pack("<IIQ", 9, 9, 1), keys=1), "array of type 9"),
    (header(string("a"), struct.pack("<I", 77), keys=1), "a value of type 77"),
    (header(string("a"), struct.pack("<II", 4, 1), string("a"), struct.pack("<II", 4, 1), keys=2), "Duplicate a"),
    (header(b"\x01\0\0\0\0\0\0\0\xff", struct.pack("<II", 4, 1), keys=1), "utf-8"),
    (header(string("a"), struct.pack("<I", 5), tensors=1), "dimensions; at most 4"),
    (header(tensor(2**40, 2**40), tensors=1), ""), (header(tensor(2**32, 2**32), tensors=1), ""),
    (header(tensor(1000), tensors=1), ""), (header(tensor(1, offset=2**64 - 1), tensors=1), ""),
    (header(tensor(1, offset=2**62), tensors=1), ""), (header(tensor(1, kind=999), tensors=1), "999"),
    (header(tensor(33, kind=8), tensors=1), ""), (header(tensor(1), tensors=2), "ends within")], ids=range(25))
def test_files_that_are_no_checkpoint(tmp_path, content, named):
    """A header that is cut, or claims what the file does not have: one line that names the file."""
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.gguf: .*; legal: a complete \.gguf file") as error:
        opened(path)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_cut(tmp_path):
    """Anywhere: no part of a model is read as a whole one."""
    layer, router = layer_of()
    table, _ = gguf_files.tensors(layer, router, kind="Q8_0")
    raw = gguf_files.write(tmp_path / "m.gguf", table).read_bytes()
    for length in (*range(0, 200, 7), *range(200, len(raw) - 64, len(raw) // 40)):
        (tmp_path / "cut.gguf").write_bytes(raw[:length])
        with pytest.raises(CheckpointError, match=r"cut\.gguf: "):
            opened(tmp_path / "cut.gguf")


def test_without_the_library(tmp_path, monkeypatch):
    """The extra that brings it is named."""
    path = gguf_files.write(tmp_path / "m.gguf", {"a": f32(2)})
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'trajectile\[gguf\]'"):
        opened(path)
