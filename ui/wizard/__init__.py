"""The wizard for a new trunk or line: a few questions, the records made of the answers, and whether they work."""
