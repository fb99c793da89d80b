package opensearch

import (
	"context"
	"crypto/sha256"
	_ "embed" // TestNode.java
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Version is the node's, the last that runs on Java 17.
const Version = "2.19.6"

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>siemrelay</groupId>
  <artifactId>opensearch-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.opensearch</groupId><artifactId>opensearch</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.opensearch.plugin</groupId><artifactId>transport-netty4-client</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.opensearch.plugin</groupId><artifactId>analysis-common</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.opensearch.plugin</groupId><artifactId>lang-painless</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.opensearch.plugin</groupId><artifactId>lang-mustache-client</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.opensearch.plugin</groupId><artifactId>mapper-extras-client</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.opensearch.plugin</groupId><artifactId>ingest-common</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.opensearch.plugin</groupId><artifactId>reindex-client</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.25.4</version></dependency>
  </dependencies>
</project>
`

//go:embed TestNode.java
var source []byte

const (
	copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
	fetchTimeout     = 8 * time.Minute
)

// jars returns the folder with the node's jars and the compiled TestNode, and makes it
// if this machine does not have it yet.
func jars() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", errors.New("there is no java: install a JDK, 17 or later (Debian: openjdk-17-jdk-headless)")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the node's jars: %w", err)
	}
	parent := filepath.Join(cache, "siemrelay-testenv")
	sum := sha256.Sum256(append([]byte(pom), source...))
	dir := filepath.Join(parent, "opensearch-"+Version+"-"+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if _, err := exec.LookPath("javac"); err != nil {
		return "", errors.New("there is no javac to compile the node's main class with: install a JDK, 17 or later (Debian: openjdk-17-jdk-headless)")
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return "", errors.New("there is no mvn to fetch OpenSearch with: install Maven (Debian: maven)")
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the node's jars: %w", err)
	}
	return dir, fetch(parent, dir)
}

// fetch fills dir by way of a folder of its own, so that dir is whole or not there.
func fetch(parent, dir string) error {
	tmp, err := os.MkdirTemp(parent, "fetch-")
	if err != nil {
		return fmt.Errorf("make a folder for the node's jars: %w", err)
	}
	defer os.RemoveAll(tmp)
	for name, text := range map[string][]byte{"pom.xml": []byte(pom), "TestNode.java": source} {
		if err := os.WriteFile(filepath.Join(tmp, name), text, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	for _, argv := range [][]string{
		{"mvn", "-q", "-B", copyDependencies, "-DoutputDirectory=lib", "-DincludeScope=runtime"},
		{"javac", "-cp", filepath.Join("lib", "*"), "-d", "lib", "TestNode.java"},
	} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir = tmp
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("prepare OpenSearch %s: %s: %w: %s", Version, argv[0], err, out)
		}
	}
	if err := os.Rename(filepath.Join(tmp, "lib"), dir); err != nil && !errors.Is(err, os.ErrExist) {
		if _, there := os.Stat(dir); there != nil { // another process was faster
			return fmt.Errorf("keep the node's jars: %w", err)
		}
	}
	return nil
}
