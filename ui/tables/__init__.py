"""Tables of rows with an identity: one model, one view and one page for records and for live rows."""
