"""The study: settings, sample sheet, jobs and their places, plan, status, verification, and the driver of Snakemake."""
