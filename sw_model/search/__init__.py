"""The exhaustive search of the virtualization rules on small arrays (docs/rules.md)."""
