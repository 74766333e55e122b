"""Checkpoints of models: the tensors of one Mixture-of-Experts layer."""
