package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/valkey-io/valkey-go"
)

// keptMarks is how many changes of the list are known by their marks. A reader who is
// further behind reads all of it again.
const keptMarks = 1024

// The list is three keys: a hash of entries by ID and, under #, the last number; a
// sorted set of the IDs by number, which is the order; and one of the marks of
// changes. A server that evicts, or was made anew, can lose each of them alone: so
// they have to fit together. Marks are random, so those of a list that a failover
// took back, or that began anew, are not those that the reader knows.
const (
	fits = `
local n, z, m = redis.call('HLEN', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3])
local empty = n == 0 and z == 0 and m == 0
local whole = empty or (n == z + 1 and m > 0)
`
	putText = fits + `
local mode, most, mark, kept, marks = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
if not whole and mode ~= 'restore' then return 'damaged' end
if not whole or empty then
	redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
	n, z = 0, 0
end
local last = tonumber(redis.call('HGET', KEYS[1], '#') or '0')
local began, full = last, false
local function put(id, value)
	last = last + 1
	redis.call('HSET', KEYS[1], id, value)
	redis.call('ZADD', KEYS[2], last, id)
end
for i = 6, #ARGV, 4 do
	local id, till, before, reason = ARGV[i], tonumber(ARGV[i+1]), tonumber(ARGV[i+2]), ARGV[i+3]
	local old = redis.call('HGET', KEYS[1], id)
	local t, b, gone
	if old then
		t, b, gone = string.match(old, '^(%d+) (%d+) ([01]) ')
		t, b = tonumber(t), tonumber(b)
	end
	if mode == 'unrevoke' then
		if old and gone ~= '1' then
			local now = tonumber(redis.call('TIME')[1])
			put(id, string.format('%.0f 0 1 ', now + tonumber(kept)))
		end
	elseif not old and z >= most then
		full = true
		break
	elseif not (gone == '1' and mode == 'restore') then
		local same = false
		if gone == '0' then
			if t == 0 or till == 0 then till = 0 else till = math.max(till, t) end
			before = math.max(before, b)
			same = till == t and before == b
		end
		if not old then z = z + 1 end
		if not same then put(id, string.format('%.0f %.0f 0 %s', till, before, reason)) end
	end
end
if last ~= began then
	redis.call('HSET', KEYS[1], '#', string.format('%.0f', last))
	redis.call('ZADD', KEYS[3], last, mark)
	redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -(marks + 1))
end
if full then return 'full' end
return 'ok'
`
	// A replica may be cut off from its master, as an old one is whose connections
	// outlive a failover. It refuses to write, if only nothing.
	readText = `
local written = redis.pcall('PERSIST', KEYS[1])
if type(written) == 'table' and written.err and string.find(written.err, 'READONLY', 1, true) then
	return redis.error_reply('READONLY the server is a replica')
end
` + fits + `
if not whole then return {'damaged'} end
if empty then return {'0', '', '0'} end
local goes = ARGV[2] ~= '' and redis.call('ZSCORE', KEYS[3], ARGV[2])
local after = goes and ARGV[1] or '0'
local page = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local answer = {goes and '1' or '0', redis.call('ZREVRANGE', KEYS[3], 0, 0)[1], tostring(z)}
local ids = {}
for i = 1, #page, 2 do ids[#ids+1] = page[i] end
if #ids == 0 then return answer end
local values = redis.call('HMGET', KEYS[1], unpack(ids))
for i = 1, #ids do
	if not values[i] then return {'damaged'} end
	answer[#answer+1] = ids[i]
	answer[#answer+1] = page[2*i]
	answer[#answer+1] = values[i]
end
return answer
`
	discardText = `
local over = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[1])
local kept = {}
for i = 2, #ARGV do
	local value = redis.call('HGET', KEYS[1], ARGV[i])
	local till = value and tonumber(string.match(value, '^(%d+) '))
	if till and till ~= 0 and till < over then
		redis.call('HDEL', KEYS[1], ARGV[i])
		redis.call('ZREM', KEYS[2], ARGV[i])
	elseif value then
		kept[#kept+1] = ARGV[i]
	end
end
return kept
`
)

var (
	putScript     = valkey.NewLuaScript(putText)
	readScript    = valkey.NewLuaScript(readText)
	discardScript = valkey.NewLuaScript(discardText)
)

// Revoke implements Revocations.
func (r *Redis) Revoke(ctx context.Context, entries ...Revocation) error {
	return r.put(ctx, "revoke", entries)
}

// Restore implements Revocations.
func (r *Redis) Restore(ctx context.Context, entries ...Revocation) error {
	return r.put(ctx, "restore", entries)
}

// Unrevoke implements Revocations.
func (r *Redis) Unrevoke(ctx context.Context, ids ...string) error {
	entries := make([]Revocation, len(ids))
	for i, id := range ids {
		entries[i].ID = id
	}
	return r.put(ctx, "unrevoke", entries)
}

