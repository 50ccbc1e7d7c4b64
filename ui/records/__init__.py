"""Table pages, forms and undo for the configuration, all generated from the records."""
