"""The scripts of a fleet: what happens in Redis, and nobody comes between. Keys: see `fleet_store`."""

SERVER_TIME = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
"""How a script tells the time."""

WORDS = """
local function integer(number) return string.format('%.0f', number) end
local function text(number) return string.format('%.17g', number) end
"""

RENEW = """
local leases, reports, refused, hint, scopes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local scope, worker, ttl, window = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local quota, pace, day_quota = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local moved, refusals, day, minute, report = ARGV[9] == '1', tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13]
local KEPT, HISTORY, REPORTS = tonumber(ARGV[14]) * 1000, tonumber(ARGV[15]) * 1000, tonumber(ARGV[16])
local kind, firm = ARGV[17], ARGV[18] == '1'

-- who lives
local others, mine, whole = {}, nil, nil
local fields = redis.call('HGETALL', leases)
for i = 1, #fields, 2 do
    local name, words = fields[i], {}
    for word in string.gmatch(fields[i + 1], '%S+') do words[#words + 1] = tonumber(word) end
    local lease = {joined = words[1], rank = words[3], of = words[4]}
    lease.quota, lease.pace, lease.used = words[5], words[6], words[7]
    if name == ':quota' then
        whole = {kept = words[1], slot = words[2], before = words[3], least = words[4]}
    elseif name == worker then
        mine = words[2] > now and lease or nil
    elseif name ~= ':seq' then
        if words[2] > now then others[#others + 1] = lease else redis.call('HDEL', leases, name) end
    end
end
if not mine and #others == 0 and ttl > 0 then
    redis.call('HDEL', hint, 'kind') -- whoever found it is gone, and it may have been wrong
end
if not mine then
    mine = {joined = redis.call('HINCRBY', leases, ':seq', 1), rank = 0, of = 0, used = 0}
    redis.call('ZREMRANGEBYSCORE', scopes, '-inf', integer(now - KEPT))
    local old = redis.call('HGETALL', reports)
    for i = 1, #old, 2 do
        local seen = tonumber(string.match(old[i + 1], '^%S+'))
        local gone = redis.call('HEXISTS', leases, old[i]) == 0
        if seen <= now - HISTORY or (#old / 2 > REPORTS and gone) then redis.call('HDEL', reports, old[i]) end
    end
end
local was_first = mine.of > 0 and mine.rank == 0 -- who becomes it now has yet to learn what is known
mine.quota, mine.pace = quota, pace
if moved then mine.used = now end

-- the share: all shares together are never more than the whole
local members, before, held, uniform = #others + 1, 0, 0, true
for _, lease in ipairs(others) do
    if lease.joined < mine.joined then before = before + 1 end
    if lease.of > 0 then
        held = held + 1 / lease.of
        uniform = uniform and lease.of == members
    end
end
if held + 1 / members <= 1 + 1e-9 then
    mine.rank, mine.of = uniform and before or members - 1, members
end

-- the whole quota: the sum of what those measure that send
local sum, most, paces, known = 0, 0, 0, true
others[members] = mine
for _, lease in ipairs(others) do
    paces = paces + lease.pace
    if lease.used > now - 1.5 * window then
        sum, most = sum + lease.quota, math.max(most, lease.quota)
        known = known and lease.quota > 0
    end
end
known = known and sum > 0
if not whole then
    whole = {kept = tonumber(redis.call('HGET', hint, 'quota') or 0), slot = -2, before = 0, least = 0}
end
if known then
    local slot = math.floor(now / window)
    if slot > whole.slot then
        whole.before = slot == whole.slot + 1 and whole.least or 0
        whole.slot, whole.least = slot, sum
    end
    whole.least = math.min(whole.least, sum)
    whole.kept = math.min(sum, math.max(whole.kept, most, math.min(whole.before, whole.least)))
    redis.call('HSET', leases, ':quota',
        string.format('%.17g %.0f %.17g %.17g', whole.kept, whole.slot, whole.before, whole.least))
end
local told = math.max(whole.kept, most)

-- what the next run may start from
local news = {}
local function keep(name, value) news[#news + 1] = name; news[#news + 1] = value end
if known and firm then keep('quota', text(told)) end
if paces > 0 and ttl > 0 then keep('pace', text(paces)) end
if kind ~= '' and (was_first or redis.call('HEXISTS', hint, 'kind') == 0) then
    keep('kind', kind)
    keep('boundary', ARGV[8])
end
if day_quota > 0 then
    local old = redis.call('HMGET', hint, 'day_quota', 'day_quota_at')
    if not old[1] or tonumber(old[1]) < day_quota or tonumber(old[2]) <= now - KEPT then
        keep('day_quota', ARGV[7])
        keep('day_quota_at', integer(now))
    end
end
if #news > 0 then keep('kept_at', integer(now)) end
if day ~= '' then keep('day', day) end
if minute ~= '' then keep('minute', minute) end
if day ~= '' or minute ~= '' then keep('told_at', integer(now)) end
if #news > 0 then
    redis.call('HSET', hint, unpack(news))
    redis.call('PEXPIRE', hint, KEPT)
end

if refusals > 0 then
    local this = math.floor(now / 60000)
    for _, name in ipairs(redis.call('HKEYS', refused)) do
        if tonumber(name) <= this - HISTORY / 60000 then redis.call('HDEL', refused, name) end
    end
    redis.call('HINCRBY', refused, integer(this), refusals)
    redis.call('PEXPIRE', refused, HISTORY + 60000)
end
if ttl > 0 then
    redis.call('HSET', leases, worker, string.format('%.0f %.0f %d %d %.17g %.17g %.0f',
        mine.joined, now + ttl, mine.rank, mine.of, quota, pace, mine.used))
else
    redis.call('HDEL', leases, worker)
end
redis.call('PEXPIRE', leases, math.max(HISTORY, ttl))
redis.call('HSET', reports, worker, integer(now) .. ' ' .. report)
redis.call('PEXPIRE', reports, math.max(HISTORY, ttl))
redis.call('ZADD', scopes, integer(now), scope)
redis.call('PEXPIRE', scopes, KEPT)
local refills = redis.call('HMGET', hint, 'kind', 'boundary')
return {mine.rank, mine.of, members, text(told), text(paces), refills[1] or '', refills[2] or '0'}
"""
"""Report and lease in one; it answers a `Lease`. With a ttl of 0 the worker leaves. It may run twice.

The share is one part of as many as there are members, or what the worker had before (at first nothing) where the
others still hold too much. Ranks go by the order of joining, so they only sink, and one that is held from before cannot
collide with a lower one that is given now. While somebody holds a share of another size the rank is the last, which
rounds down.

What one measures is what its own calls were worth: about its part of the whole, so the sum is the whole, but for a
while after somebody came, went, began or ceased to send: until all have measured anew, in about a window. So the sum is
believed at once where it falls, and where it rises only as far as it did not fall below for a window or two.

How the quota is refilled only the first process can look for: the others believe what it found.
"""

LOOK = """
return {integer(now), redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]),
    redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4])}
"""
