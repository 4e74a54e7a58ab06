"""Room of tactful_privacy."""
