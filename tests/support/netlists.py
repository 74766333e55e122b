"""Netlists by hand."""

from trajectile.scripts.area.netlist import CONSTANTS, Module


def module(name, inputs, outputs, *instances):
    """Instances are a kind and its pins, ``"INV A=a Y=b"``."""
    made = Module(name)
    numbers = {net: number for number, net in enumerate(CONSTANTS)}

    def number(net):
        if net not in numbers:
            numbers[net] = len(made.nets)
            made.nets.append(net)
        return numbers[net]
    made.inputs, made.outputs = [number(net) for net in inputs], [number(net) for net in outputs]
    for text in instances:
        kind, *pins = text.split()
        made.cells.append((kind, [(pin.split("=")[0], number(pin.split("=")[1])) for pin in pins]))
    return made
