"""Die-to-die: flits, sender, receiver, router, link."""
