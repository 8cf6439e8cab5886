"""What Redis knows of a tenant: agents, their tokens, their accounts. The only place that knows redis-py.

keys            the names of the sorted sets        members         what is an account, an agent, a score
directory       `connect`, and reading the sets     account_list    how a list interface replaces its agent's accounts
tokens          a token per agent, read again or    token_pairs     a new pair of tokens in the place of the old one
                renewed when it is refused          token_spool     the same on disk until Redis has it
lease           one holder at a time                embedded_redis  the server of this machine, where no other is set
"""
