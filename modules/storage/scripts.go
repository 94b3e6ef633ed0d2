package storage

import "github.com/valkey-io/valkey-go"

// What a storage has in the store, all in one slot of a cluster by the hash tag:
//
//	{prefix}:values         hash, name → envelope
//	{prefix}:names          sorted set of the names, all of score 0, for prefixes
//	{prefix}:writer:<id>    sorted set of what a process changed lately: the name of
//	                        a value that it stored, and of one that it deleted with
//	                        all below it, with a slash behind; the score is the
//	                        number of the call
//	{prefix}:lock:<name>    the owner's random token, for the length of the lease
//	{prefix}:fence:<name>   the last fencing token of the lock
//	{prefix}:ended:<token>  of an owner that releases: 1 if it had the lock until
//	                        then, 0 if it was lost
//
// The scripts name all keys that they touch. The last three kinds of keys and the
// writer's expire.
//
// An attempt may arrive when its call has ended long ago, because the connection
// broke and another attempt got through. It changes nothing then: a value's is not
// newer than what the writer's set has, a lock's is of an owner that has ended,
// and a renewal's or a fenced one's finds that the fence has moved on.
//
// A server that is out of memory refuses a script at its first write, if that is
// one that may need memory, and none behind it. What releases and renews therefore
// begins with one that needs none.

// luaFence refuses what is done under a lock that was lost. From key 4 and
// argument 7 on stand the locks that the process believes to hold: the lock and its
// fence, and the owner's token, the name and the owner's fence. Whoever takes or
// releases a lock moves its fence. So a lock that ran out and whose fence is the
// owner's is taken again: nobody can have seen it free.
const luaFence = `
local function lost()
  local arg = 7
  for i = 4, #KEYS, 2 do
    local token, name, fence = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
    arg = arg + 3
    local owner = redis.call('GET', KEYS[i])
    if owner and owner ~= token or redis.call('GET', KEYS[i + 1]) ~= fence then return name end
    if not owner then redis.call('SET', KEYS[i], token, 'PX', ARGV[2]) end
  end
end
`

// luaWriter puts the calls of one process in order. newer has what this call or
// newer ones changed, which this attempt therefore leaves alone.
const luaWriter = `
local newer = {}
for _, changed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], ARGV[3], '+inf')) do newer[changed] = true end
local function changed(what)
  redis.call('ZADD', KEYS[3], ARGV[3], what)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[4])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
`

// luaKind tells what a name is.
const luaKind = `
local function below(name)
  if name == '' then return redis.call('ZRANGEBYLEX', KEYS[2], '-', '+', 'LIMIT', 0, 1) end
  return redis.call('ZRANGEBYLEX', KEYS[2], '[' .. name .. '/', '(' .. name .. '0', 'LIMIT', 0, 1)
end
local function kind(name)
  if name == '' then return 'directory' end
  if redis.call('HEXISTS', KEYS[1], name) == 1 then return 'file' end
  if #below(name) > 0 then return 'directory' end
  return 'none'
end
`

