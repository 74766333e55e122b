"""The toy Mixture-of-Experts language model (docs/toy_model.md): text, network, export."""

#: The exported layer's shape, that of configs/demo.toml.
D_MODEL, D_FF, EXPERTS, TOP_K = 64, 64, 64, 6
#: Bytes that the model sees at once.
CONTEXT = 128
