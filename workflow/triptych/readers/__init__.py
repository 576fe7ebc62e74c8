"""Foreign files to arrays, chunk by chunk. Readers know no mathematics."""
