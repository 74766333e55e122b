"""Expert buffer: the slots that hold micro-slices."""
