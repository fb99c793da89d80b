package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Version is the broker's, which Maven Central has as jars.
const Version = "4.3.1"

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>siemrelay</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`

const (
	copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
	fetchTimeout     = 8 * time.Minute
)

// jars returns the folder with the broker's jars, and fetches them if this machine
// does not have them yet.
func jars() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", errors.New("there is no java: install a Java runtime, 17 or later (Debian: openjdk-17-jre-headless)")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the broker's jars: %w", err)
	}
	parent := filepath.Join(cache, "siemrelay-testenv")
	dir := filepath.Join(parent, "kafka-"+Version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return "", errors.New("there is no mvn to fetch Apache Kafka with: install Maven (Debian: maven)")
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the broker's jars: %w", err)
	}
	return dir, fetch(parent, dir)
}

// fetch fills dir by way of a folder of its own, so that dir is whole or not there.
func fetch(parent, dir string) error {
	tmp, err := os.MkdirTemp(parent, "fetch-")
	if err != nil {
		return fmt.Errorf("make a folder for the broker's jars: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), []byte(pom), 0o644); err != nil {
		return fmt.Errorf("write the list of the broker's jars: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", copyDependencies, "-DoutputDirectory=lib")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Apache Kafka %s: %w: %s", Version, err, out)
	}
	if err := os.Rename(filepath.Join(tmp, "lib"), dir); err != nil && !errors.Is(err, os.ErrExist) {
		if _, there := os.Stat(dir); there != nil { // another process was faster
			return fmt.Errorf("keep the broker's jars: %w", err)
		}
	}
	return nil
}
