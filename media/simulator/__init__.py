"""The media's own side, on loopback: answers as the media do, with their quotas, their refusals and their faults.

It tests the clients, so it shares no code with them: nothing of ark, handlers or media.gdt is imported here.

    scenario      what is simulated, typed: TOML or JSON
    world         tenants, agents, accounts: ids and seeded numbers, as pure functions
    quota         minute and day counters: fixed, sliding, bucket
    nonces        what each token has used already
    tokens        access and refresh tokens: expiry, rotation
    faults        what goes wrong, for whom, how often
    answers       what a dialect gives the frame to send
    server        the frame: connections, latency, faults, statistics, /_sim
    gdt*          the dialect of gdt
    wx, wx_*      wx in the dialect that it shares with gdt
    wx_b*         wx in WeChat's own dialect
    jrtt*         the dialect of jrtt
"""
