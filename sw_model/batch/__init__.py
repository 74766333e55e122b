"""What a host and a tile exchange through memory: token records, results, completion records (docs/batch.md)."""
