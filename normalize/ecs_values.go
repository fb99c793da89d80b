package normalize

// ECSVersion is the version of ECS that every document follows, its ecs.version.
const ECSVersion = "9.4.0"

// ecsCategories returns the values of event.category, sorted.
func ecsCategories() []string {
	return []string{
		"api", "authentication", "configuration", "database", "driver", "email", "file", "host", "iam", "intrusion_detection",
		"library", "malware", "network", "package", "process", "registry", "session", "threat", "vulnerability", "web",
	}
}

// ecsTypes returns the values of event.type that ECS expects with a value of
// event.category, nil for a category that ECS doesn't have.
func ecsTypes(category string) []string {
	switch category {
	case "api":
		return []string{"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"}
	case "authentication", "session":
		return []string{"start", "end", "info"}
	case "configuration", "file":
		return []string{"access", "change", "creation", "deletion", "info"}
	case "database":
		return []string{"access", "change", "info", "error"}
	case "driver":
		return []string{"change", "end", "info", "start"}
	case "email", "malware", "vulnerability":
		return []string{"info"}
	case "host", "process":
		return []string{"access", "change", "end", "info", "start"}
	case "iam":
		return []string{"admin", "change", "creation", "deletion", "group", "info", "user"}
	case "intrusion_detection":
		return []string{"allowed", "denied", "info"}
	case "library":
		return []string{"start"}
	case "network":
		return []string{"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"}
	case "package":
		return []string{"access", "change", "deletion", "info", "installation", "start"}
	case "registry":
		return []string{"access", "change", "creation", "deletion"}
	case "threat":
		return []string{"indicator"}
	case "web":
		return []string{"access", "error", "info"}
	}
	return nil
}
