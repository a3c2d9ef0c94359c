-- The interpreter inside redis, its calls of commands, its own C functions.
local s, t = 0, {}
for i = 1, 20000 do s = s + i % 7 end
for i = 1, 2000 do t[i] = tostring((i * 7919) % 997) end
table.sort(t, function(a, b) return a < b end)
for i = 1, 200 do redis.call('zadd', 'lua', i, t[i]) end
return #cjson.encode(t) + #cmsgpack.pack(t) + #redis.call('zrange', 'lua', 0, -1)
