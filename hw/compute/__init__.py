"""Arithmetic: MAC array, SwiGLU lanes, sequencer, accumulators."""
