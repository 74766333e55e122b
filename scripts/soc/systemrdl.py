"""The register map in SystemRDL 2.0, from its one description in ``trajectile.hw.host.regmap``."""

from trajectile.hw.host.codes import REFUSALS, Refusal
from trajectile.hw.host.regmap import Access, Field, Register, RegisterMap
from trajectile.hw.params import Params

#: what software does to a field, and hardware
_ACCESS = {
    Access.CONST: "sw = r; hw = na;",
    Access.RO: "sw = r; hw = w;",
    Access.RW: "sw = rw; hw = r;",
    Access.W1C: "sw = rw; onwrite = woclr; hw = w;",
    Access.W0C: "sw = rw; onwrite = wclr; hw = w;",  # the one value that is taken is 0
    Access.WO: "sw = w; singlepulse; hw = r;",
    Access.W1S: "sw = rw; onwrite = woset; hw = r;",
}
#: bytes from tile to tile in the address map of the array
TILE_STRIDE = 0x1000


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', "'") + '"'


def _field(register: Register, field: Field) -> str:
    access = _ACCESS[register.access]
    if register.access is Access.WO and field.width > 1:
        access = "sw = w; swmod; hw = r;"  # only a bit can be a pulse
    legal = f" Legal: {field.minimum} to {field.largest}." if register.writable else ""
    encode = " encode = refusal;" if (register.name, field.name) == ("REFUSED", "CODE") else ""
    return (f"        field {{ desc = {_quoted(field.meaning + '.' + legal)}; {access}{encode} }} "
            f"{field.name}[{field.low + field.width - 1}:{field.low}] = {field.reset};\n")


def _register(register: Register) -> str:
    note = " Writes need an idle tile." * register.idle_only + " IO_LOCK protects it." * register.lockable
    return (f"    reg {{\n        desc = {_quoted(register.meaning + '.' + note)}; regwidth = 32;\n"
            + "".join(_field(register, field) for field in register.fields)
            + f"    }} {register.name} @ 0x{register.offset:03X};\n")


def systemrdl(params: Params) -> str:
    """``trajectile_tile``, the map of one tile, and ``trajectile``, that of an array whose tiles lie 4 KiB apart."""
    regmap = RegisterMap(params)
    codes = "".join(f"    {code.name} = {Refusal.as_shape().width}'d{code.value} {{ desc = {_quoted(meaning)}; }};\n"
                    for code, meaning in REFUSALS.items())
    note = ", timing only" if params.timing_only else ""
    return (f"// Trajectile, configuration '{params.config.name}'{note}: registers of a tile and of the array.\n"
            "// Generated from hw/host/regmap.py; do not edit. registers.md says what each means.\n\n"
            f"enum refusal {{\n{codes}}};\n\n"
            "addrmap trajectile_tile {\n    desc = \"One tile, behind its AXI4-Lite port.\";\n    default regwidth = 32;\n"
            "    addressing = compact;\n\n"
            + "\n".join(map(_register, regmap.registers)) + "};\n\n"
            f"addrmap trajectile {{\n    desc = \"An array: its tiles {TILE_STRIDE // 1024} KiB apart.\";\n"
            f"    trajectile_tile tile[{params.config.array.tiles}] @ 0x0 += 0x{TILE_STRIDE:X};\n}};\n")
