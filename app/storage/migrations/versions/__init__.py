"""One file per step of the database's history, in the order of their numbers. Steps are added, never changed."""
