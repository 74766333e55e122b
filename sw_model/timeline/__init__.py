"""When what happens: the timeline of a batch, and what follows from its events."""
