"""How a batch forms itself (docs/batch.md): queue, records, token lists, count exchange, order, load entries, results."""
