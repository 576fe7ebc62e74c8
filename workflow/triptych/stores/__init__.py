"""What lies on disk: one module per store, with its schema, open, create and check."""
