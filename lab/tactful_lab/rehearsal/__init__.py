"""``tactful lab rehearse``: policies in a simulated world, on the same seeds, before one of them meets people."""
