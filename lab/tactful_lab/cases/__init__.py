"""``tactful lab case``: two worked case studies, from content choice to a decision on a device."""
