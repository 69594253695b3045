// SPDX-License-Identifier: Apache-2.0

// grafana FILE...: reads dashboards by the types of Grafana's own schema, strictly: a field that is unknown, of another type,
// or required and missing is a fault. Prints one line a fault and exits 1 if there is one.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var board dashboard.Dashboard
	if err := faults(board.UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	return faults(board.Validate())
}

// faults: the SDK returns an error that holds a list, also when the list is empty.
func faults(err error) error {
	var list cog.BuildErrors
	if errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}

func main() {
	plugins.RegisterDefaultPlugins() // the types of panels and of Prometheus' queries
	refused := 0
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			refused++
			fmt.Printf("%s: %v\n", path, err)
		}
	}
	fmt.Printf("%d dashboards, %d refused\n", len(os.Args)-1, refused)
	if refused > 0 {
		os.Exit(1)
	}
}
