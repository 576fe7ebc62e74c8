"""The command line of triptych: parsing and printing, nothing else."""
