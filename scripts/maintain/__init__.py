"""Maintainers' tools: they write pages of ``docs/`` and the toy model. Not installed with the package."""
