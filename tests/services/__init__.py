"""The real services behind `bin/services`: one module per server, standard library only."""
