package kibana

// rules are detection rules of Elastic Security. They are imported switched off:
// who is called at night is the operator's choice.
func rules() []any {
	return []any{
		rule("defensecom-critical-threat", body{
			"name": "Defense.com: critical threat",
			"description": "Defense.com reported a new critical threat, or a critical threat was opened again. " +
				"Without this rule, and with Elastic's rule External Alerts, every new threat is an alert; with both, a critical one is two.",
			"index":              []string{"logs-defensecom.threat-*"},
			"interval":           "5m",
			"from":               "now-15m", // three intervals, so that a late run leaves none out; an event is one alert
			"language":           "kuery",
			"max_signals":        1000,
			"query":              `event.kind : "alert" and event.dataset : "defensecom.threat" and event.severity >= 99`,
			"risk_score":         99,
			"rule_name_override": "message",
			"severity":           "critical",
			"timestamp_override": "event.ingested",
			"type":               "query",
			"note": "1. Open `event.url`: the threat in Defense.com.\n" +
				"2. `defensecom.threat.description` says what was found; `defensecom.threat.id` finds its whole history.\n" +
				"3. Close it in Defense.com, not only here: siemrelay then delivers the event threat-closed.",
		}),
		rule("defensecom-feed-silent", body{
			"name": "Defense.com: no event for a day",
			"description": "siemrelay has delivered nothing for 24 hours. Either nothing happened, or the webhook, siemrelay or its output stands still. " +
				"Silence goes on being reported, once in six hours.",
			"interval": "6h",
			"from":     "now-24h",
			"language": "esql",
			// A rule looks at the documents of its time range only, so an empty one counts 0.
			"query":              `FROM logs-defensecom.*-* | STATS events = COUNT(*) | WHERE events == 0`,
			"max_signals":        1,
			"risk_score":         47,
			"severity":           "medium",
			"timestamp_override": "event.ingested",
			"type":               "esql",
			"note": "1. `siemrelay status` on the relay: does it run, when did the last webhook come, is something pending or dead?\n" +
				"2. If webhooks come and are delivered, look at the ingest pipeline and the data stream.\n" +
				"3. If none come, look at the webhook's history in Defense.com, and send one: `siemrelay send --test`.",
		}),
	}
}

// rule adds what all rules have.
func rule(id string, r body) body {
	r["rule_id"] = id
	r["author"] = []string{"siemrelay"}
	r["enabled"] = false
	r["false_positives"] = []string{}
	r["license"] = ""
	r["references"] = []string{"https://github.com/siemrelay/siemrelay"}
	r["tags"] = []string{"Defense.com", "siemrelay"}
	r["threat"] = []any{}
	r["to"] = "now"
	r["version"] = 1
	return r
}
