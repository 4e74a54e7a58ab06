"""Off-policy evaluation of a push log: what would another policy have earned on the decisions that were logged?"""
