package kafka_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// outcome is what Send says of one message that the broker answers with a code.
type outcome string

const (
	retried  outcome = "to be retried, nobody to blame"
	blamed   outcome = "to be retried, the message to blame"
	refused  outcome = "refused"
	notReady outcome = "not ready"
)

// TestErrorCodes has the broker answer with every code that Kafka has.
func TestErrorCodes(t *testing.T) {
	want := map[int16]outcome{}
	for code := int16(-1); code < 200; code++ {
		if code != 0 && kerr.ErrorForCode(code) != kerr.UnknownServerError || code == -1 {
			want[code] = blamed // what is not known to lie with the cluster
		}
	}
	for what, codes := range map[outcome][]*kerr.Error{
		retried: {
			kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.BrokerNotAvailable,
			kerr.ReplicaNotAvailable, kerr.NetworkException, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError,
			kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.ThrottlingQuotaExceeded, kerr.UnknownTopicID, kerr.InconsistentTopicID,
			kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.InvalidProducerEpoch, kerr.UnknownProducerID, kerr.ProducerFenced,
			kerr.InvalidProducerIDMapping,
		},
		refused: {kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp},
		notReady: {
			kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, kerr.SaslAuthenticationFailed,
			kerr.IllegalSaslState, kerr.UnsupportedSaslMechanism, kerr.SecurityDisabled, kerr.InvalidTopicException, kerr.PolicyViolation,
			kerr.UnsupportedVersion, kerr.UnsupportedForMessageFormat, kerr.UnsupportedCompressionType, kerr.InvalidRequiredAcks, kerr.InvalidRequest,
		},
	} {
		for _, e := range codes {
			want[e.Code] = what
		}
	}
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{})
	var all []outputs.Message
	for _, code := range slices.Sorted(maps.Keys(want)) {
		e := kerr.TypedErrorForCode(code)
		f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: e})
		m := message(int(code)+2, "one")
		err := out.Send(t.Context(), []outputs.Message{m})
		if got := outcomeOf(err); got != want[code] {
			t.Errorf("%s: %s (%v), want %s", e.Message, got, err, want[code])
		}
		if want[code] != refused {
			deliver(t, out, []outputs.Message{m})
			all = append(all, m)
		}
	}
	inOrder(t, f.records(), all)
}

func outcomeOf(err error) outcome {
	var p *outputs.Partial
	if errors.As(err, &p) {
		if p.Results[0].Status == outputs.Refused {
			return refused
		}
		err = p.Results[0].Err
	}
	var n *outputs.NotReady
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &n):
		return notReady
	case outputs.IsTransient(err):
		return retried
	}
	return blamed
}
