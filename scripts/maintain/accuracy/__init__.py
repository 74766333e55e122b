"""Accuracy where it means something: a real language model whose MLPs run in the integer layer."""
