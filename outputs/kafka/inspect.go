package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/protocol/describeconfigs"

	"github.com/siemrelay/siemrelay/outputs"
)

const (
	minInSync     = "min.insync.replicas"
	resourceTopic = 2 // org.apache.kafka.common.config.ConfigResource
)

// Check implements outputs.Checker: it logs in, looks for every topic, and connects to
// every broker that leads a part of one. It makes no topic.
func (o *output) Check(ctx context.Context) error {
	_, _, err := o.Inspect(ctx)
	return err
}

// Inspect is Check, and tells what it found: of each topic its partitions, replication
// factor and min.insync.replicas, and a warning where the death of one broker could
// lose what was acknowledged, or would stop delivery.
func (o *output) Inspect(ctx context.Context) (facts, warnings []string, err error) {
	names := o.topicNames()
	if err := o.cluster.learn(ctx, names); err != nil {
		return nil, nil, err
	}
	safe := o.minInSync(ctx, names)
	var errs []error
	leaders := map[int32]bool{}
	for _, name := range names {
		t := o.cluster.topics[name]
		switch {
		case t.missing && o.config.CreateTopics:
			facts = append(facts, fmt.Sprintf("topic %s does not exist; the first event for it creates it", name))
			continue
		case t.err == nil && t.rights != unknownRights && t.rights&rightWrite == 0:
			t.err = &outputs.NotReady{Err: fmt.Errorf("topic %s: the user may see it but not write to it; allow Write on the topic", name)}
		}
		if t.err != nil {
			errs = append(errs, t.err)
			continue
		}
		fact, warning := t.describe(safe[name])
		facts, warnings = append(facts, fact), append(warnings, warning...)
		for i, p := range t.partitions {
			if p.leader == noLeader {
				errs = append(errs, fmt.Errorf("topic %s: partition %d %w", name, i, errNoLeader))
				continue
			}
			leaders[p.leader] = true
		}
	}
	for id := range leaders {
		if _, err := o.cluster.brokers[id].get(ctx); err != nil {
			errs = append(errs, fmt.Errorf("broker %d, by the address that it advertises: %w", id, err))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return facts, warnings, errors.Join(errs...)
}

// describe tells about a topic; safe is its min.insync.replicas, 0 if it isn't known.
func (t *topic) describe(safe int) (fact string, warnings []string) {
	replicas, missing := t.partitions[0].replicas, 0
	for _, p := range t.partitions {
		replicas = min(replicas, p.replicas)
		if p.inSync < p.replicas {
			missing++
		}
	}
	shown := "unknown"
	if safe > 0 {
		shown = strconv.Itoa(safe)
	}
	plural := "s"
	if len(t.partitions) == 1 {
		plural = ""
	}
	fact = fmt.Sprintf("topic %s: %d partition%s, replication factor %d, %s %s", t.name, len(t.partitions), plural, replicas, minInSync, shown)
	warn := func(format string, args ...any) {
		warnings = append(warnings, "topic "+t.name+": "+fmt.Sprintf(format, args...))
	}
	switch {
	case replicas < 2:
		warn("there is one copy of each event, so the death of one broker can lose events that it acknowledged; use replication factor %d and %s 2", safeReplicas, minInSync)
	case safe == 0:
		warn("%s can't be read; allow the user DescribeConfigs on the topic, or make sure that it is at least 2", minInSync)
	case safe < 2:
		warn("%s is 1, so while another copy lags the death of one broker can lose events that it acknowledged; set it to 2", minInSync)
	case safe >= replicas:
		warn("%s is not less than the replication factor, so nothing can be delivered while one broker is down; use replication factor %d", minInSync, safe+1)
	}
	if missing > 0 {
		warn("%d of %d partitions have a copy that lags or is down now", missing, len(t.partitions))
	}
	return fact, warnings
}

// minInSync asks for the setting of each topic. Those that can't be read are left out:
// it takes a right that delivery doesn't.
func (o *output) minInSync(ctx context.Context, names []string) map[string]int {
	found := map[string]int{}
	req := &describeconfigs.Request{}
	for _, name := range names {
		if o.cluster.topics[name].err == nil {
			req.Resources = append(req.Resources, describeconfigs.RequestResource{
				ResourceType: resourceTopic, ResourceName: name, ConfigNames: []string{minInSync},
			})
		}
	}
	if len(req.Resources) == 0 {
		return found
	}
	c, err := o.cluster.any(ctx)
	if err != nil {
		return found
	}
	m, err := c.roundTrip(ctx, req)
	if err != nil {
		return found
	}
	for _, r := range m.(*describeconfigs.Response).Resources {
		for _, e := range r.ConfigEntries {
			if n, err := strconv.Atoi(e.ConfigValue); err == nil && e.ConfigName == minInSync && r.ErrorCode == 0 {
				found[r.ResourceName] = n
			}
		}
	}
	return found
}
