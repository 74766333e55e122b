"""The tour (docs/tour.md) and its pictures."""
