"""Data, no code: default settings, one file per medium, the tables, the jobs and what follows what."""
