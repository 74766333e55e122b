"""The golden model: numerics, scheduler and timeline of expert streaming. Knows nothing of ``hw``."""
