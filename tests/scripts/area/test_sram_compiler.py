"""The SRAM compiler: what it picks holds the memory and is no larger than one kind of macro alone; tables good and bad."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajectile.scripts.area import technology
from trajectile.scripts.area.sram_compiler import Density, Macro, SramTable, compile_memory, parse_table, read_table, tile
from trajectile.scripts.errors import UserError

MACROS = st.lists(st.builds(Macro, name=st.just(""), depth=st.sampled_from([4, 8, 16, 64]), width=st.sampled_from([2, 8, 32]),
                            two_port=st.just(False), area_um2=st.floats(1, 1000), access_ps=st.just(5.0),
                            read_pj=st.floats(0.1, 9)), min_size=1, max_size=5)


def named(macros):
    return [replace(macro, name=f"m{number}") for number, macro in enumerate(macros)]


@settings(max_examples=150, deadline=None)
@given(MACROS, st.integers(1, 200), st.integers(1, 100), st.floats(0, 3))
def test_what_is_picked_holds_the_memory(macros, depth, width, mux):
    """Rows fill the width and columns the depth; areas add up; one kind of macro alone is not better."""
    macros = named(macros)
    by_rows, parts = tile(macros, depth, width, mux)
    across, along = ("width", "depth") if by_rows else ("depth", "width")
    for part in parts:
        assert len({getattr(macro, along) for macro in part}) == 1
        assert sum(getattr(macro, across) for macro in part) >= (width if by_rows else depth)
    assert sum(getattr(part[0], along) for part in parts) >= (depth if by_rows else width)
    memory = compile_memory(SramTable("", False, tuple(macros)), depth, width, two_port=False, mux_um2=mux)
    assert dict(memory.macros) == {name: sum(macro.name == name for part in parts for macro in part)
                                   for name in {macro.name for part in parts for macro in part}}
    assert memory.macro_area_um2 == pytest.approx(sum(macro.area_um2 for part in parts for macro in part))
    assert memory.area_um2 == pytest.approx(memory.macro_area_um2 + memory.mux_area_um2)
    # fewer macros are worth a tenth of the smallest one each
    slack = min(macro.area_um2 for macro in macros) / 10
    count = sum(number for _, number in memory.macros)
    for macro in macros:
        rows, beside = -(-depth // macro.depth), -(-width // macro.width)
        alone = rows * beside * (macro.area_um2 + slack) + (rows - 1) * beside * macro.width * mux
        assert memory.area_um2 + slack * count <= alone + mux * max(macro.width * beside, width) + 1e-6
    # all rows have the same access: an address is answered by as many macros as stand side by side
    assert memory.access_ps == 5 and memory.rows == (len(parts) if by_rows else max(map(len, parts)))
    assert memory.mux_levels == (memory.rows - 1).bit_length()
    energies = [macro.read_pj for part in parts for macro in part]
    assert min(energies) - 1e-9 <= memory.read_pj <= sum(energies) + 1e-9


def test_by_hand():
    """Whole macros; the smallest sum; two widths in one row; a multiplexer between two rows."""
    table = SramTable("", False, (Macro("a", 64, 64, False, 100.0), Macro("b", 64, 16, False, 40.0),
                                  Macro("c", 32, 32, True, 300.0)))

    def picked(depth, width, two_port=False, mux=0.0):
        memory = compile_memory(table, depth, width, two_port=two_port, mux_um2=mux)
        return memory.picked, memory.area_um2, memory.mux_levels
    assert picked(64, 64) == ("1 a", 100.0, 0)
    assert picked(1, 1) == ("1 b", 40.0, 0)
    assert picked(64, 80) == ("1 a + 1 b", 140.0, 0)
    assert picked(65, 64, mux=0.5) == ("2 a", 200.0 + 64 * 0.5, 1)
    assert picked(33, 32, two_port=True) == ("2 c", 600.0, 1)
    one_port = replace(table, macros=table.macros[:2])
    twice = compile_memory(one_port, 64, 64, two_port=True)
    assert twice.doubled and twice.area_um2 == 200 and twice.picked == "2 a"
    assert compile_memory(SramTable("", False), 4, 4, two_port=False) is None


def test_lanes():
    """A lane that is written by itself has macros of its own, or all share macros with masks; written lane by lane these are
    accessed more often.
    """
    plain = Macro("plain", 64, 32, False, 50.0, read_pj=1.0, write_pj=2.0, leakage_nw=3.0)
    masked = Macro("masked", 64, 64, False, 80.0, read_pj=1.5, write_pj=2.5, masked=True)

    def made(*macros, **what):
        return compile_memory(SramTable("", False, macros), 64, 64, two_port=False, **what)
    assert made(plain, masked).picked == made(plain, masked, lanes=2).picked == "1 masked"
    four = made(plain, lanes=4)
    assert (four.picked, four.width, four.area_um2, four.read_pj, four.write_pj, four.leakage_nw) == (
        "4 plain", 64, 200.0, 4.0, 8.0, 12.0)
    assert made(plain).picked == "2 plain" and made(plain, lanes=2).write_pj == made(plain).write_pj == 4.0
    assert [made(masked, lanes=lanes).write_pj for lanes in (1, 2, 8)] == [2.5, 5.0, 20.0]
    assert made(masked, lanes=8).read_pj == 1.5
    assert made(plain, masked, lanes=1).macros == (("masked", 1),)


def test_a_compiler_of_any_size():
    """Known by its density: one macro of just that size."""
    table = SramTable("", True, (), (Density(False, 0.5, fixed_area_um2=10.0, read_pj_per_bit=0.1),))
    memory = compile_memory(table, 100, 7, two_port=False)
    assert memory.area_um2 == 10 + 0.5 * 700 and memory.read_pj == pytest.approx(0.7) and memory.write_pj is None


@pytest.mark.parametrize(("change", "message"), [
    ({"depth": 0}, r"macro\[0\].depth = 0 is not legal; legal values: an integer from 1"),
    ({"width": 2.5}, r"macro\[0\].width = 2.5"), ({"two_port": 1}, "true or false"), ({"name": ""}, "a name"),
    ({"area_um2": -1}, "a number from 0"), ({"area_um2": float("nan")}, "a number from 0"), ({"ares": 1}, r"macro\[0\].ares"),
    ({"area_um2": None}, "macro.0..area_um2")])
def test_bad_tables(change, message):
    """The entry, its field and what is legal."""
    entry = {"name": "a", "depth": 4, "width": 4, "two_port": False, "area_um2": 1.0} | change
    with pytest.raises(UserError, match=message):
        parse_table({"macro": [entry]}, "x")


@pytest.mark.parametrize("values", [{}, {"macros": []}, {"macro": 3}, {"macro": [3]}, {"source": 1, "macro": []}])
def test_tables_that_are_none(values):
    with pytest.raises(UserError, match="legal"):
        parse_table(values, "x")


def test_a_missing_field_and_files(tmp_path):
    """A message of one line that names the file."""
    with pytest.raises(UserError, match=r"macro\[0\].area_um2 is missing"):
        parse_table({"macro": [{"name": "a", "depth": 4, "width": 4, "two_port": False}]}, "x")
    path = tmp_path / "my.toml"
    for text in ("[[macro]", "x = 1"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"--sram = .*my\.toml is not legal"):
            read_table(path)
    with pytest.raises(UserError, match=r"--sram = .*nothing"):
        read_table(tmp_path / "nothing.toml")


def test_a_table_of_the_user(tmp_path):
    """``--sram`` in place of what comes with the technology."""
    path = tmp_path / "my.toml"
    path.write_text('[[macro]]\nname = "mine"\ndepth = 16\nwidth = 8\ntwo_port = true\narea_um2 = 7\n')
    table = technology.load(sram=path).srams
    assert table.source == "my.toml" and compile_memory(table, 16, 16, two_port=True).area_um2 == 14


@pytest.mark.parametrize("name", ["sg13g2", "asap7"])
def test_the_memories_of_the_paper(name):
    """Every macro of a technology has what timing and power need, but the two-port ones; a slot takes what it must."""
    table = technology.load(name).srams
    assert all(None not in (macro.access_ps, macro.setup_ps, macro.read_pj, macro.write_pj, macro.leakage_nw)
               for macro in table.macros if not macro.two_port)
    slot = compile_memory(table, 768, 4096, two_port=False)
    assert slot.area_um2 > 768 * 4096 * min(macro.area_um2 / macro.depth / macro.width for macro in table.macros) * 0.999


def test_times_are_known():
    """A smaller macro without times is taken only where there is no other: with it the tile would have no speed."""
    known = Macro("known", 64, 32, False, 20.0, access_ps=5.0, setup_ps=1.0)
    small = Macro("small", 64, 32, True, 10.0)
    table = SramTable("", False, (known, small))
    assert compile_memory(table, 64, 32, two_port=False).picked == "1 known"
    assert compile_memory(table, 64, 32, two_port=True).picked == "1 small"
