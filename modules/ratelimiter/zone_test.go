package ratelimiter

import (
	"strings"
	"testing"
)

// What the directive refuses, JSON must not get through either.
func TestZonesThatAreRefusedInJSON(t *testing.T) {
	good := Zone{Name: "z", Key: []string{"client_ip"}, Rate: "1/s"}
	with := func(change func(*Zone)) []Zone {
		z := good
		change(&z)
		return []Zone{z}
	}
	tests := []struct {
		name  string
		zones []Zone
		want  string
	}{
		{"no zones", nil, "there is no zone"},
		{"too many zones", make([]Zone, maxZones+1), "more than 8 zones"},
		{"no name", with(func(z *Zone) { z.Name = "" }), `name ""`},
		{"a name that would end the String of the field", with(func(z *Zone) { z.Name = `a";r=9;x="` }), "letters, digits"},
		{"a name with a line feed", with(func(z *Zone) { z.Name = "a\n" }), "letters, digits"},
		{"no key", with(func(z *Zone) { z.Key = nil }), "key is missing"},
		{"an empty part", with(func(z *Zone) { z.Key = []string{""} }), `key ""`},
		{"an empty placeholder", with(func(z *Zone) { z.Key = []string{"{}"} }), "not a single placeholder"},
		{"a header without a name", with(func(z *Zone) { z.Key = []string{"header "} }), "not the name of a header"},
		{"text around a placeholder", with(func(z *Zone) { z.Key = []string{"a{b}"} }), "not client_ip"},
		{"no rate", with(func(z *Zone) { z.Rate = "" }), "rate is missing"},
		{"a bad rate", with(func(z *Zone) { z.Rate = "1" }), `rate "1"`},
		{"a negative burst", with(func(z *Zone) { z.Burst = -1 }), "burst -1"},
		{"a burst without bound", with(func(z *Zone) { z.Burst = maxBurst + 1 }), "burst 1000000001"},
		{"too few keys", with(func(z *Zone) { z.MaxKeys = 1 }), "max_keys 1"},
		{"negative keys", with(func(z *Zone) { z.MaxKeys = -1 }), "max_keys -1"},
		{"keys without bound", with(func(z *Zone) { z.MaxKeys = maxKeys + 1 }), "max_keys 100000001"},
		{"an IPv4 prefix that is everybody", with(func(z *Zone) { z.IPv4Prefix = 7 }), "ipv4_prefix 7"},
		{"an IPv4 prefix that is too long", with(func(z *Zone) { z.IPv4Prefix = 33 }), "ipv4_prefix 33"},
		{"an IPv6 prefix that is too long", with(func(z *Zone) { z.IPv6Prefix = 129 }), "ipv6_prefix 129"},
		{"an IPv6 prefix that is negative", with(func(z *Zone) { z.IPv6Prefix = -1 }), "ipv6_prefix -1"},
		{"one name twice", []Zone{good, good}, "zones[1] z: the name is given twice"},
		{"a principal before auth", with(func(z *Zone) { z.Key = []string{"principal"} }), "use quota"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := compileAll(tt.zones, nil, false); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	t.Run("all errors at once", func(t *testing.T) {
		_, _, err := compileAll([]Zone{{Name: "a", MaxKeys: 1}, {Name: "b", Key: []string{"x", "y"}}}, nil, false)
		for _, want := range []string{"zones[0] a: key is missing", "max_keys 1", "rate is missing", "zones[1] b", `key "x"`, `key "y"`} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v lacks %q", err, want)
			}
		}
	})
}

func TestDefaults(t *testing.T) {
	c, err := (&Zone{Name: "z", Key: []string{"client_ip"}, Rate: "50/s"}).compile(false)
	l, k := c.limit, c.key
	if err != nil {
		t.Fatal(err)
	}
	if l.burst() != 50 || l.sets*minKeys < defaultMaxKeys || k.ipv4 != 32 || k.ipv6 != 64 {
		t.Errorf("burst %d, %d sets, /%d, /%d", l.burst(), l.sets, k.ipv4, k.ipv6)
	}
}
