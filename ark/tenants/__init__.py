"""Which tenants and agents there are: read from the tenants' database, kept in Redis.

rules    conf/tenants.toml: which values count, and what is started      views   the two views, read (conf/tenants.sql)
judge    what of their rows counts, and what is wrong with the rest      lists   the agents in Redis, replaced at once
"""