var (
	// storeScript: values, names, writer, locks; name, lease, number of the call,
	// number of the calls to forget, milliseconds to remember, envelope, locks.
	storeScript = valkey.NewLuaScript(luaFence + luaWriter + luaKind + `
local name = ARGV[1]
local which = lost()
if which then return {'lost', which} end
if newer[name] or newer[name .. '/'] then return {'done', ''} end
local from = 1
while true do
  local slash = name:find('/', from, true)
  if not slash then break end
  local parent = name:sub(1, slash - 1)
  if newer[parent .. '/'] then return {'done', ''} end
  if redis.call('HEXISTS', KEYS[1], parent) == 1 then return {'file', parent} end
  from = slash + 1
end
if #below(name) > 0 then return {'directory', name} end
redis.call('HSET', KEYS[1], name, ARGV[6])
redis.call('ZADD', KEYS[2], 0, name)
changed(name)
return {'done', ''}`)

	// deleteScript: as storeScript; the envelope is empty.
	deleteScript = valkey.NewLuaScript(luaFence + luaWriter + `
local name = ARGV[1]
local which = lost()
if which then return {'lost', which} end
if newer[name .. '/'] then return {'done', ''} end
local function delete(found)
  if newer[found] then return end
  redis.call('HDEL', KEYS[1], found)
  redis.call('ZREM', KEYS[2], found)
end
delete(name)
local from, to = '[' .. name .. '/', '(' .. name .. '0'
while true do
  local names = redis.call('ZRANGEBYLEX', KEYS[2], from, to, 'LIMIT', 0, 500)
  if #names == 0 then break end
  for _, found in ipairs(names) do delete(found) end
  from = '(' .. names[#names]
end
changed(name .. '/')
return {'done', ''}`)

	// kindScript: name.
	kindScript = valkey.NewLuaScript(luaKind + `return kind(ARGV[1])`)

	// walkScript: name. All files below it, behind its kind.
	walkScript = valkey.NewLuaScript(luaKind + `
local name = ARGV[1]
local names
if name == '' then
  names = redis.call('ZRANGEBYLEX', KEYS[2], '-', '+')
else
  names = redis.call('ZRANGEBYLEX', KEYS[2], '[' .. name .. '/', '(' .. name .. '0')
end
table.insert(names, 1, kind(name))
return names`)

	// childrenScript: name. What is directly below it, behind its kind. It skips
	// over what is in a directory, instead of reading it.
	childrenScript = valkey.NewLuaScript(luaKind + `
local name = ARGV[1]
local out = {kind(name)}
local base, from, to = name .. '/', '[' .. name .. '/', '(' .. name .. '0'
if name == '' then base, from, to = '', '-', '+' end
local last
while true do
  local names = redis.call('ZRANGEBYLEX', KEYS[2], from, to, 'LIMIT', 0, 64)
  if #names == 0 then return out end
  for _, found in ipairs(names) do
    local slash = found:find('/', #base + 1, true)
    local child = slash and found:sub(1, slash - 1) or found
    if child ~= last then out[#out + 1] = child end
    last = child
    from = slash and '[' .. child .. '0' or '(' .. found
  end
end`)

	// lockScript: lock, fence, ended; token, lease, milliseconds to keep the fence,
	// longest lease.
	// Fencing tokens are at least the time, so that they grow also when the last one
	// expired or the store has lost its memory. Another attempt of the same owner
	// succeeds again. The answer is the fence, or the lease that the other owner has
	// left, negative, or 0 if this owner has ended. A lease that is longer than any,
	// or has no end, is of a server whose clock was set back or of a restored copy:
	// it gets the longest, in which an owner that lives renews it.
	lockScript = valkey.NewLuaScript(`
if redis.call('EXISTS', KEYS[3]) == 1 then return '0' end
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return redis.call('GET', KEYS[2]) or '0'
end
if owner then
  local left, longest = redis.call('PTTL', KEYS[1]), tonumber(ARGV[4])
  if left < 0 or left > longest then
    left = longest
    redis.call('PEXPIRE', KEYS[1], left)
  end
  return tostring(-math.max(left, 1))
end
local now = redis.call('TIME')
local fence = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, now[1] * 1000 + math.floor(now[2] / 1000))
fence = string.format('%.0f', fence)
redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return fence`)

	// renewScript: lock, fence, ended; token, lease, milliseconds to keep the fence,
	// fence. The answer is 1 if the owner still has it, or has it again since nobody
	// took it.
	renewScript = valkey.NewLuaScript(`
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[4] then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if owner then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1`)

	// unlockScript: lock, fence, ended; token, milliseconds to remember the end,
	// milliseconds to keep the fence, fence. The answer is 1, or 0 if another may
	// have had the lock since it was taken. It is the same for each attempt.
	unlockScript = valkey.NewLuaScript(`
local before = redis.call('GET', KEYS[3])
if before then return tonumber(before) end
local owner = redis.call('GET', KEYS[1])
local had = (not owner or owner == ARGV[1]) and redis.call('GET', KEYS[2]) == ARGV[4]
redis.call('DEL', KEYS[owner == ARGV[1] and 1 or 3])
if had then
  redis.call('INCR', KEYS[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
redis.call('SET', KEYS[3], had and 1 or 0, 'PX', ARGV[2])
return had and 1 or 0`)
)
