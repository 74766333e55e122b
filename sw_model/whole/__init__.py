"""Whole models around the MoE layers that the array computes."""
