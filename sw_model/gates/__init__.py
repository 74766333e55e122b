"""Gate decisions: traces of real models, synthetic gates, the toy model."""
