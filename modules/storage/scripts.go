package storage

import "github.com/valkey-io/valkey-go"

// What a storage has in the store, all in one slot of a cluster by the hash tag:
//
//	{prefix}:values      hash, name → envelope
//	{prefix}:names       sorted set of the names, all of score 0, for prefixes
//	{prefix}:fences      hash, name of a lock → the last fencing token
//	{prefix}:lock:<name> the owner's random token, for the length of the lease
//
// The scripts name all keys that they touch.

// luaFence refuses what is done under a lock that was lost. From key 4 on and
// argument `arg` on stand the locks that the process believes to hold, with their
// token, name and fence. A lock that ran out and that nobody has had since (its
// fence tells) is taken again: nobody can have seen it free.
const luaFence = `
local function lost(arg, lease)
  for i = 4, #KEYS do
    local token, name, fence = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
    arg = arg + 3
    local owner = redis.call('GET', KEYS[i])
    if owner ~= token then
      if owner or redis.call('HGET', KEYS[3], name) ~= fence then return name end
      redis.call('SET', KEYS[i], token, 'PX', lease)
    end
  end
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
	// storeScript: name, envelope, lease, locks.
	storeScript = valkey.NewLuaScript(luaFence + luaKind + `
local name = ARGV[1]
local which = lost(4, ARGV[3])
if which then return {'lost', which} end
local from = 1
while true do
  local slash = name:find('/', from, true)
  if not slash then break end
  local parent = name:sub(1, slash - 1)
  if redis.call('HEXISTS', KEYS[1], parent) == 1 then return {'file', parent} end
  from = slash + 1
end
if #below(name) > 0 then return {'directory', name} end
redis.call('HSET', KEYS[1], name, ARGV[2])
redis.call('ZADD', KEYS[2], 0, name)
return {'done', ''}`)

	// deleteScript: name, lease, locks.
	deleteScript = valkey.NewLuaScript(luaFence + `
local name = ARGV[1]
local which = lost(3, ARGV[2])
if which then return {'lost', which} end
redis.call('HDEL', KEYS[1], name)
redis.call('ZREM', KEYS[2], name)
local from, to = '[' .. name .. '/', '(' .. name .. '0'
while true do
  local names = redis.call('ZRANGEBYLEX', KEYS[2], from, to, 'LIMIT', 0, 500)
  if #names == 0 then break end
  redis.call('HDEL', KEYS[1], unpack(names))
  redis.call('ZREM', KEYS[2], unpack(names))
end
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

	// lockScript: lock, fences; token, name, lease. Fencing tokens are at least the
	// time, so that they grow also when the store has lost its memory. Another
	// attempt of the same owner succeeds again. The answer is the fence, or the
	// lease that the other owner has left, negative.
	lockScript = valkey.NewLuaScript(`
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return redis.call('HGET', KEYS[2], ARGV[2])
end
if owner then return tostring(-math.max(redis.call('PTTL', KEYS[1]), 1)) end
local now = redis.call('TIME')
local fence = math.max(tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or 0) + 1, now[1] * 1000 + math.floor(now[2] / 1000))
fence = string.format('%.0f', fence)
redis.call('HSET', KEYS[2], ARGV[2], fence)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return fence`)

	// renewScript: lock, fences; token, name, lease, fence. The answer is 1 if the
	// owner still has it, or has it again since nobody took it.
	renewScript = valkey.NewLuaScript(`
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] or not owner and redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[4] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  return 1
end
return 0`)

	// unlockScript: lock, fences; token, name, fence. The fence moves on, so that
	// what this owner sent before and arrives later finds the lock lost. The answer
	// is 1, or 0 if the lease had run out, or -1 if another has had the lock since.
	unlockScript = valkey.NewLuaScript(`
local owner = redis.call('GET', KEYS[1])
if owner ~= ARGV[1] then
  if owner or redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then return -1 end
  redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
  return 0
end
redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
redis.call('DEL', KEYS[1])
return 1`)
)
