"""Open hardware for Mixture-of-Experts inference: the generator, its golden model, its testbenches."""
