package kafka

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/siemrelay/siemrelay/outputs"
)

// verdict is what an error code of a produce request means for a batch.
type verdict uint8

const (
	// taken: the records are safe.
	taken verdict = iota
	// later: not taken for now; the cluster is to blame.
	later
	// moved: what is known of the cluster is out of date. A leader that loses the lead
	// while its replicas follow says this too, of a batch that the next one may have.
	moved
	// unsure: it may have been taken or may be yet.
	unsure
	// tooLarge: a smaller batch may be taken.
	tooLarge
	// bad: the broker will not take one of the records, whatever comes.
	bad
	// suspect: the broker fails, perhaps because of one of the records, and perhaps
	// after it took them.
	suspect
	// confused: the broker and we don't agree on the sequence numbers.
	confused
	// repeated: a batch with these sequence numbers is there already.
	repeated
	// forbidden: somebody must mend something first.
	forbidden
)

// verdictOf follows https://kafka.apache.org/protocol#protocol_error_codes.
func verdictOf(code kafka.Error) verdict {
	switch code {
	case 0:
		return taken
	case kafka.RequestTimedOut, kafka.NotEnoughReplicasAfterAppend, kafka.NetworkException:
		return unsure
	case kafka.NotEnoughReplicas, kafka.ThrottlingQuotaExceeded, kafka.BrokerNotAvailable:
		return later
	case kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.ReplicaNotAvailable,
		kafka.KafkaStorageError, kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch, kafka.UnknownTopicID, kafka.InconsistentTopicID:
		return moved
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge:
		return tooLarge
	case kafka.InvalidRecord, kafka.InvalidTimestamp:
		return bad
	case kafka.OutOfOrderSequenceNumber, kafka.InvalidProducerEpoch, kafka.UnknownProducerId, kafka.ProducerFenced, kafka.InvalidProducerIDMapping:
		return confused
	case kafka.DuplicateSequenceNumber:
		return repeated
	case kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.TransactionalIDAuthorizationFailed,
		kafka.SASLAuthenticationFailed, kafka.IllegalSASLState, kafka.UnsupportedSASLMechanism, kafka.SecurityDisabled,
		kafka.InvalidTopic, kafka.PolicyViolation, kafka.UnsupportedVersion, kafka.UnsupportedForMessageFormat,
		kafka.UnsupportedCompressionType, kafka.InvalidRequiredAcks, kafka.InvalidRequest:
		return forbidden
	}
	return suspect
}

// brokerError is an error code with what the broker said beside it.
type brokerError struct {
	code kafka.Error
	text string
}

func codeError(code kafka.Error, text string) error { return &brokerError{code, clip(text)} }

// Error leaves out what the library says about the code: it is about other requests too.
func (e *brokerError) Error() string {
	text := fmt.Sprintf("[%d] %s", int(e.code), e.code.Title())
	if e.code.Title() == "" {
		text = fmt.Sprintf("[%d] an error code that is not known here", int(e.code))
	}
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

func (e *brokerError) Unwrap() error { return e.code }

// hintOf is what to do about a code, for the output or for one topic.
func hintOf(code kafka.Error) string {
	switch code {
	case kafka.UnknownTopicOrPartition:
		return "the topic does not exist, or the user may not see it; create it, or set create_topics, or allow the user Describe and Write on it"
	case kafka.TopicAuthorizationFailed:
		return "allow the user Describe and Write on the topic"
	case kafka.ClusterAuthorizationFailed:
		return "the user lacks a right on the cluster: Create, to make topics"
	case kafka.SASLAuthenticationFailed, kafka.IllegalSASLState:
		return "the broker wants a login on this port; check sasl"
	case kafka.InvalidTopic:
		return "Kafka does not take this name for a topic"
	case kafka.UnsupportedCompressionType:
		return "the broker does not know this compression; choose another"
	case kafka.PolicyViolation:
		return "a policy of the cluster forbids it"
	case kafka.InvalidReplicationFactor:
		return "give a replication_factor of at most the number of brokers"
	}
	return "the cluster refuses what this output asks for"
}

// notReady makes a NotReady of a code.
func notReady(what string, code kafka.Error, text string) error {
	return &outputs.NotReady{Err: fmt.Errorf("%s: %w: %s", what, codeError(code, text), hintOf(code))}
}

func isNotReady(err error) bool {
	var n *outputs.NotReady
	return errors.As(err, &n)
}
