"""All states of a small system, found without any of the reductions of the searches."""


def reachable(system):
    """States that its steps lead to from its start, the start among them."""
    found, todo = {system.start}, [system.start]
    while todo:
        for _, state in system.steps(todo.pop()):
            if state not in found:
                found.add(state)
                todo.append(state)
    return found
