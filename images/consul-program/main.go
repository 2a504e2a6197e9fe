// Consul 1.16.6, the last line under the MPL, with the commands that a cluster's host needs.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/hashicorp/consul/command/agent"
	"github.com/hashicorp/consul/command/cli"
	"github.com/hashicorp/consul/command/forceleave"
	"github.com/hashicorp/consul/command/info"
	"github.com/hashicorp/consul/command/keyring"
	"github.com/hashicorp/consul/command/kv/del"
	"github.com/hashicorp/consul/command/kv/exp"
	"github.com/hashicorp/consul/command/kv/get"
	"github.com/hashicorp/consul/command/kv/imp"
	"github.com/hashicorp/consul/command/kv/put"
	"github.com/hashicorp/consul/command/leave"
	"github.com/hashicorp/consul/command/members"
	"github.com/hashicorp/consul/command/operator/raft/listpeers"
	"github.com/hashicorp/consul/command/operator/raft/removepeer"
	"github.com/hashicorp/consul/command/reload"
	"github.com/hashicorp/consul/command/snapshot/inspect"
	"github.com/hashicorp/consul/command/snapshot/restore"
	"github.com/hashicorp/consul/command/snapshot/save"
	"github.com/hashicorp/consul/command/version"
	mcli "github.com/mitchellh/cli"
)

func main() {
	log.SetOutput(io.Discard) // libraries' own words; the agent has a log of its own
	ui := &cli.BasicUI{BasicUi: mcli.BasicUi{Writer: os.Stdout, ErrorWriter: os.Stderr}}
	program := &mcli.CLI{
		Name:       "consul",
		Version:    "",
		Args:       os.Args[1:],
		HelpFunc:   mcli.BasicHelpFunc("consul"),
		HelpWriter: os.Stdout,
		Commands: map[string]mcli.CommandFactory{
			"agent":                     func() (mcli.Command, error) { return agent.New(ui), nil },
			"force-leave":               func() (mcli.Command, error) { return forceleave.New(ui), nil },
			"info":                      func() (mcli.Command, error) { return info.New(ui), nil },
			"keyring":                   func() (mcli.Command, error) { return keyring.New(ui), nil },
			"kv delete":                 func() (mcli.Command, error) { return del.New(ui), nil },
			"kv export":                 func() (mcli.Command, error) { return exp.New(ui), nil },
			"kv get":                    func() (mcli.Command, error) { return get.New(ui), nil },
			"kv import":                 func() (mcli.Command, error) { return imp.New(ui), nil },
			"kv put":                    func() (mcli.Command, error) { return put.New(ui), nil },
			"leave":                     func() (mcli.Command, error) { return leave.New(ui), nil },
			"members":                   func() (mcli.Command, error) { return members.New(ui), nil },
			"operator raft list-peers":  func() (mcli.Command, error) { return listpeers.New(ui), nil },
			"operator raft remove-peer": func() (mcli.Command, error) { return removepeer.New(ui), nil },
			"reload":                    func() (mcli.Command, error) { return reload.New(ui), nil },
			"snapshot inspect":          func() (mcli.Command, error) { return inspect.New(ui), nil },
			"snapshot restore":          func() (mcli.Command, error) { return restore.New(ui), nil },
			"snapshot save":             func() (mcli.Command, error) { return save.New(ui), nil },
			"version":                   func() (mcli.Command, error) { return version.New(ui), nil },
		},
	}
	code, err := program.Run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