func (r *Redis) put(ctx context.Context, mode string, entries []Revocation) error {
	if err := checkRevocations(entries); err != nil {
		return err
	}
	args := []string{mode, strconv.Itoa(MostRevocations), rand.Text(), strconv.Itoa(int(KeptRemoved.Seconds())), strconv.Itoa(keptMarks)}
	for _, e := range entries {
		args = append(args, e.ID, strconv.FormatInt(e.Until, 10), strconv.FormatInt(e.Before, 10), e.Reason)
	}
	return r.script(ctx, putScript, args)
}

// Discard implements Revocations.
func (r *Redis) Discard(ctx context.Context, ids ...string) (kept []string, err error) {
	if err := checkIDs(ids); err != nil {
		return nil, err
	}
	answer, err := r.Run(ctx, discardScript, r.revocations, append([]string{strconv.Itoa(int(Overdue.Seconds()))}, ids...))
	if err != nil {
		return nil, err
	}
	if kept, err = answer.AsStrSlice(); err != nil {
		return nil, &Error{Store: r.Name(), Reason: ReasonRefused, Err: errMalformed}
	}
	return kept, nil
}

// script runs one that answers with a word.
func (r *Redis) script(ctx context.Context, script *valkey.Lua, args []string) error {
	answer, err := r.Run(ctx, script, r.revocations, args)
	if err != nil {
		return err
	}
	switch text, err := answer.ToString(); {
	case err == nil && text == "ok":
		return nil
	case err == nil && text == "full":
		return ErrManyRevocations
	case err == nil && text == "damaged":
		return ErrRevocationsDamaged
	}
	return &Error{Store: r.Name(), Reason: ReasonRefused, Err: errMalformed}
}

// Revoked implements Revocations.
func (r *Redis) Revoked(ctx context.Context, after Position, limit int) (RevocationPage, error) {
	if err := checkLimit(limit); err != nil {
		return RevocationPage{}, err
	}
	answer, err := r.Run(ctx, readScript, r.revocations, []string{strconv.FormatInt(after.Number, 10), after.mark, strconv.Itoa(limit)})
	if err != nil {
		return RevocationPage{}, err
	}
	fields, err := answer.AsStrSlice()
	if err != nil {
		return RevocationPage{}, &Error{Store: r.Name(), Reason: ReasonRefused, Err: errMalformed}
	}
	p, err := readPage(fields, after, limit)
	if errors.Is(err, errMalformed) {
		err = &Error{Store: r.Name(), Reason: ReasonRefused, Err: err}
	}
	return p, err
}

// readPage reads what the server says is behind after: whether that is a place in
// its list, the mark of the last change, how many there are, and the entries with
// their numbers. Nothing that is malformed is left out: a revocation would be lost.
func readPage(fields []string, after Position, limit int) (RevocationPage, error) {
	if len(fields) == 1 && fields[0] == "damaged" {
		return RevocationPage{}, ErrRevocationsDamaged
	}
	if len(fields) < 3 || len(fields)%3 != 0 || len(fields)/3-1 > limit || fields[0] != "0" && fields[0] != "1" {
		return RevocationPage{}, fmt.Errorf("%w: no page of revocations", errMalformed)
	}
	total, err := strconv.Atoi(fields[2])
	rest := fields[3:]
	if err != nil || total < len(rest)/3 || fields[1] == "" && (total > 0 || fields[0] == "1") {
		return RevocationPage{}, fmt.Errorf("%w: no page of revocations", errMalformed)
	}
	p := RevocationPage{Restarted: fields[0] == "0", Total: total, Next: Position{after.Number, fields[1]}, Complete: len(rest)/3 < limit}
	if p.Restarted {
		p.Next.Number = 0
	}
	for ; len(rest) > 0; rest = rest[3:] {
		number, err := strconv.ParseInt(rest[1], 10, 64)
		if err != nil || number <= p.Next.Number {
			return RevocationPage{}, fmt.Errorf("%w: revocations are not in order", errMalformed)
		}
		e, ok := readEntry(rest[0], rest[2])
		if !ok {
			return RevocationPage{}, fmt.Errorf("%w: no revocation", errMalformed)
		}
		p.Next.Number = number
		p.Entries = append(p.Entries, e)
	}
	return p, nil
}

// readEntry reads `<until> <before> <removed> <reason>`.
func readEntry(id, value string) (e Revocation, ok bool) {
	parts := strings.SplitN(value, " ", 4)
	if len(parts) != 4 || parts[2] != "0" && parts[2] != "1" {
		return e, false
	}
	e = Revocation{ID: id, Reason: parts[3]}
	var errs [2]error
	e.Until, errs[0] = strconv.ParseInt(parts[0], 10, 64)
	e.Before, errs[1] = strconv.ParseInt(parts[1], 10, 64)
	if errs[0] != nil || errs[1] != nil || e.check() != nil {
		return e, false
	}
	e.Removed = parts[2] == "1"
	return e, true
}
