package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are read from the store at each scrape, so that every replica tells the same truth.
func (a *App) metrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), stateCollector{a})
	return registry
}

// stateCollector exports how many requests and grants are in each state, and what does not work.
type stateCollector struct{ app *App }

var (
	requestsDesc = prometheus.NewDesc("prodaccess_requests", "Requests by state.", []string{"state"}, nil)
	grantsDesc   = prometheus.NewDesc("prodaccess_grants", "Grants by state.", []string{"state"}, nil)
	overdueDesc  = prometheus.NewDesc("prodaccess_grants_overdue", "Grants past their end and not locked out. Anything but 0 needs a person.", nil, nil)
	faultDesc    = prometheus.NewDesc("prodaccess_fault", "1 for each part that does not work.", []string{"part"}, nil)
)

// Describe implements prometheus.Collector.
func (c stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{requestsDesc, grantsDesc, overdueDesc, faultDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c stateCollector) Collect(out chan<- prometheus.Metric) {
	for part := range c.app.health.faults() {
		out <- prometheus.MustNewConstMetric(faultDesc, prometheus.GaugeValue, 1, part)
	}
	if c.app.store == nil {
		return // not connected yet
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	counts, err := c.app.store.Counts(ctx, c.app.now())
	if err != nil {
		out <- prometheus.NewInvalidMetric(grantsDesc, err)
		return
	}
	for state, n := range counts.Requests {
		out <- prometheus.MustNewConstMetric(requestsDesc, prometheus.GaugeValue, float64(n), state)
	}
	for state, n := range counts.Grants {
		out <- prometheus.MustNewConstMetric(grantsDesc, prometheus.GaugeValue, float64(n), state)
	}
	out <- prometheus.MustNewConstMetric(overdueDesc, prometheus.GaugeValue, float64(counts.Overdue))
}
