package relay

import "github.com/siemrelay/siemrelay/outputs"

// part is some messages of the batch in hand, in order, with their indexes there.
type part struct {
	msgs []outputs.Message
	at   []int
}

func (p part) empty() bool { return len(p.msgs) == 0 }

func (p *part) add(m outputs.Message, at int) {
	p.msgs = append(p.msgs, m)
	p.at = append(p.at, at)
}

// none is an empty part in p's memory: what is read from p may be added to it.
func (p part) none() part { return part{p.msgs[:0], p.at[:0]} }

// delivery is what is left to do of the batch in hand.
//
// The parts lie on a stack, the earliest on top, and what must be sent again goes
// back there: no message is sent before the earlier ones of its record are settled.
// Messages that failed though the receiver works are parked, so that the others need
// not wait for them, and with them what is behind them in their records. When
// nothing else is left to do, the round is over, and the next begins with them.
type delivery struct {
	todo   []part
	parked []part // the earliest first
	keys   map[string]bool
	// why and err are why the last of them was parked.
	why reason
	err error
}

func (d *delivery) begin(p part) {
	d.todo = d.todo[:0]
	d.push(p)
}

func (d *delivery) push(p part) {
	if !p.empty() {
		d.todo = append(d.todo, p)
	}
}

func (d *delivery) halve(p part) {
	half := len(p.msgs) / 2
	d.push(part{p.msgs[half:], p.at[half:]})
	d.push(part{p.msgs[:half], p.at[:half]})
}

// next takes the next part from the stack. It is empty when nothing, or nothing
// but parked messages, is left.
func (d *delivery) next() part {
	for len(d.todo) > 0 {
		p := d.todo[len(d.todo)-1]
		d.todo = d.todo[:len(d.todo)-1]
		if len(d.parked) > 0 {
			p = d.holdBack(p)
		}
		if !p.empty() {
			return p
		}
	}
	return part{}
}

// holdBack parks the messages that must wait behind parked ones.
func (d *delivery) holdBack(p part) part {
	free, behind := p.none(), part{}
	for i, m := range p.msgs {
		if d.keys[m.Key] {
			behind.add(m, p.at[i])
		} else {
			free.add(m, p.at[i])
		}
	}
	if !behind.empty() {
		d.parked = append(d.parked, behind)
	}
	return free
}

// park sets messages aside for the rest of the round.
func (d *delivery) park(p part, why reason, err error) {
	if p.empty() {
		return
	}
	d.why, d.err = why, err
	d.parked = append(d.parked, p)
	if d.keys == nil {
		d.keys = map[string]bool{}
	}
	for _, m := range p.msgs {
		d.keys[m.Key] = true
	}
}

// unpark begins the next round.
func (d *delivery) unpark() {
	for i := len(d.parked) - 1; i >= 0; i-- {
		d.push(d.parked[i])
	}
	clear(d.parked)
	d.parked = d.parked[:0]
	clear(d.keys)
}
