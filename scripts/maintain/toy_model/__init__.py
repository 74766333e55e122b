"""The toy Mixture-of-Experts language model (docs/toy_model.md): text, network, training, file, accuracy."""

#: The MoE layers' shape, that of configs/demo.toml. What NumPy needs to know too is in sw_model/gates/toy_model.py.
D_MODEL, D_FF, EXPERTS = 64, 64, 64
BLOCKS = 2
