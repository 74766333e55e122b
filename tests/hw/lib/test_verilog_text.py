"""Text of the generated Verilog: names."""

from trajectile.hw.lib.verilog_text import plain_names


def test_a_field_and_a_port_of_the_same_name():
    """A port keeps its name, the field that would have the same gets another one."""
    text = "module m(a__b);\n  input a__b;\n  wire a__b;\n  wire \\a.b ;\n  assign \\a.b  = a__b;\nendmodule\n"
    assert plain_names(text) == (
        "module m(a__b);\n  input a__b;\n  wire a__b;\n  wire a__b_;\n  assign a__b_  = a__b;\nendmodule\n")
