package kafka

import (
	"bytes"
	"hash/crc32"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/siemrelay/siemrelay/outputs"
)

// FuzzBatch reads batches back with another project's reader, whatever is in them, and
// holds the size that a message is reckoned at to what it takes.
func FuzzBatch(f *testing.F) {
	f.Add("threat/1/2", []byte(`{"a":1}`), "0123", "v", uint8(3), uint8(0), int64(1_790_000_000_000))
	f.Add("", []byte{}, "", "", uint8(1), uint8(1), int64(0))
	f.Add("\x00\xff", bytes.Repeat([]byte{0xff}, 300), "é", "\r\n", uint8(200), uint8(4), int64(-1))
	f.Fuzz(func(t *testing.T, key string, body []byte, id, value string, n, codec uint8, at int64) {
		names := []string{"none", "gzip", "snappy", "lz4", "zstd"}
		e := newEncoder(codecs()[names[int(codec)%len(names)]], []Header{{"fixed", value}})
		var list []*outputs.Message
		size := 0
		for i := range int(n)%40 + 1 {
			m := &outputs.Message{
				Key: key[:len(key)*i/40], ID: id, Dataset: value, EventKind: key, Body: body[len(body)*i/40:],
				Accepted: time.UnixMilli(at%(1<<50) + int64(i)*int64(n)),
			}
			list, size = append(list, m), size+e.size(m)
		}
		before := []byte("before")
		data, err := e.batch(before, list, stamp{7, 2, 1<<31 - 3})
		if err != nil {
			t.Fatal(err)
		}
		data, found := bytes.CutPrefix(data, before)
		if !found {
			t.Error("what was there before is not")
		}
		if e.codec == nil && len(data)-4 > size+batchOverhead {
			t.Errorf("a batch takes %d bytes and was reckoned at %d", len(data)-4, size+batchOverhead)
		}
		var b kmsg.RecordBatch
		if err := b.ReadFrom(data[4:]); err != nil {
			t.Fatal(err)
		}
		if int(b.Length) != len(data)-4-12 || uint32(b.CRC) != crc32.Checksum(data[4+21:], crc32.MakeTable(crc32.Castagnoli)) {
			t.Errorf("length %d, crc %x", b.Length, b.CRC)
		}
		if b.ProducerID != 7 || b.ProducerEpoch != 2 || b.FirstSequence != 1<<31-3 || b.NumRecords != int32(len(list)) || b.LastOffsetDelta != int32(len(list))-1 {
			t.Errorf("batch is %+v", b)
		}
		records := b.Records
		if e.codec != nil {
			r := e.codec.NewReader(bytes.NewReader(b.Records))
			if records, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
		}
		for i, m := range list {
			records = checkRecord(t, records, i, checked{m, b.FirstTimestamp, value})
		}
		if len(records) != 0 {
			t.Errorf("%d bytes are left over", len(records))
		}
	})
}

type checked struct {
	m     *outputs.Message
	first int64
	fixed string
}

// checkRecord compares the first record and returns what comes after it.
func checkRecord(t *testing.T, records []byte, i int, want checked) []byte {
	t.Helper()
	var r kmsg.Record
	n, width := varint(records)
	if err := r.ReadFrom(records[:width+n]); err != nil {
		t.Fatal(err)
	}
	m := want.m
	if string(r.Key) != m.Key || !bytes.Equal(r.Value, m.Body) || int(r.OffsetDelta) != i || want.first+r.TimestampDelta64 != m.Accepted.UnixMilli() {
		t.Errorf("record %d is %+v, want %+v", i, r, m)
	}
	got := map[string]string{}
	for _, h := range r.Headers {
		got[h.Key] = string(h.Value)
	}
	if diff := cmp.Diff(map[string]string{"event.id": m.ID, "event.dataset": m.Dataset, "event.kind": m.EventKind, "fixed": want.fixed}, got); diff != "" {
		t.Errorf("headers: %s", diff)
	}
	return records[width+n:]
}

// varint reads a zigzag number.
func varint(b []byte) (value, width int) {
	var u uint64
	for i, x := range b {
		u |= uint64(x&0x7f) << (7 * i)
		if x < 0x80 {
			return int(u>>1) ^ -int(u&1), i + 1
		}
	}
	return 0, 0
}
