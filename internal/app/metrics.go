package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/prodaccess/prodaccess/store"
)

// metrics are what this replica sees by itself. What it reads from its store is added when the store is open.
func (a *App) metrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), faultCollector{a.health})
	return registry
}

var (
	requestsDesc = prometheus.NewDesc("prodaccess_requests", "Requests by state.", []string{"state"}, nil)
	grantsDesc   = prometheus.NewDesc("prodaccess_grants", "Grants by state.", []string{"state"}, nil)
	overdueDesc  = prometheus.NewDesc("prodaccess_grants_overdue", "Grants past their end and not locked out. Anything but 0 needs a person.", nil, nil)
	faultDesc    = prometheus.NewDesc("prodaccess_fault", "1 for each part that does not work.", []string{"part"}, nil)
)

// faultCollector exports what does not work.
type faultCollector struct{ health *health }

// Describe implements prometheus.Collector.
func (c faultCollector) Describe(out chan<- *prometheus.Desc) { out <- faultDesc }

// Collect implements prometheus.Collector.
func (c faultCollector) Collect(out chan<- prometheus.Metric) {
	for part := range c.health.faults() {
		out <- prometheus.MustNewConstMetric(faultDesc, prometheus.GaugeValue, 1, part)
	}
}

// stateCollector exports how many requests and grants are in each state. It reads them from the store at each scrape, so that
// every replica tells the same truth; one that cannot read them says nothing of them, and that it cannot.
type stateCollector struct {
	store  *store.Store
	health *health
	now    func() time.Time
}

// Describe implements prometheus.Collector.
func (c stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{requestsDesc, grantsDesc, overdueDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c stateCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	counts, err := c.store.Counts(ctx, c.now())
	c.health.setUntil("metrics of the store", err, c.now().Add(time.Minute)) // nobody may scrape again
	if err != nil {
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
