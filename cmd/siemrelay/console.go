package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/login"
	"github.com/siemrelay/siemrelay/internal/operations"
)

// newAdmin makes the admin listener over the desk.
func (p *process) newAdmin(cfg *config.Config, desk *operations.Desk, registry *prometheus.Registry) (*admin.Server, error) {
	o := admin.Options{
		Ready: p.ready.check, Gatherer: registry, Registry: registry, Logger: p.log,
		Operations: desk, Explorer: desk, AccessDir: cfg.Spool.Dir,
		CertFile: cfg.Admin.TLS.CertFile, KeyFile: cfg.Admin.TLS.KeyFile,
		Listen: cfg.Admin.Listen, Hosts: cfg.Admin.Hosts,
	}
	for _, u := range cfg.Admin.Users {
		o.Users = append(o.Users, admin.User{
			Credential: login.Credential{Username: u.Username, Password: u.Password.Value}, Role: admin.Role(u.Role),
		})
	}
	return admin.New(o)
}
