"""Changes, plans, fingerprints and counts: the pure shape of "what would happen"."""
