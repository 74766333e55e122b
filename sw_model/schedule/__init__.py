"""The schedule of a batch: placement of tokens, token lists, load order."""
