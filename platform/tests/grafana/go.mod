// Checks dashboards against the types that Grafana publishes: test_grafana_schema.py builds and runs it.
module inferd/grafana

go 1.23

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
