package storage

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

// cluster starts three nodes that share the slots.
func cluster(t *testing.T) []*storetest.Server {
	t.Helper()
	setKeys(t)
	var nodes []*storetest.Server
	args := []string{"--cluster", "create"}
	for range 3 {
		n := storetest.Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		nodes, args = append(nodes, n), append(args, n.Addr)
	}
	if out, err := exec.Command("redis-cli", append(args, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	until(t, "the cluster agrees", func() bool {
		for _, n := range nodes {
			if !strings.Contains(n.Command(t, "CLUSTER", "INFO"), "cluster_state:ok") {
				return false
			}
		}
		return true
	})
	return nodes
}

// everything does each kind of operation.
func everything(t *testing.T, s *Storage) {
	t.Helper()
	lock(t, s, "l")
	for i := range 5 {
		put(t, s, fmt.Sprintf("d/%d/v", i), "v")
	}
	if err := s.Delete(t.Context(), "d/4"); err != nil {
		t.Error(err)
	}
	lists(t, s, "d", false, "d/0", "d/1", "d/2", "d/3")
	lists(t, s, "d", true, "d/0", "d/0/v", "d/1", "d/1/v", "d/2", "d/2/v", "d/3", "d/3/v")
	exists(t, s, "d", "d/0/v")
	if got, err := s.Load(t.Context(), "d/0/v"); err != nil || string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.RenewLockLease(t.Context(), "l", 0); err != nil {
		t.Error(err)
	}
	unlock(t, s, "l")
}

func TestACluster(t *testing.T) {
	nodes := cluster(t)
	all := fmt.Sprintf(`"address":[%q,%q,%q],"wait":"30s"`, nodes[0].Addr, nodes[1].Addr, nodes[2].Addr)
	for _, prefix := range []string{"one", "two", "three", "four", "five", "six"} { // of slots on several nodes
		everything(t, open(t, "", all, `"prefix":"`+prefix+`"`))
		everything(t, open(t, nodes[1].Addr, `"cluster":true,"wait":"30s"`, `"prefix":"`+prefix+`-discovered"`))
	}
	used := 0
	for _, n := range nodes {
		n.Command(t, "ACL", "SETUSER", "default", "-info")
	}
	everything(t, open(t, "", all, `"prefix":"seven","timeout":"2s"`))
	for _, n := range nodes {
		until(t, "every node is asked whether it evicts", func() bool { return strings.Contains(n.Command(t, "ACL", "LOG"), "info") })
		if n.Command(t, "DBSIZE") != "0" {
			used++
		}
	}
	if used < 2 {
		t.Errorf("%d nodes have anything", used)
	}
}

func TestAClusterMovesTheSlots(t *testing.T) {
	nodes := cluster(t)
	s := open(t, "", fmt.Sprintf(`"address":[%q,%q,%q],"wait":"30s"`, nodes[0].Addr, nodes[1].Addr, nodes[2].Addr))
	everything(t, s)
	slot := nodes[0].Command(t, "CLUSTER", "KEYSLOT", "{caddy}:values")
	from, to := -1, -1
	for i, n := range nodes {
		if n.Command(t, "DBSIZE") != "0" {
			from = i
		} else {
			to = i
		}
	}
	source, target := nodes[from], nodes[to]
	target.Command(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", source.Command(t, "CLUSTER", "MYID"))
	source.Command(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", target.Command(t, "CLUSTER", "MYID"))
	keys := strings.Fields(source.Command(t, "CLUSTER", "GETKEYSINSLOT", slot, "100"))
	source.Command(t, append([]string{"MIGRATE", "127.0.0.1", target.Port, "", "0", "5000", "KEYS"}, keys...)...)
	for _, n := range []*storetest.Server{target, source} {
		n.Command(t, "CLUSTER", "SETSLOT", slot, "NODE", target.Command(t, "CLUSTER", "MYID"))
	}
	if got, err := s.Load(t.Context(), "d/0/v"); err != nil || string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
	everything(t, s)
}

func TestASentinelNamesTheNewMaster(t *testing.T) {
	setKeys(t)
	t.Setenv("SALLYPORT_TEST_PASSWORD", "right")
	t.Setenv("REDISCLI_AUTH", "right")
	first := storetest.Start(t, "--requirepass", "right", "--masterauth", "right")
	second := storetest.Start(t, "--requirepass", "right", "--masterauth", "right", "--replicaof", "127.0.0.1 "+first.Port)
	sentinel := storetest.StartSentinel(t, "main", first, "right")
	until(t, "the sentinel sees the replica", func() bool {
		return strings.Contains(sentinel.Command(t, "SENTINEL", "REPLICAS", "main"), second.Port)
	})
	until(t, "the replica is in step", func() bool {
		return strings.Contains(second.Command(t, "INFO", "replication"), "master_link_status:up")
	})
	s := open(t, "", `"address":null,"sentinel":{"master":"main","address":[":{env.SALLYPORT_TEST_PASSWORD}@`+sentinel.Addr+`"]},"wait":"30s",
		"password":"{env.SALLYPORT_TEST_PASSWORD}"`)
	everything(t, s)
	if got := first.Command(t, "WAIT", "1", "10000"); got != "1" {
		t.Fatalf("%s replicas", got)
	}
	first.Kill()
	if got, err := s.Load(t.Context(), "d/0/v"); err != nil || string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
	everything(t, s)
	if got := second.Command(t, "HLEN", "{caddy}:values"); got != "4" {
		t.Errorf("the new master has %s values", got)
	}
}
