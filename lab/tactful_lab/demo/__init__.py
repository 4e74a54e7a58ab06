"""``tactful demo``: the whole idea on shopping households, from encrypted events to a decision in words."""
